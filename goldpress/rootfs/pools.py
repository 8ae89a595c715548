"""Owns pools as they are built: the names that follow from a pool's own, and its sizes.

Sizes are arithmetic, printed when they are used: as many workers as the pool's memory holds, as
the machine's processors keep busy, and as the database has connections for, whichever is least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldpress.application import App, Machine, Pool
from goldpress.definition import Definition, pool_unit
from goldpress.errors import BuildError

#: Where applications lie in the image.
APPS = "/srv"
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306}
#: The port types of both in every SELinux policy.
DATABASE_PORT_TYPES = {"postgresql": "postgresql_port_t", "mysql": "mysqld_port_t"}
#: Of the pool's memory, what the master process itself needs beside the shared caches.
MASTER_MIB = 12
#: Room in the request for what is sent beside the file: the form's other fields.
FORM_MIB = 1


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many workers each limit allows; None for a pool without a database."""

    by_memory: int
    by_cpu: int
    by_database: int | None
    arithmetic: str

    @property
    def workers(self) -> int:
        """The least of the limits."""
        return min(n for n in (self.by_memory, self.by_cpu, self.by_database) if n is not None)


@dataclass(frozen=True, kw_only=True)
class BuiltPool:
    """What templates know as `pool`."""

    name: str
    pool: Pool
    app: App
    root: str
    sizes: Sizes

    @property
    def workers(self) -> int:
        """The number of worker processes."""
        return self.sizes.workers

    @property
    def user(self) -> str:
        """The account it runs as."""
        return f"gp-{self.name}"

    @property
    def unit(self) -> str:
        """Its unit."""
        return pool_unit(self.name)

    @property
    def domain(self) -> str:
        """Its SELinux domain; types of its files begin as it does."""
        return f"gp_php_{self.name}_t"

    @property
    def run(self) -> str:
        """The folder of its socket."""
        return f"/run/goldpress-php-{self.name}"

    @property
    def socket(self) -> str:
        """Where nginx reaches it."""
        return f"{self.run}/fpm.sock"

    @property
    def state(self) -> str:
        """What it may write: sessions, uploads, temporary files, its slow log."""
        return f"/var/lib/goldpress-php-{self.name}"

    @property
    def public(self) -> str:
        """The folder of the front controller, whose files nginx serves."""
        return f"{self.root}/{self.app.public}"

    @property
    def front(self) -> str:
        """The front controller: the one file that nginx lets PHP run."""
        return f"{self.public}/index.php"

    @property
    def database_port(self) -> int | None:
        """The port of its database server."""
        return DATABASE_PORTS[self.pool.database.engine] if self.pool.database else None

    @property
    def database_port_type(self) -> str | None:
        """The SELinux type of that port."""
        return DATABASE_PORT_TYPES[self.pool.database.engine] if self.pool.database else None

    @property
    def post_mib(self) -> int:
        """The largest request: an upload of `body_mib`, and a form around it."""
        return self.pool.body_mib + FORM_MIB


def plan_sizes(name: str, pool: Pool, machine: Machine) -> Sizes:
    """The sizes of one pool. Raises BuildError when there is no room for a single worker."""
    shared = pool.opcache_mib + pool.apcu_mib + MASTER_MIB
    by_memory = (pool.memory_mib - shared) // pool.worker_mib
    by_cpu = machine.cpus * pool.workers_per_cpu
    database = pool.database
    by_database = database.connections // database.machines if database else None
    memory = (
        f"memory ({pool.memory_mib} MiB - {pool.opcache_mib} opcache - {pool.apcu_mib} APCu"
        f" - {MASTER_MIB} master) / {pool.worker_mib} a worker = {max(by_memory, 0)}"
    )
    parts = [
        memory,
        f"{machine.cpus} cpus x {pool.workers_per_cpu} = {by_cpu}",
    ]
    if database:
        parts.append(
            f"{database.connections} connections / {database.machines} machines = {by_database}"
        )
    sizes = Sizes(
        by_memory=by_memory,
        by_cpu=by_cpu,
        by_database=by_database,
        arithmetic="; ".join(parts),
    )
    if sizes.workers < 1:
        raise BuildError(
            f"pool {name}: no room for one worker: {sizes.arithmetic}",
            hint=f"change memory_mib or database under `pools.{name}` in image.yaml",
        )
    return sizes


def plan_pools(definition: Definition) -> tuple[BuiltPool, ...]:
    """Every pool of the image, in the order of their names.

    Raises BuildError when one has no room, or when all together do not fit the machine.
    """
    machine = definition.machine
    if machine is None:  # a definition with pools has one
        return ()
    wanted = sum(pool.memory_mib for pool in definition.pools.values())
    room = machine.memory_mib - machine.reserved_mib
    if wanted > room:
        names = " + ".join(f"{n} {p.memory_mib}" for n, p in sorted(definition.pools.items()))
        raise BuildError(
            f"the pools need {names} = {wanted} MiB, and the machine has {machine.memory_mib}"
            f" - {machine.reserved_mib} reserved = {room}",
            hint="change memory_mib under `pools` or `machine` in image.yaml",
        )
    built = []
    for name, pool in sorted(definition.pools.items()):
        app = definition.apps[pool.app]
        built.append(
            BuiltPool(
                name=name,
                pool=pool,
                app=app,
                root=app.root or f"{APPS}/{pool.app}",
                sizes=plan_sizes(name, pool, machine),
            )
        )
    return tuple(built)


def told(pools: tuple[BuiltPool, ...]) -> Mapping[str, str]:
    """Pool -> how many workers it has and the arithmetic behind it, for people."""
    return {p.name: f"{p.workers} workers: {p.sizes.arithmetic}" for p in pools}
