"""Owns the checks of auditing: the rules that the image brings are the kernel's."""

from __future__ import annotations

import pytest
from sections import Facts


def rules(rows: list[str]) -> set[str]:
    """The watches and system call rules among the rows, as the kernel tells them back."""
    found = (row.split() for row in rows if row.startswith(("-w ", "-a ")))
    return {" ".join(word.rstrip("/") for word in words) for words in found}


@pytest.mark.control("os-audit-rules-loaded")
def test_audit_rules_are_loaded(facts: Facts) -> None:
    """Every rule of /etc/audit/rules.d is in the kernel; auditd starts well without any."""
    promised = rules(facts.good("audit-rules").lines)
    assert promised, "/etc/audit/rules.d has no rule"
    lost = sorted(promised - rules(facts.good("audit-rules-loaded").lines))
    assert not lost, f"audit rules that the kernel has not: {', '.join(lost)}"


@pytest.mark.control("os-audit-immutable")
def test_audit_is_immutable(facts: Facts) -> None:
    """The kernel takes no other rules until the machine starts again."""
    found = dict(row.split(maxsplit=1) for row in facts.good("audit-status").lines if " " in row)
    assert found.get("enabled") == "2", f"auditing is {found.get('enabled')}, not 2 (immutable)"
