"""Owns reading denials, as the kernel and the audit daemon write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DENIAL = re.compile(r"avc: +denied|type=(?:SELINUX_ERR|1401)\b")
ACCESS = re.compile(
    r"avc: +denied +\{ (?P<perms>[^}]*) \}.*? scontext=(?P<source>\S+)"
    r" tcontext=(?P<target>\S+) tclass=(?P<class>\w+)"
)
COMMAND = re.compile(r'comm="([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Denial:
    """What was denied: the types of both sides, the class and the permissions."""

    source: str
    target: str
    kind: str
    permissions: frozenset[str]


def denials(rows: Iterable[str]) -> list[Denial]:
    """The denied accesses among records."""
    found = []
    for match in filter(None, map(ACCESS.search, rows)):
        source, target = (match[name].split(":")[2] for name in ("source", "target"))
        permissions = frozenset(match["perms"].split())
        kind = match["class"]
        found.append(Denial(source=source, target=target, kind=kind, permissions=permissions))
    return found


def summary(row: str) -> str:
    """A denial as `source target:class { permissions } (command)`; other records as they are."""
    match = ACCESS.search(row)
    if match is None:
        return row.strip()
    source, target = (match[name].split(":")[2] for name in ("source", "target"))
    comm = COMMAND.search(row)
    by = f" ({comm[1]})" if comm else ""
    return f"{source} {target}:{match['class']} {{ {match['perms']} }}{by}"
