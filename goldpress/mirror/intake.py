"""Owns the intake of one repository: its metadata as one upstream state, whatever changes there."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from goldpress.digest import sha256_file
from goldpress.distribution import Repository
from goldpress.errors import GoldpressError, MissingError, TrustError
from goldpress.host.limited import Limits, make_limited
from goldpress.mirror.metadata.index import count_packages
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.repomd import HREF, MAX_REPOMD_BYTES, READER, MetadataFile, newest
from goldpress.mirror.repository import Metadata, RepositorySnapshot
from goldpress.mirror.transfer.fetch import Fetcher
from goldpress.mirror.transfer.source import Source, refreshed
from goldpress.store import Store

#: Compressed; the largest real one (AppStream's list of files) has about 12 MB.
MAX_METADATA_BYTES = 256 << 20
#: How often a repository may change while it is taken; a compose is published within minutes.
RESTARTS = 3
#: A repository that loses more of its packages at once did not get better.
MAX_LOSS = 0.2
#: Connections for one repository; a host has a limit of its own.
_THREADS = 3
_REPOMD_LIMITS = Limits(memory=256 << 20, output=4 << 20, cpu=10, clock=60)


@dataclass(frozen=True, kw_only=True)
class _Repomd:
    """A repomd.xml that is in the store: its sha256, and the files that it names."""

    sha256: str
    files: Mapping[str, MetadataFile]

    @property
    def timestamp(self) -> int:
        return newest(self.files)


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Takes repositories into a store; ends early when `stop` is set."""

    store: Store
    fetcher: Fetcher
    stop: threading.Event = field(default_factory=threading.Event)

    def take(
        self, repository: Repository, source: Source, before: RepositorySnapshot | None
    ) -> RepositorySnapshot:
        """Bring the repository's metadata into the store and say what it is.

        `before` is what the newest snapshot has of it. When repomd.xml changes meanwhile, it
        begins again. Raises MissingError when a file cannot be had, TrustError when one is not
        what repomd.xml promises.
        """
        repomd = self._repomd(source, before)
        for restarts in range(RESTARTS + 1):
            try:
                self._keep_all(source, repomd)
                break
            except (MissingError, TrustError):
                source, again = self._changed(source, before)
                if again is None or again.sha256 == repomd.sha256 or restarts == RESTARTS:
                    raise
                repomd = again
        taken = RepositorySnapshot(
            id=repository.id,
            priority=repository.priority,
            repomd_sha256=repomd.sha256,
            metadata={
                type_: Metadata(sha256=file.sha256, size=file.size, open_size=file.open_size)
                for type_, file in sorted(repomd.files.items())
            },
            packages=0,
            timestamp=repomd.timestamp,
        )
        return replace(taken, packages=self._count(taken, before))

    def _changed(
        self, source: Source, before: RepositorySnapshot | None
    ) -> tuple[Source, _Repomd | None]:
        """The source and its repomd.xml as they are now; None when that cannot be told."""
        try:
            source = refreshed(source, self.fetcher)
            return source, self._repomd(source, before)
        except GoldpressError:
            # The first error tells what is wrong.
            return source, None

    def _repomd(self, source: Source, before: RepositorySnapshot | None) -> _Repomd:
        """The newest repomd.xml that a place has: of places without a promise, one may lag."""
        found = self._repomd_from(source)
        if before is None or source.repomd:
            return found
        for place in source.places[1:]:
            if found.timestamp >= before.timestamp:
                break
            try:
                other = self._repomd_from(replace(source, places=(place,)))
            except (MissingError, TrustError):
                # A place that is no better; there may be one that is.
                continue
            found = max(found, other, key=lambda repomd: repomd.timestamp)
        return found

    def _repomd_from(self, source: Source) -> _Repomd:
        scratch = self.store.root / "tmp" / f"repomd.{secrets.token_hex(6)}"
        try:
            fetched = self.fetcher.fetch_from(
                source,
                HREF,
                scratch,
                limit=MAX_REPOMD_BYTES,
                expected=source.repomd,
                stop=self.stop,
            )
            name = f"{source.name}/{HREF}"
            files = self._read(Packed(path=str(scratch), sha256=fetched.sha256, name=name))
            target = self.store.meta_path(fetched.sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Asked before it is there: what gc was about to delete under this name is gone then.
            known = self.store.has_meta(fetched.sha256)
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
        if not known:
            self.store.kept_meta(fetched.sha256)
        return _Repomd(sha256=fetched.sha256, files=files)

    def _read(self, repomd: Packed) -> dict[str, MetadataFile]:
        path = self.store.root / "derived" / "repomd-1" / repomd.sha256
        if not path.is_file():
            make_limited(READER, [repomd.argument()], path, what=repomd.name, limits=_REPOMD_LIMITS)
        rows: dict[str, dict[str, str | int]] = json.loads(path.read_bytes())
        return {type_: MetadataFile(**row) for type_, row in rows.items()}  # type: ignore[arg-type]

    def _keep_all(self, source: Source, repomd: _Repomd) -> None:
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            rows = sorted(repomd.files.values(), key=lambda file: -file.size)
            for kept in [pool.submit(self._keep, source, file) for file in rows]:
                kept.result()

    def _keep(self, source: Source, file: MetadataFile) -> None:
        path = self.store.meta_path(file.sha256)
        whole = not path.is_file() or sha256_file(path) == file.sha256
        if whole and self.store.has_meta(file.sha256):
            return
        self.fetcher.fetch_from(
            source,
            file.href,
            path,
            limit=MAX_METADATA_BYTES,
            sha256=file.sha256,
            size=file.size,
            stop=self.stop,
        )
        self.store.kept_meta(file.sha256)

    def _count(self, taken: RepositorySnapshot, before: RepositorySnapshot | None) -> int:
        primary = taken.metadata["primary"]
        if before is not None and before.metadata["primary"] == primary:
            return before.packages
        # The whole file is read once, strictly; later readers may rely on it.
        return count_packages(self.store, taken.packed(self.store, "primary"))


def check_step(before: RepositorySnapshot | None, now: RepositorySnapshot) -> None:
    """Raises TrustError when `now` cannot be what follows `before` in the life of a repository."""
    hint = (
        "a mirror that lags behind, or someone who serves old or broken metadata: wait, or name "
        "another place; if you know why, say `--accept`"
    )
    if now.packages == 0:
        raise TrustError(f"{now.id}: the repository is empty", hint=hint)
    if before is None:
        return
    if is_older(before, now):
        raise TrustError(
            f"{now.id}: its metadata is of {_date(now.timestamp)}, older than that of the newest "
            f"snapshot, of {_date(before.timestamp)}",
            hint=hint,
        )
    if now.packages < before.packages * (1 - MAX_LOSS):
        raise TrustError(
            f"{now.id}: has {now.packages} packages, the newest snapshot has {before.packages}",
            hint=hint,
        )


def is_older(before: RepositorySnapshot, now: RepositorySnapshot) -> bool:
    """Whether `now` was made before `before`."""
    return now.timestamp < before.timestamp


def _date(timestamp: int) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M}"
