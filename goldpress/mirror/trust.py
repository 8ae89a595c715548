"""Owns trust in packages: right bytes, signed by an allowed key, and what they say they are.

Every file is hashed before each use. Its signature and header are looked at once for a set of
keys: what was seen is kept by sha256, and is compared with what is expected each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from goldpress.digest import digest_of, sha256_file, short
from goldpress.distribution import Signers
from goldpress.errors import MissingError, TrustError
from goldpress.lock import Lock
from goldpress.mirror.keys import public_keys
from goldpress.mirror.rpmkeys import Verdict, key_database, look
from goldpress.progress import step
from goldpress.store import Store, write_atomically

#: Part of the cache's name: what was seen by older code is looked at again.
VERDICT_VERSION = 1
#: Command lines have a limit, and short batches keep both workers busy to the end.
BATCH = 40
WORKERS = 2

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
    paths = tuple(store.package_path(package.sha256) for package in lock.packages)
    return TrustedPackages(lock=lock, paths=paths)


def check_packages(
    store: Store, packages: Sequence[Expected], signers: Signers, cache: Path
) -> dict[str, str]:
    """The signer's fingerprint by sha256, once every package in the pool passed every check.

    Checked: sha256 and size, a valid signature by an allowed key, valid digests of header and
    payload, and that the header's NEVRA and source are the expected ones. `cache` is a directory
    of this machine. Raises MissingError for a package that is not in the pool, TrustError for
    one that is not what was expected.
    """
    keys = public_keys(signers)
    with step("check packages", f"{len(packages)}: bytes, signatures, headers") as progress:
        _check_present(store, packages)
        _spread(lambda package: _check_bytes(store, package), packages)
        directory = cache / f"keys-{short(_key_set(signers))}"
        record = directory / "verdicts.json"
        known = _read_verdicts(record)
        new = [package for package in packages if package.sha256 not in known]
        if new:
            database = key_database(directory, signers.key_files)
            batches = [new[start : start + BATCH] for start in range(0, len(new), BATCH)]

            def look_at(batch: Sequence[Expected]) -> dict[str, Verdict]:
                files = {store.package_path(package.sha256): package.nevra for package in batch}
                verdicts = look(files, keys, database)
                return {path.stem: verdict for path, verdict in verdicts.items()}

            for verdicts in _spread(look_at, batches):
                known.update(verdicts)
            rows = {sha256: asdict(verdict) for sha256, verdict in sorted(known.items())}
            write_atomically(record, json.dumps(rows, indent=0).encode())
        for package in packages:
            _check_header(package, known[package.sha256])
        progress.update(f"{len(packages)} good, {len(new)} of them looked at for the first time")
    return {package.sha256: known[package.sha256].signer for package in packages}


def _spread(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do `work` on all items with two workers; of several failures the first item's is raised."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _check_present(store: Store, packages: Sequence[Expected]) -> None:
    absent = [p for p in packages if not store.package_path(p.sha256).is_file()]
    if absent:
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise MissingError(
            f"{absent[0].nevra}{others}: not in the pool", hint="run `./inv mirror.sync`"
        )


def _check_bytes(store: Store, package: Expected) -> None:
    path = store.package_path(package.sha256)
    hint = f"delete {path} and run `./inv mirror.sync`"
    size = path.stat().st_size
    if size != package.size:
        raise TrustError(f"{package.nevra}: {size} bytes, expected {package.size}", hint=hint)
    found = sha256_file(path)
    if found != package.sha256:
        raise TrustError(
            f"{package.nevra}: sha256 is {found}, expected {package.sha256}", hint=hint
        )


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


def _key_set(signers: Signers) -> str:
    return digest_of(
        {
            "version": VERDICT_VERSION,
            "fingerprints": sorted(signers.fingerprints),
            "files": sorted(sha256_file(path) for path in signers.key_files),
        }
    )


def _read_verdicts(path: Path) -> dict[str, Verdict]:
    """What was seen before; nothing when the record cannot be read: then it is looked at anew."""
    try:
        rows = json.loads(path.read_bytes())
        return {sha256: Verdict(**row) for sha256, row in rows.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
