"""Owns repositories to compare: made of small packages with changelogs, each once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from rpms import distribution, make_repository, make_rpm

from goldpress.host.run import run
from goldpress.mirror.difference.change import Difference, Findings, Source
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.store import Store

UPDATE = """\
<update from="u@example.org" status="stable" type="security" version="2.0">
<id>{id}</id><title>{id}</title><severity>{severity}</severity><description/>
<references><reference href="https://example.org/{cve}" id="{cve}" title="" type="cve"/>
</references>
<pkglist><collection short="c"><name>c</name>{module}
<package name="{name}" version="{version}" release="{release}" epoch="0" arch="noarch">
<filename>f</filename></package></collection></pkglist></update>
"""
MODULES = """\
---
document: modulemd
version: 2
data:
  name: php
  stream: 8.2
  version: 1
  context: 9
  arch: x86_64
  artifacts: {{rpms: [{artifacts}]}}
...
"""


def log(*texts: str, first: int = 1) -> str:
    """A changelog, the newest entry last in `texts`: one a day from day `first` on."""
    entries = []
    for number, text in enumerate(texts, first):
        day = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)
        entries.append(f"* {day:%a %b %d %Y} A Person <a@example.org> - 1.0-{number}\n- {text}\n")
    return "\n".join(reversed(entries))


def update(id_: str, name: str, version: str, cve: str, **more: str) -> str:
    fields = {"release": "1.el9", "severity": "Important", "module": "", **more}
    return UPDATE.format(id=id_, name=name, version=version, cve=cve, **fields)


def add(base: Path, type_: str, text: str) -> None:
    """Give a repository metadata of another type."""
    path = base / f"{type_}.xml"
    path.write_text(text)
    run(["modifyrepo_c", f"--mdtype={type_}", str(path), str(base / "repodata")], timeout=60)


def remove(base: Path, type_: str) -> None:
    run(["modifyrepo_c", "--remove", type_, str(base / "repodata")], timeout=60)


def taken(
    store: Store, bases: dict[str, Path], *, id_: str = "test-9", **changes: object
) -> Snapshot:
    found = distribution(*bases, id=id_, **changes)
    return take_snapshot(store, found, "x86_64", dict(bases), accept=True)


def one(store: Store, base: Path, *, id_: str = "test-9", repository: str = "base") -> Snapshot:
    return taken(store, {repository: base}, id_=id_)


def source(difference: Difference, name: str, stream: str = "") -> Source:
    (found,) = (s for s in difference.sources if (s.name, s.stream) == (name, stream))
    return found


def kinds(difference: Difference) -> list[tuple[str, str]]:
    return [(change.kind, change.name) for change in difference.changes]


def findings(found: Source) -> Findings:
    assert found.findings is not None
    return found.findings


def ids(found: Source) -> list[str]:
    return [cve.id for cve in findings(found).fixed]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Repositories with one package each, made when they are first asked for."""

    root: Path
    made: dict[tuple[str, str, tuple[str, ...]], Path] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)

    def repository(self, version: str, *texts: str, name: str = "tool") -> Path:
        """A copy, in a place of its own, of one with this version and these changelog entries."""
        key = (name, version, texts)
        if key not in self.made:
            where = self.root / f"made-{next(self.numbers)}"
            rpm = make_rpm(where, name, version=version, changelog=log(*texts) if texts else "")
            self.made[key] = make_repository(where / "repository", rpm)
        return shutil.copytree(self.made[key], self.root / f"copy-{next(self.numbers)}")
