"""Owns the checks of what is installed."""

from __future__ import annotations

import pytest
from promise import Promise
from sections import Facts


def installed(facts: Facts) -> set[str]:
    """Every installed NEVRA. Imported signing keys are no packages, though rpm lists them."""
    rows = facts.good("packages").lines
    return {row for row in rows if not row.startswith("gpg-pubkey-")}


@pytest.mark.control("packages-rpmdb-readable")
def test_rpmdb_is_readable(facts: Facts) -> None:
    """The package database can be read, and names packages only."""
    rows = facts.good("packages").lines
    assert rows, "rpm -qa names no package"
    said = facts.good("packages").error.strip()
    assert not said, f"rpm -qa complains: {said}"


@pytest.mark.control("packages-none-missing")
def test_every_locked_package_is_installed(facts: Facts, promise: Promise) -> None:
    """Every package of the lock is installed, in that very version."""
    assert promise.packages, "the input promises no package"
    missing = sorted(set(promise.packages) - installed(facts))
    assert not missing, f"locked, not installed: {', '.join(missing)}"


@pytest.mark.control("packages-none-added")
def test_nothing_else_is_installed(facts: Facts, promise: Promise) -> None:
    """Nothing is installed beside the lock."""
    added = sorted(installed(facts) - set(promise.packages))
    assert not added, f"installed, not locked: {', '.join(added)}"
