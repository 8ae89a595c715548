"""Owns a small image of tests about which everything is said: its documents and statements."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from signed import manifest, signer, trust

from goldpress import ami as amis
from goldpress.ami import Ami
from goldpress.digest import digest_of
from goldpress.lock import KIND as LOCK
from goldpress.lock import Lock, LockedPackage
from goldpress.manifest import ImageManifest
from goldpress.publish.blocks import BlockIndex, keep_index
from goldpress.statements.judged import PROMISES
from goldpress.statements.provenance import Provenance, Source, provenance_of
from goldpress.statements.publication import Publication
from goldpress.statements.rpmdb import Installed
from goldpress.statements.sbom import Bill, bill_of
from goldpress.statements.shelf import say
from goldpress.statements.signing import Signer
from goldpress.statements.statement import (
    PROVENANCE,
    PUBLICATION,
    SBOM,
    VERIFICATION,
    Statement,
)
from goldpress.statements.trust import Trust
from goldpress.statements.verification import Launched, Verification
from goldpress.store import Store
from goldpress.verify.evidence import Boot, Check, Evidence, Subject, VerifiedMachine

COMMIT = "c0ffee" + "0" * 34
ACCOUNT, REGION, AMI_ID = "123456789012", "us-east-1", "ami-0123456789abcdef0"
#: Two blocks with data.
INDEX = BlockIndex(blocks={0: hashlib.sha256(b"a").digest(), 5: hashlib.sha256(b"b").digest()})
PLAIN = LockedPackage(
    name="bash", epoch=0, version="5.1.8", release="9.el9", arch="x86_64", sha256="b" * 64,
    size=1700000, repository="baseos", source_rpm="bash-5.1.8-9.el9.src.rpm", signer="A" * 40,
    why=("asked for",),
)  # fmt: skip
ODD = replace(
    PLAIN, name="libstdc++", epoch=2, version="11.5.0~rc1", release="2.module_el9+750^1",
    sha256="c" * 64, source_rpm="gcc-11.5.0~rc1-2.module_el9+750^1.src.rpm",
)  # fmt: skip
GOOD = Check(control="os-tree", test="test_tree::test_a", outcome="passed", seconds=0.1)
BOOTED = Check(control="os-sshd", test="test_ssh::test_b", outcome="passed", seconds=1e-05)
TOOLS = {"rpm": "4.18.0+dfsg-1", "goldpress": f"sha256:{'e' * 64}", "python": "3.11.2"}


@dataclass(frozen=True, kw_only=True)
class World:
    """An image, what is known of it, and who signs."""

    store: Store
    stand_in: bool
    lock: Lock
    manifest: ImageManifest
    signer: Signer
    promises: Mapping[str, Any]
    trust: Trust = field(default_factory=Trust)

    @property
    def image(self) -> str:
        return self.manifest.digest

    def installed(self) -> dict[str, Installed]:
        return {
            p.nevra: Installed(
                nevra=p.nevra, license="GPLv3+", vendor="CentOS", url="https://x.org"
            )
            for p in self.lock.packages
        }

    def provenance(self, **changes: Any) -> Provenance:
        source = Source(commit=COMMIT, clean=True)
        made = provenance_of(self.manifest, self.lock, source=source, tools=TOOLS)
        return replace(made, **changes)

    def bill(self, **changes: Any) -> Bill:
        return replace(bill_of(self.manifest, self.lock, self.installed()), **changes)

    def evidence(self, *, kind: str = "qemu", **changes: Any) -> Evidence:
        made = Evidence(
            subject=Subject(image_digest=self.image, disk_sha256=self.manifest.disk_sha256),
            distribution=self.manifest.distribution,
            stand_in=self.stand_in,
            machine=VerifiedMachine(kind=kind, firmware="uefi", accelerator="tcg", uuid="u"),
            suite_sha256="3" * 64,
            input_digest=digest_of(self.promises),
            not_exercised={"os-crypto": "the stand-in has none"} if self.stand_in else {},
            offline=(GOOD,),
            boots=(boot(1), boot(2)),
        )
        return replace(made, **changes)

    def ami(self, **changes: Any) -> Ami:
        made = Ami(
            image=self.image, name="web", distribution=self.manifest.distribution,
            stand_in=self.stand_in, arch="x86_64", account=ACCOUNT, region=REGION,
            emulated=self.stand_in, ami=AMI_ID, ami_name="web/x", snapshot="snap-0123456789abcdef0",
            kms_key="", volume_gib=1, root_device="/dev/xvda", block_root=INDEX.root,
            blocks=keep_index(self.store, INDEX), promises=digest_of(self.promises),
        )  # fmt: skip
        return replace(made, **changes)

    def publication(self, **changes: Any) -> Publication:
        made = self.ami(**changes)
        amis.keep(self.store, made)
        return Publication(ami=made, block_root=INDEX.root, blocks=len(INDEX.blocks))

    def verification(self, **changes: Any) -> Verification:
        found = self.evidence(**changes)
        self.store.put_document("evidence", found.to_document())
        return Verification(evidence=found)

    def trial(self, *, launched: Launched | None = None, **changes: Any) -> Verification:
        place = launched or Launched(account=ACCOUNT, region=REGION, ami=AMI_ID)
        given = {
            "kind": "ec2-emulated" if self.stand_in else "ec2",
            "subject": replace(self.evidence().subject, ami=place.ami),
            "offline": (),
            "boots": (boot(1),),
            "rests_on": digest_of(self.evidence().to_document()),
            **changes,
        }
        found = self.evidence(**given)
        self.store.put_document("evidence", found.to_document())
        return Verification(evidence=found, launched=place)

    def say(self, type_: str, predicate: Mapping[str, Any], *, image: str = "") -> str:
        """Sign and keep something about the image; returns the statement's digest."""
        said = Statement(image=image or self.image, predicate_type=type_, predicate=predicate)
        return say(self.store, said, self.signer, self.trust)

    def say_all(self, *but: str) -> None:
        """All that closes the chain, but these links."""
        rows = {
            "provenance": (PROVENANCE, self.provenance()),
            "sbom": (SBOM, self.bill()),
            "verification": (VERIFICATION, self.verification()),
            "publication": (PUBLICATION, self.publication()),
            "trial": (VERIFICATION, self.trial()),
        }
        for name, (type_, value) in rows.items():
            if name not in but:
                self.say(type_, value.predicate())  # type: ignore[attr-defined]

    def put(self, data: dict[str, Any]) -> None:
        """Put a document onto the shelf as somebody would who can write to the store."""
        self.store.enter("statement", self.image, self.store.put_document("statement", data))


