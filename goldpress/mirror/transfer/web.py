"""Owns the way to the web: proxies and authorities from the environment, and safe redirects."""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.transfer.fault import Fault
from goldpress.mirror.transfer.pace import speaking
from goldpress.mirror.transfer.place import host_of, redirected, shown

CONNECT_SECONDS = 15.0
#: Between two reads: a stalled mirror is given up.
READ_SECONDS = 30.0
MAX_REDIRECTS = 5

HEADERS: Mapping[str, str] = {"User-Agent": "goldpress", "Accept-Encoding": "identity"}

#: The first that is set counts, for every connection.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class _Connection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        speaking(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        speaking(self.sock)
        return super().getresponse()


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


@dataclass(frozen=True, kw_only=True)
class Web:
    """Connections to the web, shared by threads. `environment` names proxies and authorities."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    _managers: dict[str, urllib3.PoolManager] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a GET, its body not read yet, after at most five safe redirects.

        Raises Fault for redirects that are refused, MissingError for settings that cannot be used,
        and urllib3's HTTPError.
        """
        first = host_of(url)
        here, login = without_login(url)
        for _ in range(MAX_REDIRECTS + 1):
            # Sent with each: a manager's own headers are not added to a request that has some.
            sent = {**HEADERS, **(headers or {})}
            if login and host_of(here) == first:
                # A login is for the host that it was written for.
                sent |= urllib3.make_headers(basic_auth=login)
            response = self._manager(here).request(
                "GET", here, headers=sent, preload_content=False, redirect=False
            )
            try:
                target = response.get_redirect_location()
                if not target:
                    yield response
                    return
            finally:
                # What was read to its end gave its connection back already.
                response.close()
            try:
                here = redirected(here, target)
            except TrustError as error:
                raise Fault(error.message, kind=TrustError) from None
        raise Fault(f"{shown(url)}: more than {MAX_REDIRECTS} redirects")

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_of(url, self.environment)
        with self._lock:
            if proxy not in self._managers:
                self._managers[proxy] = _manager(proxy, self.environment)
            return self._managers[proxy]


def _manager(proxy: str, environment: Mapping[str, str]) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "maxsize": 8,
        "retries": False,
        "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
    }
    if bundle := authorities(environment):
        options["ca_cert_dir" if Path(bundle).is_dir() else "ca_certs"] = bundle
    manager: urllib3.PoolManager
    if proxy:
        address, login = without_login(proxy)
        shake = urllib3.make_headers(proxy_basic_auth=login) if login else None
        manager = urllib3.ProxyManager(address, proxy_headers=shake, **options)
    else:
        manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def without_login(url: str) -> tuple[str, str]:
    """A URL without its ``user:password@``, and that login, decoded; "" when there is none."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return plain, unquote(login)


def authorities(environment: Mapping[str, str]) -> str:
    """The file or directory of certificate authorities that is set; "" for the system's.

    Raises MissingError when it is not there: TLS would trust nobody, or somebody else.
    """
    for variable in CA_VARIABLES:
        if path := environment.get(variable, ""):
            if not Path(path).exists():
                raise MissingError(
                    f"{variable} names {path}, which is not there",
                    hint="name a file of certificate authorities, or unset it for the system's",
                )
            return path
    return ""


def proxy_of(url: str, environment: Mapping[str, str]) -> str:
    """The proxy to ask for `url`; "" for none. This machine itself is never asked through one.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl reads them (small letters win).
    Raises MissingError for a kind of proxy that cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _excepted(host, parts.port, _variable("no_proxy", environment)):
        return ""
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        if value := _variable(name, environment):
            address = value if "://" in value else f"http://{value}"
            if urlsplit(address).scheme not in {"http", "https"}:
                raise MissingError(
                    f"{name.upper()}: only http and https proxies can be used, "
                    f"not {urlsplit(address).scheme}"
                )
            return address
    return ""


def _variable(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _excepted(host: str, port: int | None, rules: str) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for rule in (r.strip().lower() for r in rules.split(",")):
        if rule == "*":
            return True
        name, _, its_port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
        if not name or (its_port and its_port != str(port or "")):
            continue
        if address is not None:
            try:
                if address in ipaddress.ip_network(name.strip("[]"), strict=False):
                    return True
            except ValueError:
                continue
        bare = name.removeprefix("*").removeprefix(".")
        if host == bare or host.endswith(f".{bare}"):
            return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
