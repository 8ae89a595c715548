"""Owns signing keys: bringing them, and that a key file holds exactly the keys it is named for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.distribution import Distribution, Key, Signers
from goldpress.errors import MissingError, TrustError
from goldpress.host.run import failure_text, run
from goldpress.mirror.transfer.fetch import Fetcher, fetching
from goldpress.store import Store

MAX_KEY_BYTES = 1 << 20
_BLOCK = re.compile(
    rb"^-----BEGIN PGP PUBLIC KEY BLOCK-----\r?$.*?^-----END PGP PUBLIC KEY BLOCK-----\r?$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """One certificate: its primary fingerprint, and all fingerprints that may sign for it."""

    fingerprint: str
    signing: tuple[str, ...]


def show_keys_argv(path: Path, home: Path) -> list[str]:
    """What lists the keys of a file without importing them."""
    options = ["--homedir", str(home), "--no-options", "--batch", "--with-colons"]
    return ["gpg", *options, "--with-subkey-fingerprint", "--show-keys", str(path)]


def import_argv(database: Path, key_files: Sequence[Path]) -> list[str]:
    """What makes a database of keys that no other package or key of the host can reach."""
    return ["rpmkeys", "--dbpath", str(database), "--import", *map(str, key_files)]


def keys_in(path: Path) -> tuple[PublicKey, ...]:
    """The public keys in a file (armoured or not). Raises TrustError when it has none."""
    with tempfile.TemporaryDirectory(prefix="goldpress-gpg-") as home:
        done = run(show_keys_argv(path, Path(home)), check=False, timeout=60, what="read a key")
    keys = parse_colons(done.text)
    if done.returncode != 0 or not keys:
        raise TrustError(f"{path}: is not an OpenPGP public key that this host can read")
    return keys


def parse_colons(text: str) -> tuple[PublicKey, ...]:
    """The keys in gpg's colon listing; secret keys in it do not count."""
    found: list[tuple[str, list[str]]] = []
    kind = ""
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] in {"pub", "sub", "sec", "ssb"}:
            kind = fields[0]
        elif fields[0] == "fpr" and kind == "pub":
            found.append((fields[9], [fields[9]]))
        elif fields[0] == "fpr" and kind == "sub" and found:
            found[-1][1].append(fields[9])
    return tuple(PublicKey(fingerprint=f, signing=tuple(all_)) for f, all_ in found)


def public_keys(signers: Signers) -> tuple[PublicKey, ...]:
    """The keys of all key files, which have to be exactly the allowed fingerprints.

    Raises TrustError when a file holds another key, or an allowed one is in no file.
    """
    if not signers.fingerprints:
        raise TrustError("no signing key is allowed, so no package can be trusted")
    found: dict[str, PublicKey] = {}
    for path in signers.key_files:
        if not path.is_file():
            raise MissingError(f"{path}: there is no such key", hint="run `./inv mirror.sync`")
        for key in keys_in(path):
            if key.fingerprint not in signers.fingerprints:
                raise TrustError(
                    f"{path}: holds the key {key.fingerprint}, which is not allowed",
                    hint=f"allowed: {', '.join(signers.fingerprints)}",
                )
            found[key.fingerprint] = key
    absent = [f for f in signers.fingerprints if f not in found]
    if absent:
        raise MissingError(f"no key file holds the key {absent[0]}", hint="run `./inv mirror.sync`")
    return tuple(found[f] for f in sorted(found))


def blocks(data: bytes) -> tuple[bytes, ...]:
    """The armoured keys in a file's bytes, each by itself; all of it when it has no armour."""
    found = tuple(match[0] + b"\n" for match in _BLOCK.finditer(data))
    return found or (data,)


def signers_of(distribution: Distribution, store: Store) -> Signers:
    """Who may sign the packages of a distribution, with the keys that the store keeps.

    Each key signs for the repositories that are named with it, or for all of the distribution;
    never for another distribution's. Raises MissingError when a key was not brought yet, or the
    distribution makes its own; TrustError when what is kept is another key.
    """
    if distribution.made:
        raise MissingError(f"{distribution.name} makes its own key; its signers come with it")
    files = []
    for key in distribution.keys:
        kept = store.key(key.fingerprint)
        if kept is None:
            raise MissingError(
                f"{distribution.name}: the key {key.fingerprint} was not brought yet",
                hint="run `./inv mirror.sync`",
            )
        files.append(kept)
    signers = Signers(
        fingerprints=tuple(key.fingerprint for key in distribution.keys),
        key_files=tuple(files),
        repositories={
            key.fingerprint: key.repositories or distribution.repository_ids
            for key in distribution.keys
        },
    )
    public_keys(signers)
    return signers


def bring_keys(
    distribution: Distribution, store: Store, *, fetcher: Fetcher | None = None
) -> Signers:
    """Bring every key of a distribution that the store has not, and say who may sign.

    A key is fetched once, and kept only if its fingerprint is the one that is written in
    `rpm-mirror/`; of several keys in one file that one alone is kept.
    """
    for key in distribution.keys:
        if store.key(key.fingerprint) is None:
            with tempfile.TemporaryDirectory(prefix="goldpress-key-") as scratch:
                offered = Path(scratch, "offered.asc")
                with fetching(fetcher) as fetch:
                    fetch.fetch(key.url, offered, limit=MAX_KEY_BYTES)
                alone = _the_one(offered, key)
                _check_with_rpm(alone, key)
                store.keep_key(key.fingerprint, alone)
    return signers_of(distribution, store)


def _the_one(offered: Path, key: Key) -> Path:
    """A file beside `offered` with the wanted key alone. Raises TrustError without it."""
    found: list[str] = []
    for block in blocks(offered.read_bytes()):
        alone = offered.with_name(f"{key.fingerprint}.asc")
        alone.write_bytes(block)
        try:
            fingerprints = [known.fingerprint for known in keys_in(alone)]
        except TrustError:
            # A kind of key that this host's gpg does not know is not the one that is wanted.
            continue
        if fingerprints == [key.fingerprint]:
            return alone
        found += fingerprints
    if not found:
        raise TrustError(
            f"{key.url}: holds no OpenPGP public key that this host can read, expected "
            f"{key.fingerprint}",
            hint="look at what the address answers: a portal or a proxy may be in between",
        )
    raise TrustError(
        f"{key.url}: holds {', '.join(found)}, expected {key.fingerprint} alone in its block",
        hint="do not use it; compare with the fingerprint that the distributor prints",
    )


def _check_with_rpm(alone: Path, key: Key) -> None:
    """Raises TrustError when rpm does not take the key: a subkey in it is not bound to it."""
    database = alone.with_name("rpmdb")
    database.mkdir()
    done = run(import_argv(database, [alone]), check=False, timeout=60, what="try a signing key")
    if done.returncode != 0:
        raise TrustError(
            f"{key.url}: rpm refuses the key {key.fingerprint}: {failure_text(done)}",
            hint="a part of it may be forged, or its signatures too old for this host",
        )
