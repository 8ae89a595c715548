"""Owns a site of tests whose images are of mirrored packages, one of them with a fix for a CVE."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from attested import World
from clouds import Account
from comparing import Shelf, one
from promotable import ACCOUNT, Site

from goldpress import affected
from goldpress.affected import Affected
from goldpress.digest import digest_of
from goldpress.lock import KIND as LOCK
from goldpress.lock import LockedPackage
from goldpress.mirror.roots import IMAGE
from goldpress.mirror.snapshot import Snapshot
from goldpress.statements.statement import PROVENANCE, SBOM, VERIFICATION

CVE = "CVE-2026-1111"


@dataclass(frozen=True, kw_only=True)
class Patched:
    """A site whose sandbox was mirrored twice: with `tool` 1.0, and with 1.2 that has a fix."""

    site: Site
    older: Snapshot
    newer: Snapshot

    def press(self, letter: str, snapshot: Snapshot) -> World:
        """An image of what a snapshot offers, published and with all its evidence."""
        site, store = self.site, self.site.ws.store
        made = site.press(letter)
        (row,) = snapshot.repositories[0].read_packages(store)
        package = LockedPackage(
            name=row.name, epoch=row.epoch, version=row.version, release=row.release,
            arch=row.arch, sha256=row.sha256, size=row.size, repository=row.repository,
            source_rpm=row.source_rpm, signer="A" * 40, why=("asked for",),
        )  # fmt: skip
        lock = dataclasses.replace(
            made.lock, packages=(package,), snapshots={"sandbox": snapshot.digest}
        )
        store.put_document(LOCK, lock.to_document())
        rows = digest_of([[p.nevra, p.sha256] for p in lock.packages])
        manifest = dataclasses.replace(made.manifest, packages=rows)
        store.put_document("manifest", manifest.to_document())
        series = f"{site.name}.sandbox.x86_64"
        store.forget(IMAGE, series, made.image)
        store.enter(IMAGE, series, manifest.digest)
        site.images[letter] = dataclasses.replace(made, lock=lock, manifest=manifest)
        found = site.images[letter]
        found.say(PROVENANCE, found.provenance().predicate())
        found.say(SBOM, found.bill().predicate())
        found.say(VERIFICATION, found.verification().predicate())
        for region in site.regions:
            site.state(letter, site.publish(letter, region))
        return site.images[letter]

    def look(self, cve: str = CVE, **given: Any) -> Affected:
        folder = self.site.ws.project / f"images/{self.site.name}/channels"
        folder.mkdir(exist_ok=True)
        for channel in ("staging", "prod"):
            (folder / f"{channel}.yaml").write_bytes(self.site.file(channel))
        return affected.affected(self.site.ws, cve, **given)

    def launch(self, letter: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
        place = Account(emulator=self.site.emulator, id=account, region=region)
        return str(place.run(self.site.ami(letter, region).ami)["InstanceId"])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def patched(site: Site, shelf: Shelf) -> Patched:
    site.everywhere()
    site.emulator.ask("settings", {"driver": "virtual"})
    store = site.ws.store
    older = one(store, shelf.repository("1.0", "begin"), id_="sandbox")
    newer = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"), id_="sandbox")
    return Patched(site=site, older=older, newer=newer)
