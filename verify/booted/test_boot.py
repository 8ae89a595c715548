"""Owns the checks of how the machine came up and what it stands on."""

from __future__ import annotations

import pytest
from promise import Promise
from sections import Facts

#: What would start something else, or set the root up less strictly than its hash tree allows.
BANNED_STARTS = ("init=", "rd.break", "systemd.verity", "rd.systemd.verity")


@pytest.mark.control("boot-uefi")
def test_booted_through_uefi(facts: Facts) -> None:
    """Booted through UEFI firmware, as on EC2."""
    found = facts.sections["uefi"].lines
    assert found == ["/sys/firmware/efi"], "there is no /sys/firmware/efi: not booted by UEFI"


@pytest.mark.control("boot-architecture")
def test_architecture(facts: Facts, promise: Promise) -> None:
    """The kernel is of the promised architecture."""
    found = facts.good("architecture").text
    assert found == promise.arch, f"the kernel is {found}, promised is {promise.arch}"


@pytest.mark.control("boot-state-running")
def test_start_up_ended_well(facts: Facts) -> None:
    """The start-up ended, and nothing in it failed."""
    state = facts.sections["state"]
    said = state.text or "nothing until the time limit"
    assert state.text == "running", f"systemd says {said}, not running"


@pytest.mark.control("boot-no-failed-unit")
def test_no_failed_unit(facts: Facts) -> None:
    """No unit has failed."""
    failed = [row.split()[0] for row in facts.good("failed-units").lines]
    assert not failed, f"failed units: {', '.join(failed)}"


@pytest.mark.control("boot-services-active")
def test_services_are_active(facts: Facts, promise: Promise) -> None:
    """Every promised service is enabled and active."""
    assert promise.services, "the input promises no service"
    found = units(facts)
    wrong = []
    for unit in promise.services:
        shown = found.get(unit, {})
        once = shown.get("Type") == "oneshot" and shown.get("Result") == "success"
        active = shown.get("ActiveState") == "active" or (
            once and int(shown.get("ExecMainPID", "0")) > 0
        )
        enabled = shown.get("UnitFileState") in {"enabled", "static", "generated", "indirect"}
        if not active or not enabled:
            state = [shown.get(name, "?") for name in ("LoadState", "UnitFileState", "ActiveState")]
            wrong.append(f"{unit} ({'/'.join(state)})")
    assert not wrong, f"not enabled and active: {', '.join(wrong)}"


def units(facts: Facts) -> dict[str, dict[str, str]]:
    """Unit -> its properties."""
    found: dict[str, dict[str, str]] = {}
    for block in facts.good("units").text.split("\n\n"):
        shown = dict(row.split("=", 1) for row in block.splitlines() if "=" in row)
        if shown:
            found[shown["Id"]] = shown
    return found


@pytest.mark.control("boot-command-line")
def test_command_line_keeps_selinux_on(facts: Facts) -> None:
    """The kernel was not told to do without SELinux or to start something else."""
    words = facts.good("command-line").text.split()
    assert words, "the command line is empty"
    banned = {"selinux=0", "enforcing=0", "single", "rescue", "emergency", "rw", "1", "s", "S"}
    bad = [w for w in words if w in banned or w.startswith(BANNED_STARTS)]
    assert not bad, f"on the kernel command line: {' '.join(bad)}"
