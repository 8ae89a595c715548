"""Owns what an image serves, as image.yaml says it: applications and the pools that run them.

A pool is one application with a user, a socket, an SELinux domain and a unit of its own. The code
of an application is an input with a digest, from one of three places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from goldpress.document import Part, matching, once

#: Names of users, units, SELinux types and folders are made from it: one plain, short word.
PoolName = Annotated[
    str, matching(r"[a-z][a-z0-9]{0,15}", "a pool's name (small letters and digits, 16 at most)")
]
HostName = Annotated[
    str,
    matching(
        r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+",
        "a host name, such as www.example.com",
    ),
]
RelativePath = Annotated[
    str,
    matching(
        r"(?!.*(?:^|/)\.\.(?:/|$))[A-Za-z0-9_][A-Za-z0-9._/-]*",
        "a path below the image's folder",
    ),
]
AbsolutePath = Annotated[
    str, matching(r"(?!.*/\.\.?(?:/|$))(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+", "a path in the image")
]
Sha256 = Annotated[str, matching(r"[0-9a-f]{64}", "a sha256 (64 hex digits)")]
Setting = Annotated[
    str, matching(r"[A-Z][A-Z0-9_]{0,63}", "a setting's name (capitals, digits and _)")
]
SecretPath = Annotated[
    str,
    matching(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", "a secret's path"),
]
Mib = Annotated[int, Field(ge=1, le=1 << 20)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Seconds = Annotated[int, Field(ge=1, le=3600)]


class Machine(Part):
    """The smallest machine that the image is for; pools are sized for it.

    `reserved_mib` is what kernel, nginx, sshd, auditd and the journal keep of the memory.
    """

    memory_mib: Mib
    cpus: Annotated[int, Field(ge=1, le=1024)]
    reserved_mib: Mib


class App(Part):
    """Where an application's code comes from: exactly one of three.

    `directory` is a folder, `archive` a tar file with its `sha256`, both below the image's
    folder; `package` is a locked package that brings the code at `root`. `public` is the folder
    in it that holds the front controller, index.php, and the files that nginx may serve.
    """

    directory: RelativePath | None = None
    archive: RelativePath | None = None
    sha256: Sha256 | None = None
    package: str | None = None
    root: AbsolutePath | None = None
    public: RelativePath = "public"


class Database(Part):
    """The pool's share of a database: its connections, kept for so many machines at once.

    `machines` counts a roll's extra ones too. `networks` are where it may be: nothing else can be
    reached, so the link-local addresses of the metadata service never are.
    """

    engine: Literal["postgresql", "mysql"]
    connections: Count
    machines: Count
    networks: Annotated[
        tuple[Annotated[str, matching(r"[0-9a-f:.]+/[0-9]{1,3}", "a network")], ...],
        AfterValidator(once),
    ] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


class Pool(Part):
    """One application as it runs. Sizes are those of `goldpress.rootfs.pools`."""

    app: PoolName
    hosts: Annotated[tuple[HostName, ...], AfterValidator(once)]
    memory_mib: Mib
    worker_mib: Mib
    opcache_mib: Annotated[int, Field(ge=8, le=4096)] = 64
    apcu_mib: Annotated[int, Field(ge=1, le=4096)] = 16
    workers_per_cpu: Annotated[int, Field(ge=1, le=64)] = 4
    body_mib: Annotated[int, Field(ge=1, le=4096)] = 8
    request_seconds: Seconds = 30
    slow_seconds: Seconds = 5
    database: Database | None = None
    #: keys of the user data that its environment has
    environment: Annotated[tuple[Setting, ...], AfterValidator(once)] = ()
    #: credential of the unit -> where the machine's role may read it
    secrets: dict[Setting, SecretPath] = Field(default_factory=dict)


def contradictions(
    apps: Mapping[str, App],
    pools: Mapping[str, Pool],
    machine: Machine | None,
    packages: Iterable[str],
) -> Iterable[str]:
    """What cannot be, in one line each, with the path of the key."""
    for name, app in apps.items():
        yield from _source_faults(f"apps.{name}", app, set(packages))
    used: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for name, pool in pools.items():
        if pool.app not in apps:
            yield f"pools.{name}.app: there is no {pool.app!r} under `apps`"
        elif pool.app in used:
            # Code carries the SELinux type of its one pool, and no other pool may read it.
            yield f"pools.{name}.app: {pool.app!r} is run by the pool {used[pool.app]!r} already"
        used.setdefault(pool.app, name)
        for host in pool.hosts:
            if host in hosts:
                yield f"pools.{name}.hosts: {host!r} is a host of the pool {hosts[host]!r} already"
            hosts.setdefault(host, name)
    for name in apps:
        if name not in used:
            yield f"apps.{name}: no pool runs it"
    if pools and machine is None:
        yield "machine: this key is required for pools: their sizes follow from it"


def _source_faults(where: str, app: App, packages: set[str]) -> Iterable[str]:
    given = [name for name in ("directory", "archive", "package") if getattr(app, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield f"{where}: give one of directory, archive and package, not {found}"
        return
    if (app.archive is None) != (app.sha256 is None):
        yield f"{where}.sha256: an archive has one, and nothing else does"
    if (app.package is None) != (app.root is None):
        yield f"{where}.root: a package has one, and nothing else does"
    if app.package is not None and app.package not in packages:
        yield f"{where}.package: {app.package!r} is not in `packages`"
