"""Owns addresses: where a file of a repository is, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from goldpress.errors import TrustError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def checked_href(href: str) -> str:
    """`href` if it stays inside its repository. Raises ValueError for any other."""
    plain = unquote(href)
    parts = plain.split("/")
    wrong = (
        not href
        or "\\" in plain
        or _CONTROL.search(plain)
        or ":" in parts[0]
        or parts[0] == ""
        or any(part in {"", ".", ".."} for part in parts)
        or "?" in href
        or "#" in href
    )
    if wrong:
        raise ValueError(f"the href {href!r} leaves its repository; the metadata is not usable")
    return href


def location(base: str | Path, href: str) -> str | Path:
    """Where `href` of the repository at `base` is. Raises TrustError for an unsafe href."""
    try:
        checked_href(href)
    except ValueError as error:
        raise TrustError(f"{shown(base)}: {error}") from None
    local = local_base(base)
    if local is not None:
        return local / href
    # A + in a path is a space to S3; encoded, it is a + everywhere. What is encoded stays so.
    return f"{str(base).rstrip('/')}/{quote(href, safe='/%~')}"


def local_base(base: str | Path) -> Path | None:
    """The directory of a path or file: URL; None for a URL of the network."""
    if isinstance(base, Path):
        return base
    parts = urlsplit(base)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in {"http", "https"} else Path(base)


def shown(address: str | Path) -> str:
    """`address` for people and logs: without user, password and query, which may be secrets."""
    if local_base(address) is not None:
        return str(address)
    parts = urlsplit(str(address))
    query = "..." if parts.query else ""
    return urlunsplit((parts.scheme, host_of(str(address)), parts.path, query, ""))


def host_of(url: str) -> str:
    """The host, with its port when the URL names one."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def redirected(url: str, target: str) -> str:
    """Where a redirect of `url` leads. Raises TrustError when that is less safe than `url`.

    Less safe are: no longer https, no longer the web, a user name in the address, and an address
    inside of a network when `url` is not inside. (Names that resolve to such an address are the
    business of whoever runs that network's name server.)
    """
    there = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(there)
    safe = {"https"} if before.scheme == "https" else {"http", "https"}
    why = ""
    if after.scheme not in safe:
        why = "refused"
    elif "@" in after.netloc:
        why = "an address with a user in it; refused"
    elif _depth(after.hostname or "") > _depth(before.hostname or ""):
        why = "from outside into a network; refused"
    if why:
        raise TrustError(f"{shown(url)}: redirects to {shown(there)}; {why}")
    return there


def _depth(host: str) -> int:
    """How far inside a host is: 0 the world or any name, 1 a private network, 2 this machine."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return 2
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            # The system's resolver takes "127.1" and "2130706433" for addresses, too.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return 0
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return 2
    return 1 if address.is_private else 0
