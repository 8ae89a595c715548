"""Owns what the image does not have: Apache, mod_php, PostgreSQL and wrk, unpacked in a tree.

They come from Debian's archive as the sandbox's packages do, PHP in the very version of the
sandbox. Nothing is installed on the host: no maintainer script runs, no service is started, and
root is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.digest import digest_of, sha256_bytes, sha256_file
from goldpress.errors import CommandError, MissingError
from goldpress.host.run import run
from goldpress.progress import Step
from goldpress.sandbox import closure as closures
from goldpress.sandbox import mirror
from goldpress.sandbox.closure import Closure
from goldpress.sandbox.tree import unpack_argv
from goldpress.stage import Product, Stage
from goldpress.workspace import Workspace

#: Where the tree is seen.
DEBIAN = "/debian"
WEB_USER, WEB_UID = "www-data", 33
DATABASE_USER, DATABASE_UID = "postgres", 26
NOBODY_UID = 65534
WANTED = ("apache2-bin", "dash", "postgresql-15", "wrk")
#: In the version that the image has.
PHP = ("libapache2-mod-php8.2", "php8.2-apcu", "php8.2-opcache", "php8.2-pgsql")
#: Over these the image's files are mounted, and what is made for one run.
FOLDERS = (
    "dev", "etc/goldpress", "etc/php.d", "proc", "run", "srv", "tmp", "usr/share/goldpress",
    "var/lib", "kept",
)  # fmt: skip
ACCOUNTS = {
    "root": 0,
    DATABASE_USER: DATABASE_UID,
    WEB_USER: WEB_UID,
    "nobody": NOBODY_UID,
}
REFRESH = "make the sandbox of today's packages: ./inv mirror.sync --sandbox --refresh"


def wanted_packages(sandbox: Closure | None) -> tuple[str, ...]:
    """What to ask apt for. Raises MissingError when the sandbox has no such PHP."""
    known = sandbox.by_name if sandbox else {}
    # The image has PHP-FPM of the same source instead.
    twins = {"libapache2-mod-php8.2": "php8.2-fpm"}
    versions = {name: known.get(twins.get(name, name)) for name in PHP}
    if lacking := [name for name, deb in versions.items() if deb is None]:
        raise MissingError(
            f"the sandbox is made of no package that tells the version of {', '.join(lacking)}",
            hint="make it: ./inv mirror.sync --sandbox",
        )
    return (*WANTED, *(f"{name}={deb.version}" for name, deb in versions.items() if deb))


def versions(closure: Closure) -> dict[str, str]:
    """The versions that a result tells, without Debian's own part."""
    names = {"apache": "apache2-bin", "postgresql": "postgresql-15", "wrk": "wrk"}
    return {n: closure.by_name[deb].version.partition("-")[0] for n, deb in names.items()}


def closure_of(work: Path, wanted: tuple[str, ...]) -> Closure:
    """Every package that is needed, their files in ``work/debs``. Raises CommandError."""
    kept = closures.read_closure(work / "closure.json")
    apt = mirror.Apt(state=work / "apt")
    try:
        if kept is None or kept.wanted != wanted:
            with progress.step("choose Debian's packages"):
                apt.prepare(mirror.find_sources(os.environ))
                kept = closures.resolve(apt, wanted)
            closures.store_closure(work / "closure.json", kept)
        if absent := closures.missing(kept.debs, work / "debs"):
            with progress.step(f"download {len(absent)} packages"):
                apt.prepare(mirror.find_sources(os.environ))
                apt.update()
                closures.download(apt, absent, work / "debs")
    except CommandError as error:
        hint = f"a version that the archive has dropped: {REFRESH}"
        raise CommandError(error.message, hint=hint) from error
    return kept


def debian_tree(ws: Workspace) -> tuple[Product, Closure]:
    """The tree, and the packages in it: made when it is not there. Raises as its parts do."""
    sandbox = closures.read_closure(ws.sandbox / "closure.json")
    work = ws.build / "bench-web"
    work.mkdir(parents=True, exist_ok=True)
    closure = closure_of(work, wanted_packages(sandbox))
    stage = Stage(
        root=ws.build,
        name="bench-web",
        scope="debian",
        title=f"unpack {len(closure.debs)} packages",
        inputs={
            "packages": sha256_bytes(closures.closure_json(closure)),
            "accounts": digest_of(ACCOUNTS),
            "code": sha256_file(Path(__file__)),
        },
    )

    def make(directory: Path, _step: Step) -> Mapping[str, Any]:
        tree = directory / "tree"
        for folder in FOLDERS:
            (tree / folder).mkdir(parents=True, exist_ok=True)
        for deb in closure.debs:
            run(unpack_argv(work / "debs" / deb.file_name, tree), what=f"unpack {deb.name}")
        (tree / "etc/php.ini").touch()
        for name, text in accounts().items():
            (tree / name).write_text(text)
        return {}

    return stage.run(make), closure


def accounts() -> dict[str, str]:
    """passwd and group, which maintainer scripts would have made."""
    rows = ACCOUNTS.items()
    return {
        "etc/passwd": "".join(f"{n}:x:{i}:{i}::/:/usr/sbin/nologin\n" for n, i in rows),
        "etc/group": "".join(f"{n}:x:{i}:\n" for n, i in rows),
    }