def boot(number: int, *checks: Check) -> Boot:
    return Boot(
        number=number,
        host_key=f"SHA256:{'A' * 43}",
        checks=checks or (BOOTED,),
        faults=(),
        started="2025-01-01T00:00:00+00:00",
        ended="2025-01-01T00:01:00+00:00",
        boot_to_200_seconds=31.5,
        console_sha256="5" * 64,
        junit_sha256="6" * 64,
    )


def lock_of(*packages: LockedPackage, stand_in: bool) -> Lock:
    name = "sandbox" if stand_in else "centos-stream-9"
    return Lock(
        distribution=name, stand_in=stand_in, arch="x86_64", platform="el9",
        snapshots={name: f"sha256:{'d' * 64}"}, request={"packages": ["bash"]},
        resolver="libsolv 1", source_date_epoch=1700000000, modules={},
        packages=packages or (PLAIN, ODD),
    )  # fmt: skip


def world(store: Store, *, stand_in: bool = True) -> World:
    """An image whose documents are in the store, and about which nothing was said yet."""
    lock = lock_of(stand_in=stand_in)
    store.put_document(LOCK, lock.to_document())
    made = manifest(
        distribution=lock.distribution,
        stand_in=stand_in,
        packages=digest_of([[p.nevra, p.sha256] for p in lock.packages]),
        block_root=INDEX.root,
    )
    store.put_document("manifest", made.to_document())
    promises = {
        "image": made.name, "distribution": made.distribution, "stand_in": stand_in,
        "arch": made.arch, "root_hash": made.root_hash,
        "expected": {"offline": ["os-tree"], "booted": ["os-sshd"]},
    }  # fmt: skip
    store.put_document(PROMISES, promises)
    key = signer(stand_in=stand_in)
    return World(
        store=store, stand_in=stand_in, lock=lock, manifest=made, signer=key, promises=promises,
        trust=trust(key),
    )  # fmt: skip
