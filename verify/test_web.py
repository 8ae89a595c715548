"""Owns the checks of what the machine serves, and on which ports."""

from __future__ import annotations

import re

import pytest
from facts import Facts
from promise import Port, Promise

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


@pytest.mark.control("web-php-answers")
def test_php_answers(facts: Facts) -> None:
    """GET / is answered by PHP, run by PHP-FPM."""
    text = facts.good("page").text.replace("\r", "")
    head, _, body = text.partition("\n\n")
    assert re.match(r"HTTP/1\.1 200\b", head), f"answered: {head[:80]!r}"
    assert re.search(r"goldpress-php \d+\.\d+\.\d+", body), f"no PHP: {body[:80]!r}"
    assert "fpm-fcgi" in body, f"another server API: {body[:80]!r}"


@pytest.mark.control("net-listen-exactly")
def test_listening_ports(facts: Facts, promise: Promise) -> None:
    """Exactly the promised ports listen: on every address, the loopback or one interface."""
    found = frozenset(port(row) for row in facts.good("listening").lines)
    added = sorted(map(str, found - promise.listen))
    missing = sorted(map(str, promise.listen - found))
    assert not added, f"listening, not promised: {', '.join(added)}"
    assert not missing, f"promised, not listening: {', '.join(missing)}"
