"""Owns the checks that an image carries nobody's identity and each machine has its own."""

from __future__ import annotations

import re

import pytest
from directives import with_password
from promise import Promise
from sections import Facts


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
def test_machine_id_is_the_machines(facts: Facts) -> None:
    """The running machine's id is that of the (virtual) hardware: its own, and at each boot."""
    found = facts.good("machine-id").text
    wanted = facts.good("product-uuid").text.replace("-", "").lower()
    assert re.fullmatch(r"[0-9a-f]{32}", found), f"/etc/machine-id holds {found!r}"
    assert found == wanted, f"the machine id is {found}, the hardware's {wanted}"


@pytest.mark.control("identity-host-key-kept")
def test_host_key_is_the_first_boots(facts: Facts, promise: Promise) -> None:
    """The ssh host key is the one that the first boot made and announced."""
    found = facts.good("host-key").text.split()[1:2]
    assert found == [promise.host_key], f"the host key is {found}, the first was {promise.host_key}"


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
    found = with_password(facts.good("shadow").lines)
    assert not found, f"accounts with a password: {', '.join(found)}"


@pytest.mark.control("identity-metadata-v2-only")
def test_metadata_needs_a_token(facts: Facts) -> None:
    """The metadata service refuses requests without a token."""
    found = facts.good("metadata-v1").text
    assert found == "401", f"a request without a token was answered with {found}"
