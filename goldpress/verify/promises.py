"""Owns the promises of an image: all that its suite compares a tree or a machine with."""

from __future__ import annotations

from typing import Any

from goldpress.controls import LEVELS, Controls
from goldpress.definition import Definition
from goldpress.lock import Lock
from goldpress.rootfs.pools import BuiltPool, plan_pools

#: What the store calls them.
KIND = "promises"


def promises(definition: Definition, lock: Lock, controls: Controls) -> dict[str, Any]:
    """The suite's one input file (see ``verify/promise.py``), short of what a disk adds."""
    return {
        "image": definition.name,
        "distribution": lock.distribution,
        "stand_in": lock.stand_in,
        "arch": definition.arch,
        "packages": sorted(p.nevra for p in lock.packages),
        "listen": [
            {"port": row.port, "protocol": row.protocol, "address": row.address or "any"}
            for row in definition.verify.listen
        ],
        "services": list(definition.enabled),
        "masked": list(definition.services.mask),
        "booleans": dict(definition.selinux.booleans),
        "pools": [of_pool(pool) for pool in plan_pools(definition)],
        "expected": {level: list(controls.expected(level, lock.distribution)) for level in LEVELS},
        "not_exercised": controls.not_exercised(lock.distribution),
        "parameters": controls.parameters(),
    }


def of_pool(pool: BuiltPool) -> dict[str, Any]:
    """What a pool is."""
    return {
        "name": pool.name,
        "unit": pool.unit,
        "user": pool.user,
        "domain": pool.domain,
        "workers": pool.workers,
        "host": pool.pool.hosts[0],
        "root": pool.root,
        "public": pool.public,
        "run": pool.run,
        "socket": pool.socket,
        "state": pool.state,
        "database": pool.database_port_type or "",
    }
