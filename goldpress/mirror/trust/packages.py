"""Owns trust in packages: right bytes, signed by an allowed key, and what they say they are.

Every file is hashed before each use. Its signature and header are looked at once for a set of
keys: what was seen is kept by sha256, and is compared with what is expected each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

from goldpress.digest import sha256_file
from goldpress.distribution import Signers
from goldpress.errors import MissingError, TrustError
from goldpress.lock import Lock
from goldpress.mirror.transfer.partial import claimed, incoming_path
from goldpress.mirror.trust.keys import PublicKey, public_keys
from goldpress.mirror.trust.rpmkeys import Verdict, key_database, look
from goldpress.mirror.trust.verdicts import Verdicts
from goldpress.progress import Step, step
from goldpress.store import Store

#: Command lines have a limit, and short batches keep both workers busy to the end.
BATCH = 40
WORKERS = 2
#: A shared store takes as many at once as a sync brings.
TAKERS = 8
#: How many refused packages a message names beside the first.
NAMED = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


class Expected(Protocol):
    """What a package has to be: a locked or an available package."""

    @property
    def sha256(self) -> str:
        """The sha256 of the file, 64 hex digits."""

    @property
    def size(self) -> int:
        """The size of the file in bytes."""

    @property
    def nevra(self) -> str:
        """``name-epoch:version-release.arch``."""

    @property
    def source_rpm(self) -> str:
        """The file name of the source package."""

    @property
    def repository(self) -> str:
        """The id of the repository that offers it; each key signs for some."""


@dataclass(frozen=True, kw_only=True)
class TrustedPackages:
    """A lock and its packages in the pool, checked; `paths` is in the order of the lock's."""

    lock: Lock
    paths: tuple[Path, ...]


def trusted(store: Store, lock: Lock, signers: Signers, cache: Path) -> TrustedPackages:
    """The packages of a lock after every check of `check_packages`, and of who signed each."""
    found = check_packages(store, lock.packages, signers, cache)
    for package in lock.packages:
        if found[package.sha256] != package.signer:
            raise TrustError(
                f"{package.nevra}: signed by {found[package.sha256]}, expected {package.signer} "
                "as locked",
                hint="find out why the signer changed, then run `./inv lock`",
            )
    paths = tuple(store.package(package.sha256) for package in lock.packages)
    return TrustedPackages(lock=lock, paths=paths)


def check_packages(
    store: Store, packages: Sequence[Expected], signers: Signers, cache: Path
) -> dict[str, str]:
    """The signer's fingerprint by sha256, once every package in the pool passed every check.

    Checked: sha256 and size, a valid signature by a key that may sign for the package's
    repository, valid digests of header and payload, and that the header's NEVRA and source are the
    expected ones. `cache` is a directory of this machine. Raises MissingError for a package that
    is not in the pool, TrustError for one that is not what was expected.
    """
    court = _Court.of(signers, cache)
    with step("check packages", f"{len(packages)}: bytes, signatures, headers") as progress:
        paths = _present(store, packages)
        found = court.judge(packages, paths, progress)
        for package in packages:
            if package.sha256 in court.refused:
                raise court.refused[package.sha256]
    return found


def accept_packages(
    store: Store, packages: Sequence[Expected], signers: Signers, cache: Path
) -> None:
    """Take those of these packages that wait beside the pool into it, after `check_packages`.

    One that is refused is deleted; what is good is taken, and shared, all the same. Raises
    TrustError for the first refusal, naming the others.
    """
    # Another sync that judges the same files would move them away from under rpm.
    with claimed(store.root / "tmp" / "judging", threading.Event()):
        waiting = [p for p in packages if incoming_path(store.root, p.sha256).is_file()]
        if not waiting:
            return
        court = _Court.of(signers, cache)
        paths = {p.sha256: incoming_path(store.root, p.sha256) for p in waiting}
        with step("check packages", f"{len(waiting)}: bytes, signatures, headers") as progress:
            found = court.judge(waiting, paths, progress)
            # What was in the pool before stays: wrong metadata may be about a good file.
            for sha256 in court.refused:
                paths[sha256].unlink(missing_ok=True)
            _spread(lambda sha256: _take(store, sha256), found, workers=TAKERS)
    names = list(dict.fromkeys(p.nevra for p in waiting if p.sha256 in court.refused))
    if names:
        first = next(court.refused[p.sha256] for p in waiting if p.sha256 in court.refused)
        if len(names) > 1:
            others = f" and {len(names) - 1 - NAMED} more" if len(names) - 1 > NAMED else ""
            first.message += f" (refused as well: {', '.join(names[1 : 1 + NAMED])}{others})"
        raise first


def judged(packages: Sequence[Expected], signers: Signers, cache: Path) -> tuple[Expected, ...]:
    """Those of these packages that this machine has looked at before, with the same keys.

    Raises TrustError for one that may not be what is expected now.
    """
    known = Verdicts.of(signers, cache).read()
    found = tuple(package for package in packages if package.sha256 in known)
    for package in found:
        _check_verdict(package, known[package.sha256], signers)
    return found


