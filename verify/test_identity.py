"""Owns the checks that an image carries nobody's identity and each machine has its own."""

from __future__ import annotations

import re

import pytest
from facts import Facts


def baked(facts: Facts, kind: str) -> list[str]:
    """What the search of the root file system found of one kind."""
    rows = facts.good("baked").lines
    assert rows[-1:] == ["searched"], f"the search did not end: {rows[-1:]}"
    return [row.partition(" ")[2] for row in rows if row.startswith(f"{kind} ")]


@pytest.mark.control("identity-machine-id-baked-empty")
def test_baked_machine_id_is_empty(facts: Facts) -> None:
    """The image's own /etc/machine-id is an empty file: not absent, and nobody's id."""
    found = baked(facts, "machine-id")
    assert found == ["regular empty file 0"], f"/etc/machine-id on the root: {found or 'absent'}"


@pytest.mark.control("identity-machine-id-own")
def test_machine_has_an_id(facts: Facts) -> None:
    """The running machine has an id."""
    found = facts.good("machine-id").text
    assert re.fullmatch(r"[0-9a-f]{32}", found), f"/etc/machine-id holds {found!r}"


@pytest.mark.control("identity-no-baked-host-key")
def test_no_baked_host_key(facts: Facts) -> None:
    """The image holds no ssh host key."""
    found = baked(facts, "host-key")
    assert not found, f"host keys on the root: {', '.join(found)}"


@pytest.mark.control("identity-no-baked-login-key")
def test_no_baked_login_key(facts: Facts) -> None:
    """The image lets nobody in by key."""
    found = baked(facts, "authorized-keys")
    assert not found, f"login keys on the root: {', '.join(found)}"


@pytest.mark.control("identity-no-history")
def test_no_history(facts: Facts) -> None:
    """The image holds nobody's shell history."""
    found = baked(facts, "history")
    assert not found, f"shell histories on the root: {', '.join(found)}"


@pytest.mark.control("identity-no-password")
def test_no_password(facts: Facts) -> None:
    """No account has a password, an empty one or a locked hash included."""
    rows = [row.split(":") for row in facts.good("shadow").lines]
    assert rows, "/etc/shadow is empty"
    found = [row[0] for row in rows if not re.fullmatch(r"[!*]+", row[1])]
    assert not found, f"accounts with a password: {', '.join(found)}"


@pytest.mark.control("identity-metadata-v2-only")
def test_metadata_needs_a_token(facts: Facts) -> None:
    """The metadata service refuses requests without a token."""
    found = facts.good("metadata-v1").text
    assert found == "401", f"a request without a token was answered with {found}"
