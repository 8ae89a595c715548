"""Owns the upload: one EBS snapshot with the blocks of a disk, whatever interrupts its making.

The journal holds what was asked for, which snapshot it is, and how far it is; a file beside, of
this machine only, which of its blocks AWS has. Whoever comes next goes on from there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from goldpress import progress
from goldpress.aws.ebs import BLOCK_BYTES, UNKNOWN_SECONDS, Blocks, Request
from goldpress.aws.ec2 import SNAPSHOT_SECONDS, Images
from goldpress.aws.errors import cause_code, is_permanent
from goldpress.digest import canonical_json, sha256_bytes, short
from goldpress.errors import CloudError, TrustError
from goldpress.progress import Transfers
from goldpress.publish.blocks import ZEROS, ZEROS_SHA256, BlockIndex, read_block
from goldpress.publish.pace import at_pace
from goldpress.store.journal import Journal

#: One connection each. AWS: 100 are 500 MB/s; a laptop's line is full with fewer.
WORKERS = 32
#: A token that AWS knows from a lost journal leads to a snapshot that is not ours to write.
GENERATIONS = 20
#: How long a seal that was refused may still turn out to have been set by the same call.
LOST_SECONDS = 120.0
GONE = "ResourceNotFoundException"
SEALED_TWICE = frozenset({"ValidationException", "ConflictException"})


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One disk on its way into one region. `plan` tells what to begin a new snapshot with."""

    blocks: Blocks
    images: Images
    journal: Journal
    account: str
    image: str
    raw: Path
    index: BlockIndex
    records: Path
    plan: Callable[[], Request]
    parent_index: Callable[[str], BlockIndex]

    def run(self) -> tuple[str, int]:
        """(id of the completed EBS snapshot, number of blocks sent now).

        Raises CloudError; what AWS refuses for good is cleaned up first, what can be resumed is
        left as the journal says.
        """
        try:
            return self._tried()
        except CloudError as error:
            if cause_code(error) != GONE:
                raise
            # A token of a journal that was lost may stand for a snapshot that was deleted since.
            progress.note(f"{error.message}: it is made anew")
        return self._tried()

    def _tried(self) -> tuple[str, int]:
        try:
            return self._run()
        except CloudError as error:
            if is_permanent(error) and self.journal.values.get("snapshot"):
                self._abandon_after(error)
            raise

    def token(self) -> str:
        """The ClientToken: the same for the same image, place and attempt."""
        generation = self.journal.values["generation"]
        text = canonical_json([self.image, self.blocks.region, self.account, generation])
        return f"goldpress-{sha256_bytes(text)}"

    def abandon(self) -> None:
        """Delete the snapshot that was begun, and let the next attempt be another one."""
        values = self.journal.values
        if snapshot := values.get("snapshot"):
            self.images.delete_snapshot(snapshot)
            self._record(snapshot).unlink(missing_ok=True)
        self.journal.write(
            generation=values.get("generation", 0) + 1,
            request=None, snapshot=None, begun=None, sealing=None, sealed=None,
        )  # fmt: skip

    def _run(self) -> tuple[str, int]:
        self._forget_lost()
        snapshot = self.journal.values.get("snapshot") or self._begin()
        sent = 0
        if not self.journal.values.get("sealed"):
            sent = self._fill(snapshot)
        with progress.step(f"EBS snapshot in {self.blocks.region}", snapshot) as step:
            self.images.wait_completed(snapshot, step.update)
            step.update(f"{snapshot} completed")
        self._record(snapshot).unlink(missing_ok=True)
        return snapshot, sent

    def _forget_lost(self) -> None:
        """A snapshot of the journal that AWS gave up, or somebody deleted, is begun anew."""
        values = self.journal.values
        if not (snapshot := values.get("snapshot")):
            return
        found = self.images.snapshot(snapshot)
        if found is None and time.time() - values.get("begun", 0) < UNKNOWN_SECONDS:
            return  # not known everywhere yet: `put` bears with it
        if found is None or found.state == "error":
            state = "is gone" if found is None else f"failed ({found.why or 'no reason told'})"
            progress.note(f"{snapshot} in {self.blocks.region} {state}: it is made anew")
            self.abandon()

    def _begin(self) -> str:
        """The id of a snapshot that takes blocks; it is in the journal then."""
        if "request" not in self.journal.values:
            request = self.plan()
            generation = self.journal.values.get("generation", 0)
            self.journal.write(generation=generation, request=asdict(request))
        for _ in range(GENERATIONS):
            request = Request(**self.journal.values["request"])
            try:
                snapshot = self.blocks.start(request, self.token())
            except CloudError as error:
                if cause_code(error) != "ConflictException":
                    raise
            else:
                self.journal.write(snapshot=snapshot, begun=int(time.time()))
                # A token that was used before has the answer of then: what is it now?
                found = self.images.snapshot(snapshot)
                if found is None or found.state == "pending":
                    return snapshot
            # The journal of an earlier attempt was lost: its snapshot is not ours to judge.
            generation = self.journal.values["generation"] + 1
            self.journal.write(generation=generation, snapshot=None, begun=None)
        raise CloudError(
            f"image {short(self.image)} in {self.blocks.region}: AWS remembers {GENERATIONS} "
            "attempts to begin its EBS snapshot that no journal here knows",
            hint="use the store with which they were made (GOLDPRESS_STORE)",
        )

    def _fill(self, snapshot: str) -> int:
        parent = self.journal.values["request"]["parent"]
        changed = self.index.changed_from(self.parent_index(parent))
        with self._recorded(snapshot) as (there, record):
            missing = sorted(changed.keys() - there)
            self._send(snapshot, missing, changed, record)
        before = self.journal.values.get("sealing")
        self.journal.write(sealing=True)
        try:
            self.blocks.complete(snapshot, changed)
        except CloudError as error:
            # The answer to the first request may have been lost: what is sealed refuses the next.
            if cause_code(error) not in SEALED_TWICE:
                raise
            seconds = SNAPSHOT_SECONDS if before else LOST_SECONDS
            if not self.images.is_completed_within(snapshot, seconds):
                raise
        self.journal.write(sealed=True)
        return len(missing)

    def _send(
        self, snapshot: str, missing: list[int], changed: dict[int, bytes], record: int
    ) -> None:
        size = len(missing) * BLOCK_BYTES
        name = f"upload to {self.blocks.region}"
        why = f"{len(missing)} of {len(self.index.blocks)} blocks, {progress.megabytes(size)}"
        with self.raw.open("rb") as stream, progress.step(name, why) as step:
            shown = Transfers(step=step, files=len(missing), size=size, noun="blocks")

            def put(index: int) -> tuple[int, int]:
                data = self._data(stream.fileno(), index, changed[index])
                return index, self.blocks.put(snapshot, index, data, changed[index])

            for index in at_pace(missing, put, workers=WORKERS):
                os.write(record, f"{index}\n".encode())
                shown.bytes(BLOCK_BYTES)
                shown.file()
            step.update(shown.summary())

    def _data(self, descriptor: int, index: int, sha256: bytes) -> bytes:
        if sha256 == ZEROS_SHA256:
            return ZEROS
        data = read_block(descriptor, index)
        if sha256_bytes(data) != sha256.hex():
            raise TrustError(
                f"{self.raw}: block {index} changed while it was uploaded",
                hint="press the image again, and let nothing else write to its disk",
            )
        return data

    def _record(self, snapshot: str) -> Path:
        return self.records / f"{snapshot}.blocks"

    @contextmanager
    def _recorded(self, snapshot: str) -> Iterator[tuple[set[int], int]]:
        """The blocks that AWS has confirmed, and a descriptor to append further ones to."""
        path = self._record(snapshot)
        self.records.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().split("\n") if path.exists() else [""]
        # The last line may be half a number.
        there = {int(line) for line in lines[:-1]}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.lseek(descriptor, sum(len(line) + 1 for line in lines[:-1]), os.SEEK_SET)
            yield there, descriptor
        finally:
            os.close(descriptor)

    def _abandon_after(self, error: CloudError) -> None:
        try:
            self.abandon()
        except CloudError as second:
            # The first error is the one to be told; the journal knows what is left.
            error.add_note(f"its EBS snapshot stays until `./inv sweep`: {second}")
