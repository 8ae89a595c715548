"""What the mirror costs, as ratios of what dnf, reposync and createrepo_c take in the same run.

Run by `./inv bench.mirror`; prints one JSON document. Not a test: time is no pass or fail. The
parts that read real metadata need GOLDPRESS_REAL_METADATA, and say so without it; the churn needs
`dnf reposync` (Debian's dnf-plugins-core).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent)]

from centos import usable  # noqa: E402 - found through the path above
from measured import Cost, cost, tree_bytes  # noqa: E402 - as above
from mirror_child import web_packages  # noqa: E402 - as above
from mirror_churn import CHANGED, PACKAGES, churn, make_upstream, served  # noqa: E402 - as above

from goldpress.host.run import run  # noqa: E402 - as above

CHILD = Path(__file__).with_name("mirror_child.py")
REAL = "GOLDPRESS_REAL_METADATA"
MIB = 1 << 20


def ours(*words: str | Path) -> Cost:
    """What an action of `mirror_child.py` takes."""
    return cost([sys.executable, CHILD, *words])


def dnf(work: Path, repositories: dict[str, str], *words: str | Path, status: int = 0) -> Cost:
    """What dnf takes, in an empty root of its own, with these repositories alone."""
    settings = {
        "reposdir": "/nonexistent",
        "install_weak_deps": "False",
        "module_platform_id": "platform:el9",
        "gpgcheck": "0",
        **{name: str(work / name) for name in ("cachedir", "logdir", "persistdir")},
    }
    (work / "logdir").mkdir(parents=True, exist_ok=True)
    options = [f"--setopt={name}={value}" for name, value in settings.items()]
    options += [f"--repofrompath={name},{place}" for name, place in repositories.items()]
    root = ["--installroot", str(work / "root"), "--releasever", "9"]
    return cost(["dnf", "-q", *root, *options, *words], status=status)


def ratio(one: float, other: float) -> float:
    """How much `one` is of `other`."""
    return round(one / other, 3)


def beside(one: Cost, other: Cost) -> dict[str, float]:
    """Wall time in seconds; it and the CPU time as ratios of the other's."""
    return {
        "seconds": round(one.seconds, 2),
        "wall_ratio": ratio(one.seconds, other.seconds),
        "cpu_ratio": ratio(one.cpu, other.cpu),
    }


def real_metadata(work: Path) -> dict[str, Any]:
    """Snapshot, parsing and lock on the real repositories, beside dnf."""
    root = usable(Path(os.environ[REAL]) / "centos-stream-9", work / "centos")
    places = {"baseos": "BaseOS-2022-02-07", "appstream": "AppStream-2025-01-13"}
    sources = {name: str(root / folder) for name, folder in places.items()}
    store = work / "store"
    first = ours("snapshot", store, json.dumps(sources))
    second = ours("snapshot", store, json.dumps(sources))
    parsed = ours("index", store)
    cold = ours("resolve", store, work / "cache")
    warm = ours("resolve", store, work / "cache")

    theirs = {name: f"file://{place}" for name, place in sources.items()}
    loaded = dnf(work / "load", theirs, "makecache")
    asked = ("--assumeno", "install", *web_packages())
    # It ends with failure, because the answer to its question is no.
    dnf_cold = dnf(work / "dnf", theirs, *asked, status=1)
    dnf_warm = dnf(work / "dnf", theirs, *asked, status=1)
    return {
        "lock_of_web": {
            "packages": int(cold.output),
            "cold, to dnf --assumeno": beside(cold, dnf_cold),
            "warm, to dnf --assumeno": beside(warm, dnf_warm),
        },
        # Without the start of Python, which all the others have in them.
        "snapshot_cut_seconds": {"first": float(first.output), "nothing new": float(second.output)},
        "parse": {
            "packages": int(parsed.output),
            "to dnf makecache": beside(parsed, loaded),
            "peak_mib": round(parsed.peak / MIB),
            "peak_ratio": ratio(parsed.peak, loaded.peak),
        },
    }


def second_sync(work: Path) -> dict[str, Any]:
    """A sync after a hundredth of the packages changed: bytes it adds, and how long it takes."""
    upstream = make_upstream(work)
    with served(upstream) as url:
        store = work / "store"
        sources = json.dumps({"churn": url})
        first = ours("sync", store, sources)
        in_place, dated = work / "in-place", work / "dated"
        first_reposync = reposync(work, url, in_place)
        before = {place: tree_bytes(place) for place in (store, in_place)}
        churn(work, upstream)
        second = ours("sync", store, sources)
        again = reposync(work, url, in_place)
        anew = reposync(work, url, dated)
    if (int(first.output), int(second.output)) != (PACKAGES, CHANGED):
        raise RuntimeError(f"brought {first.output} and {second.output} packages")
    for place in (in_place, dated):
        if len(list(place.rglob("*.rpm"))) != PACKAGES + CHANGED:
            raise RuntimeError(f"{place}: reposync brought something else")
    added = tree_bytes(store) - before[store]
    grown = tree_bytes(in_place) - before[in_place]
    return {
        "packages": PACKAGES,
        "changed": CHANGED,
        "added_bytes": added,
        "the first, to dnf reposync + createrepo_c": beside(first, first_reposync),
        # Of the older state only the packages are left after it.
        "to the same in place": {**beside(second, again), "bytes_ratio": ratio(added, grown)},
        # Both states are there after it, as with a snapshot.
        "to the same beside it": {
            **beside(second, anew),
            "bytes_ratio": ratio(added, tree_bytes(dated)),
        },
    }


def reposync(work: Path, url: str, target: Path) -> Cost:
    """What `dnf reposync` and `createrepo_c` take together."""
    words = ["reposync", "--repo", "churn", "--norepopath", "--download-path", str(target)]
    synced = dnf(work / "reposync", {"churn": url}, "--refresh", *words)
    update = ["--update"] if (target / "repodata").exists() else []
    indexed = cost(["createrepo_c", "-q", "--no-database", *update, target])
    return Cost(
        seconds=synced.seconds + indexed.seconds,
        cpu=synced.cpu + indexed.cpu,
        peak=max(synced.peak, indexed.peak),
        output="",
    )


def main() -> None:
    """Measure everything that can be measured here."""
    result: dict[str, Any] = {}
    work = Path(tempfile.mkdtemp(prefix="bench-mirror-"))
    try:
        if os.environ.get(REAL):
            result |= real_metadata(work / "real")
        else:
            result["not_measured"] = {"lock, snapshot, parse": f"{REAL} is not set"}
        if run(["dnf", "reposync", "--help"], check=False).returncode:
            raise SystemExit("`dnf reposync` is not there; run: apt-get install dnf-plugins-core")
        (work / "churn").mkdir()
        result["second_sync"] = second_sync(work / "churn")
    finally:
        shutil.rmtree(work)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
