"""Owns who calls GitHub: a ready token, or an App that asks for one.

    GOLDPRESS_GITHUB_TOKEN      a ready token, such as a workflow's step has made
    GOLDPRESS_GITHUB_APP        the App's id or client id, with
    GOLDPRESS_GITHUB_APP_KEY    its private key (PEM), or the path of a file with it

A pull request that a workflow's own token opens starts no checks: proposals need an App's.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from goldpress.digest import canonical_json
from goldpress.errors import DocumentError, MissingError

TOKEN = "GOLDPRESS_GITHUB_TOKEN"  # noqa: S105 - a variable's name
APP = "GOLDPRESS_GITHUB_APP"
APP_KEY = "GOLDPRESS_GITHUB_APP_KEY"
#: GitHub takes at most ten minutes ahead; and its clock may be behind ours.
JWT_SECONDS = 540
CLOCK_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Token:
    """A ready token."""

    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class App:
    """A GitHub App, which asks for a token of its installation."""

    id: str
    key: RSAPrivateKey = field(repr=False)

    def jwt(self, now: float) -> str:
        """What proves to GitHub for some minutes that the App calls."""
        moment = int(now)
        claims = {"iat": moment - CLOCK_SECONDS, "exp": moment + JWT_SECONDS, "iss": self.id}
        head = ".".join(_base64(canonical_json(part)) for part in (_HEADER, claims))
        return f"{head}.{_base64(self.key.sign(head.encode(), PKCS1v15(), SHA256()))}"


_HEADER = {"alg": "RS256", "typ": "JWT"}


def credential(environment: Mapping[str, str]) -> Token | App | None:
    """Who calls, as the environment says; None when it says nothing.

    Raises DocumentError when it says two things at once or half of one.
    """
    token, app, key = (environment.get(name, "") for name in (TOKEN, APP, APP_KEY))
    if token and (app or key):
        raise DocumentError(
            f"{TOKEN} and {APP} are both set", hint="unset the one that is not meant"
        )
    if bool(app) != bool(key):
        raise DocumentError(
            f"{APP if key else APP_KEY} is not set: an App calls with its id and its key",
            hint=f"set it, or use a ready token in {TOKEN}",
        )
    if token:
        return Token(secret=_line(token))
    return App(id=app, key=_key(key)) if app else None


def _line(token: str) -> str:
    """The token. Raises DocumentError for what cannot be in a header; never shows it."""
    stripped = token.strip()
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise DocumentError(f"{TOKEN}: not a token", hint="it is one line, as GitHub printed it")
    return stripped


def _key(given: str) -> RSAPrivateKey:
    pem = given.encode()
    if "-----BEGIN" not in given:
        path = Path(given)
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            raise MissingError(f"{APP_KEY}: there is no such file") from None
        except (OSError, ValueError):
            raise DocumentError(f"{APP_KEY}: neither a key nor the path of a file") from None
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise DocumentError(
            f"{APP_KEY}: not an RSA private key in PEM form, without a password",
            hint="make a new one in the App's settings",
        )
    return key


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def now() -> float:
    """The time, in seconds."""
    return time.time()
