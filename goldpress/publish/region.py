"""Owns publishing to one region: looked at, uploaded, registered, shared, written down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from goldpress import ami as amis
from goldpress import progress
from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.aws.ebs import Blocks, Request
from goldpress.aws.ec2 import Image, Images, Registration
from goldpress.aws.errors import is_permanent
from goldpress.errors import CloudError, GoldpressError
from goldpress.manifest import ImageManifest
from goldpress.publish import parent as parents
from goldpress.publish import preflight, register
from goldpress.publish.audit import audit
from goldpress.publish.blocks import NOTHING, BlockIndex, keep_index, read_index, volume_gib
from goldpress.publish.register import Wishes
from goldpress.publish.settings import Settings, Target
from goldpress.publish.upload import WORKERS, Upload
from goldpress.store import Store
from goldpress.store.journal import Journal

PREFIX = "journals/publish/"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What publishing to a region came to; `sent` blocks went over the line this time."""

    ami: Ami
    document: str
    state: str
    sent: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One image on its way to one region. `records` is a directory of this machine."""

    access: Access
    store: Store
    records: Path
    manifest: ImageManifest
    raw: Path
    index: BlockIndex
    promises: str
    settings: Settings
    target: Target
    account: str

    @cached_property
    def images(self) -> Images:
        """EC2 there."""
        return Images.at(self.access, self.target.region)

    @cached_property
    def blocks(self) -> Blocks:
        """The EBS direct API there."""
        return Blocks.at(self.access, self.target.region, connections=WORKERS)

    @cached_property
    def encryption(self) -> parents.Encryption:
        """The key there, checked. Raises CloudError."""
        return preflight.choose_encryption(
            self.access,
            self.images,
            kms_key=self.target.kms_key,
            account=self.account,
            share_with=self.settings.share_with,
        )

    @property
    def journal_key(self) -> str:
        """Where the store has the journal."""
        return journal_key(self.account, self.target.region, self.manifest.digest)

    @property
    def series(self) -> str:
        """Under which name the ledger has the AMIs before this one."""
        return amis.series(
            name=self.manifest.name,
            distribution=self.manifest.distribution,
            arch=self.manifest.arch,
            account=self.account,
            region=self.target.region,
        )

    def publish(self) -> Published:
        """The AMI, made or found. Raises CloudError, ConflictError, TrustError."""
        _ = self.encryption  # what is wrong with the key is told before anything is made
        journal = self._journal()
        found = self.images.named(register.ami_name(self.manifest))
        if found is not None:
            return self._adopt(found, journal)
        upload = self._upload(journal)
        snapshot, sent = upload.run()
        wanted = self._registration(snapshot)
        try:
            image = register.register(
                self.images, wanted, same_content=lambda other: self._same(other, journal)
            )
        except GoldpressError as error:
            if not isinstance(error, CloudError) or is_permanent(error):
                self._give_up(upload, error)
            raise
        if image.snapshot != snapshot:
            # Somebody published the very same in this moment: theirs is as good.
            upload.abandon()
        return self._settle(image, journal, sent)

    def _registration(self, snapshot: str) -> Registration:
        return register.registration(
            self.manifest,
            snapshot=snapshot,
            volume_gib=volume_gib(self.manifest.disk_bytes),
            root_device=self.settings.root_device,
            tpm=self.settings.tpm,
        )

    def _adopt(self, found: Image, journal: Journal) -> Published:
        register.check(
            self.images,
            found,
            self._registration(found.snapshot),
            same_content=lambda other: self._same(other, journal),
        )
        if journal.values.get("snapshot", found.snapshot) != found.snapshot:
            self._upload(journal).abandon()
        image = found
        if found.state != "available":
            image = self.images.wait_available(found.id, lambda _: None)
        return self._settle(image, journal, 0)

    def _settle(self, image: Image, journal: Journal, sent: int) -> Published:
        settings = self.settings
        journal.write(ami=image.id, snapshot=image.snapshot, sealed=True)
        register.settle(
            self.images,
            image,
            Wishes(
                share_with=settings.share_with,
                deprecate_after_days=settings.deprecate_after_days,
                protect=settings.protect,
            ),
        )
        made = self._document(image)
        document = amis.keep(self.store, made)
        journal.write(done=document)
        blocks = len(self.index.blocks)
        return Published(ami=made, document=document, state=image.state, sent=sent, blocks=blocks)

    def _document(self, image: Image) -> Ami:
        return Ami(
            image=self.manifest.digest,
            name=self.manifest.name,
            distribution=self.manifest.distribution,
            stand_in=self.manifest.stand_in,
            arch=self.manifest.arch,
            account=self.account,
            region=self.target.region,
            emulated=self.access.emulated,
            ami=image.id,
            ami_name=image.name,
            snapshot=image.snapshot,
            kms_key=self.encryption.kms_key,
            volume_gib=volume_gib(self.manifest.disk_bytes),
            root_device=self.settings.root_device,
            block_root=self.index.root,
            blocks=keep_index(self.store, self.index),
            promises=self.promises,
        )

    def _same(self, found: Image, journal: Journal) -> None:
        """Raises unless the AMI's disk is this image, encrypted as it should be."""
        snapshot = self.images.snapshot(found.snapshot)
        reason = parents.refusal(snapshot, self.encryption, volume_gib(self.manifest.disk_bytes))
        if reason:
            raise CloudError(
                f"{found.id} in {self.target.region} has the image's name, but its EBS snapshot "
                f"{found.snapshot} {reason}",
                hint="deregister it if nothing uses it, then run the command again",
            )
        values = journal.values
        if values.get("sealed") and values.get("snapshot") == found.snapshot:
            return  # sealed by AWS with the checksum of exactly these blocks
        known = next((ami for ami in self._before() if ami.ami == found.id), None)
        if known and (known.snapshot, known.block_root) == (found.snapshot, self.index.root):
            return
        progress.note(f"{found.id} is not in the journal: its blocks are read back")
        audit(self.blocks, found.snapshot, self.index)

    def _before(self) -> Iterator[Ami]:
        return amis.newest_first(self.store, self.series)

    def uploading(self) -> Upload:
        """The upload alone, without an AMI. Raises CloudError for a wrong key."""
        return self._upload(self._journal())

    def _journal(self) -> Journal:
        journal = Journal.read(self.store.objects, self.journal_key)
        if journal.values and journal.values.get("endpoint", "") != self.access.endpoint:
            # Of an embedded cloud that has ended, and with it all that the journal tells of.
            journal.clear()
        return journal

    def _upload(self, journal: Journal) -> Upload:
        journal.write(
            emulated=self.access.emulated, role=self.access.role,
            endpoint=self.access.endpoint,
        )  # fmt: skip
        return Upload(
            blocks=self.blocks,
            images=self.images,
            journal=journal,
            account=self.account,
            image=self.manifest.digest,
            raw=self.raw,
            index=self.index,
            records=self.records,
            plan=self._plan,
            parent_index=self._parent_index,
        )

    def _plan(self) -> Request:
        """What a new snapshot is begun with."""
        size = volume_gib(self.manifest.disk_bytes)
        found = parents.choose(self._before(), self.images, self.encryption, size)
        if found.why_not:
            kind = "full upload" if found.ami is None else "older parent"
            progress.note(f"{kind} to {self.target.region}: {found.why_not}")
        encryption = self.encryption
        return Request(
            volume_gib=size,
            description=f"goldpress {self.manifest.name} {self.manifest.digest}",
            tags=register.tags(self.manifest),
            parent=found.ami.snapshot if found.ami else "",
            kms_key="" if found.ami or encryption.by_default else encryption.kms_key,
        )

    def _parent_index(self, snapshot: str) -> BlockIndex:
        if not snapshot:
            return NOTHING
        known = next(ami for ami in self._before() if ami.snapshot == snapshot)
        return read_index(self.store, known.blocks)

    def _give_up(self, upload: Upload, error: GoldpressError) -> None:
        try:
            upload.abandon()
        except CloudError as second:
            error.add_note(f"its EBS snapshot stays until `./inv sweep`: {second}")


def journal_key(account: str, region: str, image: str) -> str:
    """The key of the journal of an image's publication."""
    return f"{PREFIX}{account}/{region}/{image.removeprefix('sha256:')}.json"
