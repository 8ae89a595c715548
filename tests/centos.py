"""Owns real CentOS Stream 9 metadata as tests ask for it: names, and who owns which path."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPOMD_HEAD = '<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
_COMMON = "{http://linux.duke.edu/metadata/common}"
_FILELISTS = "{http://linux.duke.edu/metadata/filelists}"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Package names; path -> its owners; and the packages all of whose paths are known."""

    names: frozenset[str]
    owners: dict[str, set[str]]
    complete: frozenset[str]

    def covers(self, name: str, path: str) -> bool:
        """Whether the metadata would show `path` in the package `name`: primary has only some."""
        return name in self.complete or path.startswith("/etc/") or "bin/" in path


def usable(root: Path, target: Path) -> Path:
    """The folders of `root` again, below `target`, as whole repositories.

    The collection lacks some files of each repository: those are left out of its repomd.xml.
    """
    for file in root.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(file)
    for repomd in target.rglob("repomd.xml"):
        text = repomd.read_text()
        repomd.unlink()
        for data in re.findall(r" *<data .*?</data>\n", text, re.DOTALL):
            (href,) = re.findall(r'<location href="([^"]*)"', data)
            if not (repomd.parent.parent / href).is_file():
                text = text.replace(data, "")
        repomd.write_text(text)
    return target


def packages_of(file: Path) -> ET.Element:
    with gzip.open(file) as stream:
        return ET.parse(stream).getroot()  # noqa: S314 - a file of the tester's


def read_metadata(root: Path) -> Metadata:
    """All of it, from the repositories' folders below `root`."""
    names: set[str] = set()
    owners: dict[str, set[str]] = {}
    complete: set[str] = set()
    for file in sorted(root.glob("*/repodata/*-primary.xml.gz")):
        for package in packages_of(file):
            name = package.findtext(f"{_COMMON}name") or ""
            names.add(name)
            for path in package.iter(f"{_COMMON}file"):
                owners.setdefault(path.text or "", set()).add(name)
    for file in sorted(root.rglob("*-filelists.xml.gz")):
        for package in packages_of(file):
            name = package.attrib["name"]
            names.add(name)
            complete.add(name)
            for path in package.iter(f"{_FILELISTS}file"):
                owners.setdefault(path.text or "", set()).add(name)
    assert len(names) > 5000
    return Metadata(names=frozenset(names), owners=owners, complete=frozenset(complete))
