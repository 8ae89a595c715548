"""Owns a request to the hosting site: what it asks, how it is refused, how it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from goldpress.rehearsal.site import Hub


class Refused(Exception):  # noqa: N818 - GitHub's answer
    """An answer that is a refusal."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
            **({"errors": errors} if errors else {}),
        }


@dataclass(kw_only=True)
class Fault:
    """A failure: of which requests, how (`instead`, `after` or `drop`), and how many times."""

    method: str = ""
    path: str = ""
    status: int = 502
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "Server Error"}'
    way: str = "instead"
    times: int = 1
    used: int = 0

    def meets(self, method: str, path: str) -> bool:
        """Whether it is of this request."""
        return self.used < self.times and self.method in {"", method} and self.path in path


@dataclass(kw_only=True)
class Asked:
    """One request: its path below the repository, its query, its JSON, and who sent it."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    by: str


@dataclass(kw_only=True)
class Site:
    """What answers are made of: the hub, its URL, and whose tokens it knows, by login.

    `app_key` is the public key of the App; `hidden` are the things that are told only in part.
    """

    hub: Hub
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    app_key: rsa.RSAPublicKey | None = None
    hidden: set[str] = field(default_factory=set)
