"""Owns relations: Debian's versions and dependencies said in RPM's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from goldpress.errors import BuildError
from goldpress.sandbox.closure import Deb
from goldpress.sandbox.table import Package, Table

_NOT_RPM = re.compile(r"[^A-Za-z0-9._+~^]")
_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


def rpm_version(debian: str) -> tuple[str, str]:
    """RPM's version and release for a Debian version: ``1:9.2p1-2+deb12u7`` loses its epoch."""
    _, _, rest = debian.rpartition(":")
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return _NOT_RPM.sub(".", upstream), f"{_NOT_RPM.sub('.', revision)}.sandbox"


def alternatives(field: str) -> list[list[str]]:
    """The names in a Depends field: one list a comma, one name a bar; versions are left out."""
    groups: list[list[str]] = []
    for group in field.split(","):
        names = [m[1] for choice in group.split("|") if (m := _NAME.match(choice))]
        if names:
            groups.append(names)
    return groups


def providers(debs: Iterable[Deb]) -> dict[str, str]:
    """Virtual package -> the first package of the closure, by name, that provides it."""
    found: dict[str, str] = {}
    for deb in sorted(debs, key=lambda d: d.name):
        for names in alternatives(deb.provides):
            found.setdefault(names[0], deb.name)
    return found


def requires(name: str, package: Package, table: Table, debs: Mapping[str, Deb]) -> list[str]:
    """The CentOS packages that `package` needs, sorted, without itself.

    Those of Debian's fields follow the parts that it takes the rest of; the table adds `requires`
    and takes away `without`. Raises BuildError for a dependency that the closure does not hold.
    """
    virtual = providers(debs.values())
    owners = table.rest_owner
    needed: set[str] = set()
    for part in package.parts:
        if part.paths:
            continue
        deb = debs[part.deb]
        for field in (deb.pre_depends, deb.depends):
            for names in alternatives(field):
                real = next(
                    (n if n in debs else virtual[n] for n in names if n in debs or n in virtual), ""
                )
                if not real:
                    raise BuildError(f"{deb.name} needs {' or '.join(names)}: not in the closure")
                if real not in table.dropped:
                    needed.add(owners[real])
    unused = sorted(set(package.without) - needed)
    if unused:
        raise BuildError(f"{name}: `without` names {unused[0]}, which it does not require")
    return sorted((needed - set(package.without) - {name}) | set(package.requires))
