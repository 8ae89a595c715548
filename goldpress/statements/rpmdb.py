"""Owns what an image's own package database says of each package: licence, vendor, home page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.confine import Confinement
from goldpress.rootfs.install import RPM_DATABASE

#: Neither is in any tag of a package: they are control characters.
FIELD, RECORD = "\x1f", "\x1e"
TAGS = ("%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}", "%{LICENSE}", "%{VENDOR}", "%{URL}")
NONE = "(none)"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A package as the database has it; what its RPM did not say is empty."""

    nevra: str
    license: str
    vendor: str
    url: str


def query_argv(database: str) -> tuple[str, ...]:
    """The rpm command that tells of every installed package."""
    return ("rpm", "--dbpath", database, "-qa", "--qf", FIELD.join(TAGS) + RECORD)


def parse_installed(output: str) -> dict[str, Installed]:
    """The packages by NEVRA. Raises BuildError for what rpm does not print."""
    found: dict[str, Installed] = {}
    for record in output.split(RECORD)[:-1]:
        fields = ["" if text == NONE else " ".join(text.split()) for text in record.split(FIELD)]
        if len(fields) != len(TAGS):
            raise BuildError(f"the package database: rpm printed {record[:80]!r}")
        nevra, license_, vendor, url = fields
        found[nevra] = Installed(nevra=nevra, license=license_, vendor=vendor, url=url)
    return found


def read_installed(tree: Path) -> Mapping[str, Installed]:
    """The packages of a tree by NEVRA. Raises CommandError or BuildError."""
    # rpm opens the database for writing, so the host's works on a copy.
    script = f'cp -r /target{RPM_DATABASE} /tmp/db && exec "$@"'
    done = Confinement(readable={"/target": tree}).run(
        ("sh", "-c", script, "sh", *query_argv("/tmp/db")), what="read the package database"
    )
    return parse_installed(done.text)
