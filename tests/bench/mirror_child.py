"""One action of goldpress in a process of its own, as a task of `./inv` would be.

mirror_child.py snapshot STORE {"<repository>": "<place>", ...}
mirror_child.py sync     STORE {...}      snapshot, and every package into the pool
mirror_child.py index    STORE            read the newest snapshot's packages, index made anew
mirror_child.py resolve  STORE CACHE      resolve images/web against the newest snapshot
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT)]

from goldpress.definition import load_definition  # noqa: E402 - found through the path above
from goldpress.distribution import Distribution  # noqa: E402 - as above
from goldpress.document import parse  # noqa: E402 - as above
from goldpress.mirror.snapshot import newest_snapshot, take_snapshot  # noqa: E402 - as above
from goldpress.mirror.sync import keep_packages  # noqa: E402 - as above
from goldpress.resolve import resolve  # noqa: E402 - as above
from goldpress.store import Store  # noqa: E402 - as above

#: The name of what is measured: images/web's, so that its definition resolves against it.
ID = "centos-stream-9"
ARCH = "x86_64"
#: It obsoletes the systemd-udev of the older BaseOS: the two cannot be installed together.
APART = "systemd-boot-unsigned"


def web_packages() -> tuple[str, ...]:
    """What images/web asks for, without what the metadata at hand cannot install."""
    return tuple(p for p in load_definition(PROJECT / "images/web").packages if p != APART)


def described(*repositories: str) -> Distribution:
    """A distribution with these repositories, at a place that is not asked."""
    rows = [{"id": id_, "baseurl": "file:///nowhere"} for id_ in repositories]
    value = {
        "id": ID,
        "name": "the measured one",
        "platform": "el9",
        "arches": {ARCH: {"repositories": rows}},
        "keys": [{"fingerprint": "A" * 40, "url": "file:///nowhere"}],
    }
    return parse(Distribution, value, name=ID)


def snapshot(store: Store, sources: dict[str, str]) -> str:
    """How many seconds a new snapshot took by itself."""
    begin = time.perf_counter()
    take_snapshot(store, described(*sources), ARCH, sources)
    return f"{time.perf_counter() - begin:.3f}"


def sync(store: Store, sources: dict[str, str]) -> str:
    """How many packages were brought."""
    taken = take_snapshot(store, described(*sources), ARCH, sources)
    wanted = [
        (package.sha256, package.href, package.size, repository.id)
        for repository in taken.repositories
        for package in repository.read_packages(store)
    ]
    return str(keep_packages(store, taken, sources, wanted).fetched)


def index(store: Store) -> str:
    """How many packages there are, the XML read anew."""
    shutil.rmtree(store.root / "derived", ignore_errors=True)
    taken = newest_snapshot(store, ID, ARCH)
    return str(sum(1 for r in taken.repositories for _ in r.read_packages(store)))


def lock(store: Store, cache: Path) -> str:
    """How many packages the web image needs."""
    wanted = load_definition(PROJECT / "images/web").model_copy(update={"packages": web_packages()})
    newest = newest_snapshot(store, ID, ARCH)
    return str(len(resolve(store, [newest], wanted, cache=cache).packages))


def main(arguments: list[str]) -> None:
    """Do the action, and print its result."""
    action, root, *rest = arguments
    store = Store(root=Path(root))
    if action == "snapshot":
        result = snapshot(store, json.loads(rest[0]))
    elif action == "sync":
        result = sync(store, json.loads(rest[0]))
    elif action == "index":
        result = index(store)
    elif action == "resolve":
        result = lock(store, Path(rest[0]))
    else:
        raise SystemExit(f"unknown action {action!r}")
    sys.stdout.write(f"{result}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
