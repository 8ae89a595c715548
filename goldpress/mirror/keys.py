"""Owns signing keys: bringing them, and that a key file holds exactly the keys it is named for."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from goldpress.distribution import Distribution, Signers
from goldpress.errors import MissingError, TrustError
from goldpress.host.run import run
from goldpress.mirror.fetch import Fetcher, fetching

MAX_KEY_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """One certificate: its primary fingerprint, and all fingerprints that may sign for it."""

    fingerprint: str
    signing: tuple[str, ...]


def show_keys_argv(path: Path, home: Path) -> list[str]:
    """What lists the keys of a file without importing them."""
    options = ["--homedir", str(home), "--no-options", "--batch", "--with-colons"]
    return ["gpg", *options, "--with-subkey-fingerprint", "--show-keys", str(path)]


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


def key_path(directory: Path, fingerprint: str) -> Path:
    """Where a key is kept."""
    return directory / f"{fingerprint}.asc"


def signers_of(distribution: Distribution, directory: Path) -> Signers:
    """Who may sign the packages of a distribution, with the keys kept in `directory`.

    Raises MissingError when a key was not brought yet, or the distribution makes its own.
    """
    if distribution.made:
        raise MissingError(f"{distribution.name} makes its own key; its signers come with it")
    fingerprints = tuple(key.fingerprint for key in distribution.keys)
    signers = Signers(
        fingerprints=fingerprints,
        key_files=tuple(key_path(directory, fingerprint) for fingerprint in fingerprints),
    )
    public_keys(signers)
    return signers


def bring_keys(
    distribution: Distribution, directory: Path, *, fetcher: Fetcher | None = None
) -> Signers:
    """Bring every key of a distribution into `directory`, each checked by its fingerprint."""
    for key in distribution.keys:
        target = key_path(directory, key.fingerprint)
        if target.is_file():
            continue
        scratch = target.with_suffix(".new")
        try:
            with fetching(fetcher) as fetch:
                fetch.fetch(key.url, scratch, limit=MAX_KEY_BYTES)
            found = [known.fingerprint for known in keys_in(scratch)]
            if found != [key.fingerprint]:
                raise TrustError(
                    f"{key.url}: holds {', '.join(found)}, expected {key.fingerprint} alone",
                    hint="do not use it; compare with the fingerprint that the distributor prints",
                )
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
    return signers_of(distribution, directory)