def _take(store: Store, sha256: str) -> None:
    target = store.package_path(sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming_path(store.root, sha256).replace(target)
    store.kept_package(sha256)


@dataclass(kw_only=True)
class _Court:
    """Judges packages by one set of keys; `refused` tells why, by sha256."""

    signers: Signers
    keys: tuple[PublicKey, ...]
    verdicts: Verdicts
    refused: dict[str, TrustError] = field(default_factory=dict)

    @classmethod
    def of(cls, signers: Signers, cache: Path) -> Self:
        return cls(signers=signers, keys=public_keys(signers), verdicts=Verdicts.of(signers, cache))

    def judge(
        self, packages: Sequence[Expected], paths: Mapping[str, Path], progress: Step
    ) -> dict[str, str]:
        """The signers of the good ones by sha256."""
        self._each(packages, lambda package: _check_bytes(paths[package.sha256], package))
        known = self.verdicts.read()
        new = {
            package.sha256: package
            for package in packages
            if package.sha256 not in known and package.sha256 not in self.refused
        }
        if new:
            found = self._look(list(new.values()), paths)
            if found:
                self.verdicts.keep(found)
            known |= found

        def compare(package: Expected) -> None:
            _check_verdict(package, known[package.sha256], self.signers)

        for package in packages:
            if package.sha256 not in self.refused:
                self._try(package, compare)
        good = [package.sha256 for package in packages if package.sha256 not in self.refused]
        bad = f", {len(self.refused)} refused" if self.refused else ""
        progress.update(f"{len(good)} good{bad}, {len(new)} looked at for the first time")
        return {sha256: known[sha256].signer for sha256 in good}

    def _look(self, packages: Sequence[Expected], paths: Mapping[str, Path]) -> dict[str, Verdict]:
        """The verdicts on files that nobody looked at before; the bad ones are refused."""
        database = key_database(self.verdicts.directory, self.signers.key_files)

        def look_at(batch: Sequence[Expected]) -> dict[str, Verdict]:
            files = {paths[package.sha256]: package.nevra for package in batch}
            try:
                verdicts = look(files, self.keys, database)
            except TrustError as error:
                if len(batch) == 1:
                    self.refused.setdefault(batch[0].sha256, error)
                    return {}
                # One bad file spoils what rpm says of its batch: each is asked for by itself.
                return {k: v for package in batch for k, v in look_at([package]).items()}
            return {path.stem: verdict for path, verdict in verdicts.items()}

        batches = [packages[start : start + BATCH] for start in range(0, len(packages), BATCH)]
        return {k: v for verdicts in _spread(look_at, batches) for k, v in verdicts.items()}

    def _each(self, packages: Sequence[Expected], check: Callable[[Expected], None]) -> None:
        _spread(lambda package: self._try(package, check), packages)

    def _try(self, package: Expected, check: Callable[[Expected], None]) -> None:
        try:
            check(package)
        except TrustError as error:
            self.refused.setdefault(package.sha256, error)


def _spread(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int = WORKERS
) -> list[Result]:
    """Do `work` on all items, several at once; of several failures the first item's is raised."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _present(store: Store, packages: Sequence[Expected]) -> dict[str, Path]:
    """The file of each package by sha256, on this machine. Raises MissingError, and counts."""

    def bring(package: Expected) -> Path | None:
        try:
            return store.package(package.sha256)
        except MissingError:
            return None

    found = list(zip(packages, _spread(bring, packages), strict=True))
    absent = [package for package, path in found if path is None]
    if absent:
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise MissingError(
            f"{absent[0].nevra}{others}: not in the pool", hint="run `./inv mirror.sync`"
        )
    return {package.sha256: path for package, path in found if path}


def _check_bytes(path: Path, package: Expected) -> None:
    hint = f"delete {path} and run `./inv mirror.sync`"
    size = path.stat().st_size
    if size != package.size:
        raise TrustError(f"{package.nevra}: {size} bytes, expected {package.size}", hint=hint)
    found = sha256_file(path)
    if found != package.sha256:
        raise TrustError(
            f"{package.nevra}: sha256 is {found}, expected {package.sha256}", hint=hint
        )


def _check_verdict(package: Expected, verdict: Verdict, signers: Signers) -> None:
    _check_header(package, verdict)
    _check_signer(package, verdict.signer, signers)


def _check_header(package: Expected, verdict: Verdict) -> None:
    hint = "the repository's metadata is wrong or forged: do not build from it"
    if verdict.nevra != package.nevra:
        raise TrustError(f"{package.nevra}: the file is really {verdict.nevra}", hint=hint)
    if verdict.source_rpm != package.source_rpm:
        raise TrustError(
            f"{package.nevra}: built from {verdict.source_rpm or 'nothing (a source package)'}, "
            f"expected {package.source_rpm}",
            hint=hint,
        )


def _check_signer(package: Expected, signer: str, signers: Signers) -> None:
    if not signers.may_sign(signer, package.repository):
        allowed = ", ".join(signers.allowed(package.repository)) or "nobody"
        raise TrustError(
            f"{package.nevra}: signed by {signer}, which may not sign for the repository "
            f"{package.repository}",
            hint=f"allowed by `rpm-mirror/`: {allowed}",
        )
