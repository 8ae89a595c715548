"""Owns which packages of real CentOS Stream 9 the web image consists of, and what they install."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from centos import packages_of
from pressing import PROJECT
from rpms import distribution

from goldpress.definition import load_definition
from goldpress.errors import ResolveError
from goldpress.mirror.snapshot import take_snapshot
from goldpress.resolve import resolve
from goldpress.store import Store

FILELISTS = "{http://linux.duke.edu/metadata/filelists}"
#: They need a newer BaseOS than the one whose dependencies are at hand: looked at by themselves, or
#: by what they need beside exactly that systemd, as AppStream's primary metadata says.
APART = {
    "systemd-boot-unsigned": ("systemd-boot-unsigned",),
    "systemd-journal-remote": ("firewalld-filesystem", "gnutls", "libcurl", "libmicrohttpd"),
}
#: Packages that the others need in that newer BaseOS, as its file lists and kernels show.
NEWER = ("kernel-modules-core",)


@dataclass(frozen=True, kw_only=True)
class Closure:
    """The names of all packages of the image, and what those of BaseOS install.

    `paths` is path -> (package, kind); kinds are ``file``, ``dir`` and ``ghost``. AppStream's file
    lists are not at hand.
    """

    names: frozenset[str]
    paths: dict[str, tuple[str, str]]


def names_of(root: Path, folder: Path) -> frozenset[str]:
    """The packages of the image, as far as the metadata below `root` can tell."""
    web = load_definition(PROJECT / "images/web")
    sources = {
        "baseos": root / "BaseOS-2022-02-07",
        "appstream": root / "AppStream-2025-01-13",
    }
    store = Store(root=folder / "store")
    described = distribution(*sources, id="centos-stream-9")
    real = take_snapshot(store, described, "x86_64", sources)

    def together(packages: Iterable[str]) -> set[str]:
        asked = web.model_copy(update={"packages": tuple(packages)})
        return {p.name for p in resolve(store, [real], asked, cache=folder / "cache").packages}

    others = [name for name in web.packages if name not in APART]
    for name in APART:
        with pytest.raises(ResolveError, match=name):
            together([*others, name])  # the day that this resolves, it has to go from APART
    found = together(others)
    return frozenset(found.union(NEWER, APART, *map(together, APART.values())))


@pytest.fixture(scope="session")
def closure(real_metadata: Path, tmp_path_factory: pytest.TempPathFactory) -> Closure:
    """The web image's packages; for tests with the marker `metadata`."""
    names = names_of(real_metadata, tmp_path_factory.mktemp("closure"))
    (lists,) = (real_metadata / "BaseOS-2025-filelists").glob("*-filelists.xml.gz")
    paths: dict[str, tuple[str, str]] = {}
    for package in packages_of(lists):
        name = package.attrib["name"]
        if name in names and package.attrib["arch"] in {"x86_64", "noarch"}:
            for path in package.iter(f"{FILELISTS}file"):
                paths[path.text or ""] = (name, path.get("type", "file"))
    assert set(NEWER) <= {name for name, _ in paths.values()}
    return Closure(names=names, paths=paths)
