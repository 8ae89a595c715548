"""Owns the checks of what the machine serves, and on which ports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from promise import Port, Promise
from sections import Facts
from visits import HANDSHAKES, MARK, OVERSIZE_MIB
from watched import Watched

#: curl's exit status when the server closes, or resets, the connection without a word.
EMPTY_REPLY, RESET = 52, 56
LOOPBACK = ("127.", "[::1]")
ANY = {"0.0.0.0", "[::]", "*"}  # noqa: S104 - read, not bound


def port(row: str) -> Port:
    """The port of one line of `ss`."""
    fields = row.split()
    address, _, number = fields[4].rpartition(":")
    address = address.partition("%")[0]
    if address in ANY:
        kind = "any"
    elif address.startswith(LOOPBACK):
        kind = "loopback"
    else:
        kind = "interface"
    return Port(protocol=fields[0], port=int(number), address=kind)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a visit got: its status, its headers by their small names, its body."""

    status: int
    headers: dict[str, str]
    body: str


def parsed(text: str) -> Answer:
    """One answer as curl shows it."""
    head, _, body = text.replace("\r", "").partition("\n\n")
    while re.match(r"HTTP/[\d.]+ 100\b", head):  # "go on", before the answer itself
        head, _, body = body.partition("\n\n")
    found = re.match(r"HTTP/[\d.]+ (\d{3})\b", head)
    assert found, f"answered: {head[:80]!r}"
    rows = (row.partition(":") for row in head.splitlines()[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in rows}
    return Answer(status=int(found[1]), headers=headers, body=body)


def answer(facts: Facts, section: str) -> Answer:
    """The answer to one visit."""
    return parsed(facts.good(section).text)


def by_nginx(found: Answer) -> bool:
    """Whether nginx itself made the page, and PHP was never asked."""
    return "<center>nginx" in found.body


@pytest.mark.control("web-php-answers")
def test_php_answers(facts: Facts, promise: Promise) -> None:
    """GET / is answered by PHP, run by PHP-FPM; and by every other pool's application."""
    found = answer(facts, "page")
    body = found.body
    assert found.status == 200, f"answered: {found.status}"
    assert re.search(r"goldpress-php \d+\.\d+\.\d+", body), f"no PHP: {body[:80]!r}"
    assert "fpm-fcgi" in body, f"another server API: {body[:80]!r}"
    for pool in promise.pools[1:]:
        status = answer(facts, f"page-{pool.name}").status
        assert status == 200, f"pool {pool.name} answered: {status}"


@pytest.mark.control("net-listen-exactly")
def test_listening_ports(facts: Facts, promise: Promise) -> None:
    """Exactly the promised ports listen: on every address, the loopback or one interface."""
    found = frozenset(port(row) for row in facts.good("listening").lines)
    added = sorted(map(str, found - promise.listen))
    missing = sorted(map(str, promise.listen - found))
    assert not added, f"listening, not promised: {', '.join(added)}"
    assert not missing, f"promised, not listening: {', '.join(missing)}"


@pytest.mark.control("web-unknown-host-closed")
def test_unknown_host(facts: Facts) -> None:
    """A request for a name that nobody has is closed without an answer; /healthz answers."""
    for section in ("unknown-host", "unknown-host-tls"):
        found = facts.sections[section]
        closed = found.status in {EMPTY_REPLY, RESET}
        assert closed, f"{section}: answered {found.text[:80]!r} (curl: {found.status})"
    health = answer(facts, "healthz")
    assert (health.status, health.body) == (200, "ok"), f"/healthz answered {health.status}"
    pool = answer(facts, "healthz-pool")
    assert (pool.status, pool.body) == (200, "ok"), f"a pool's /healthz answered {pool.status}"


@pytest.mark.control("web-body-limit")
def test_body_limit(facts: Facts) -> None:
    """A body that is too large is refused before it is sent."""
    found = answer(facts, "oversize")
    assert found.status == 413, f"a body of {OVERSIZE_MIB} MiB was answered with {found.status}"


@pytest.mark.control("web-nginx-version-hidden")
def test_version_hidden(facts: Facts) -> None:
    """No answer tells a version: not of a page, of a file, nor of an error."""
    for section in ("page", "static", "missing"):
        found = answer(facts, section)
        server = found.headers.get("server", "")
        assert server == "nginx", f"{section}: Server is {server!r}"
        powered = found.headers.get("x-powered-by")
        assert powered is None, f"{section}: X-Powered-By is {powered!r}"
        assert not re.search(r"nginx/\d", found.body), f"{section}: the page tells nginx's version"


@pytest.mark.control("web-headers")
def test_headers(facts: Facts, parameters: Watched[Any]) -> None:
    """Every answer has every header, errors and files included."""
    lost = [
        f"{section}: {name}"
        for section in ("page", "static", "missing")
        for name in parameters["headers"]
        if not answer(facts, section).headers.get(name.lower())
    ]
    assert not lost, f"without the header: {', '.join(lost)}"


@pytest.mark.control("web-dotfiles-denied")
def test_dotfiles(facts: Facts) -> None:
    """nginx itself refuses what begins with a dot."""
    found = answer(facts, "missing")
    assert found.status == 404, f"/.git/config was answered with {found.status}"
    assert by_nginx(found), "/.git/config was handed to PHP"


@pytest.mark.control("web-php-front-controller")
def test_front_controller(facts: Facts) -> None:
    """nginx itself refuses every other PHP file, and what lies outside of the public folder."""
    found = [parsed(f"HTTP/{text}") for text in facts.good("php-file").text.split("HTTP/")[1:]]
    assert len(found) == 4, f"four PHP files were asked for, and {len(found)} answers came"
    wrong = [a.status for a in found if a.status != 404 or not by_nginx(a)]
    assert not wrong, f"requests for other PHP files were answered with {wrong}, or by PHP"
    source = answer(facts, "source")
    assert source.status in {400, 404}, f"a path out of the folder was answered {source.status}"
    assert "<?php" not in source.body, "the source of the application was shown"


@pytest.mark.control("web-static-cached")
def test_static(facts: Facts, parameters: Watched[Any]) -> None:
    """A static file comes from nginx, to be kept for a year."""
    found = answer(facts, "static")
    path = parameters["path"]
    assert found.status == 200, f"{path} was answered with {found.status}"
    kept = found.headers.get("cache-control", "absent")
    assert "max-age=31536000" in kept, f"{path}: Cache-Control is {kept}"
    assert "immutable" in kept, f"{path}: Cache-Control is {kept}"


@pytest.mark.control("web-tls")
def test_tls(facts: Facts) -> None:
    """TLS 1.2 and 1.3 are spoken, older ones and weak ciphers are refused by the server."""
    agreed = {}
    for name in HANDSHAKES:
        text = facts.sections[name].text
        match = re.search(r"^New, (\S+), Cipher is (\S+)$", text, re.MULTILINE)
        assert match, f"{name}: openssl says {text[-200:]!r}"
        agreed[name] = (match[1], match[2])
    assert agreed["tls-1.2"][0] == "TLSv1.2", f"TLS 1.2 is not spoken: {agreed['tls-1.2']}"
    assert "GCM" in agreed["tls-1.2"][1] or "CHACHA20" in agreed["tls-1.2"][1], f"{agreed}"
    assert agreed["tls-1.3"][0] == "TLSv1.3", f"TLS 1.3 is not spoken: {agreed['tls-1.3']}"
    for name in ("tls-1.1", "tls-cbc"):
        assert agreed[name][0] == "(NONE)", f"{name} was agreed on: {agreed[name]}"
        text = facts.sections[name].text
        # An error of the client's own would prove nothing about the server.
        assert re.search(r"alert (?:protocol version|handshake failure)", text), f"{name}: no alert"


@pytest.mark.control("web-access-log")
def test_access_log(facts: Facts) -> None:
    """A request is one line of JSON in the journal, without its query string."""
    rows = facts.good("access-log").lines
    found = [json.loads(row) for row in rows if row.startswith("{")]
    pages = [row for row in found if row.get("path") == "/" and row.get("status") == 200]
    assert pages, f"no request for / among {len(rows)} lines of nginx in the journal"
    assert not any(MARK in row for row in rows), "a query string is in the log"
    lost = {"time", "client", "host", "method", "status", "seconds"} - set(pages[0])
    assert not lost, f"the log has no {', '.join(sorted(lost))}"
