"""Owns the sandbox's key: thrown away with the folder, worth nothing elsewhere, never on a host.

GnuPG's agent wants a short path for its socket, so that each use has a home of its own in the
temporary folder and the secret key lies beside the repository between uses.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.run import run
from goldpress.store import write_atomically

USER_ID = "goldpress sandbox (worth nothing) <sandbox@localhost>"
#: Before any package: a signature may not be older than its key.
KEY_TIME = "20200101T000000"
WORKERS = 2

_FINGERPRINT = re.compile(r"^fpr:(?::[^:]*){7}:([0-9A-F]{40}):", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Key:
    """The secret key's file, the public half in ASCII armour, 40 upper-case hex digits."""

    secret: Path
    public: bytes
    fingerprint: str


@contextmanager
def _home() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="goldpress-gpg-") as folder:
        env = {"GNUPGHOME": folder, "HOME": folder}
        try:
            yield env
        finally:
            run(["gpgconf", "--kill", "all"], env=env, check=False)


def fingerprint_of(listing: str) -> str:
    """The primary key's fingerprint in gpg's colon listing. Raises BuildError."""
    found = _FINGERPRINT.search(listing)
    if found is None:
        raise BuildError("gpg lists no fingerprint for the sandbox's key")
    return found[1]


def make_key(path: Path) -> None:
    """Make a new RSA-4096 signing key without passphrase, as CentOS's is, and keep it at `path`."""
    with _home() as env:
        argv = ["gpg", "--batch", "--quiet", "--faked-system-time", f"{KEY_TIME}!"]
        argv += ["--passphrase", "", "--quick-generate-key", USER_ID, "rsa4096", "sign", "never"]
        run(argv, env=env, what="make the sandbox's key")
        secret = run(["gpg", "--batch", "--export-secret-keys"], env=env).stdout
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, secret)
    path.chmod(0o600)


def load_key(path: Path) -> Key:
    """The key at `path`; made first when there is none."""
    if not path.exists():
        make_key(path)
    with _home() as env:
        run(["gpg", "--batch", "--quiet", "--import", path], env=env, what="read the sandbox's key")
        listing = run(["gpg", "--batch", "--with-colons", "--list-keys"], env=env)
        public = run(["gpg", "--batch", "--armor", "--export"], env=env)
    return Key(secret=path, public=public.stdout, fingerprint=fingerprint_of(listing.text))


def sign_argv(rpms: Sequence[Path], *, fingerprint: str, epoch: int) -> list[str | Path]:
    """How to sign `rpms`: dated `epoch`, so that the same package is signed the same way."""
    argv: list[str | Path] = ["rpmsign", "--define", f"_gpg_name {fingerprint}"]
    # Debian's rpm looks for GnuPG under a name that Debian does not install it by.
    argv += ["--define", "__gpg /usr/bin/gpg"]
    argv += ["--define", "_gpg_digest_algo sha256"]
    argv += ["--define", f"_gpg_sign_cmd_extra_args --batch --faked-system-time {epoch}!"]
    return [*argv, "--addsign", *rpms]


def sign(rpms: Sequence[Path], key: Key, *, epoch: int) -> None:
    """Sign every package in place. Raises CommandError."""
    with _home() as env:
        run(["gpg", "--batch", "--quiet", "--import", key.secret], env=env, what="read the key")
        shares = [share for i in range(WORKERS) if (share := sorted(rpms)[i::WORKERS])]

        def one(share: Sequence[Path]) -> None:
            run(
                sign_argv(share, fingerprint=key.fingerprint, epoch=epoch),
                env=env,
                what="sign the sandbox's packages",
            )

        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            list(pool.map(one, shares))
