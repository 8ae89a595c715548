"""Owns the checks of how the machine came up and what it stands on."""

from __future__ import annotations

import pytest
from facts import Facts, Section
from promise import Promise


def mount(section: Section) -> tuple[str, str, list[str]]:
    """Source, file system and options of a findmnt line."""
    (row,) = section.lines
    source, kind, options = row.split()
    return source, kind, options.split(",")


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


@pytest.mark.control("disk-root-read-only")
def test_root_is_mounted_read_only(facts: Facts) -> None:
    """The root is ext4 and mounted read-only."""
    _, kind, options = mount(facts.good("root-mount"))
    assert kind == "ext4", f"the root is {kind}, not ext4"
    assert "ro" in options, f"the root is mounted {','.join(options)}"


@pytest.mark.control("disk-root-identity")
def test_root_is_the_images_partition(facts: Facts, promise: Promise) -> None:
    """The root is the very partition of the image, not one that merely has its label."""
    source, _, _ = mount(facts.good("root-mount"))
    partitions = dict(row.split(maxsplit=1) for row in facts.good("partitions").lines)
    wanted = partitions.get(promise.root_uuid, "absent")
    assert source == wanted, f"the root is {source}; partition {promise.root_uuid} is {wanted}"


@pytest.mark.control("disk-usr-not-writable")
def test_usr_cannot_be_written(facts: Facts) -> None:
    """Not even root can write below /usr."""
    probe = facts.sections["write-usr"]
    assert probe.status != 0, "a file could be made in /usr"
    assert "Read-only file system" in probe.text, f"refused for another reason: {probe.text}"


@pytest.mark.control("disk-etc-not-writable")
def test_etc_cannot_be_written(facts: Facts) -> None:
    """Not even root can write below /etc."""
    probe = facts.sections["write-etc"]
    assert probe.status != 0, "a file could be made in /etc"
    assert "Read-only file system" in probe.text, f"refused for another reason: {probe.text}"


@pytest.mark.control("disk-var-separate")
def test_var_is_separate_and_writable(facts: Facts) -> None:
    """/var is a partition of its own, and can be written."""
    source, _, options = mount(facts.good("var-mount"))
    root = mount(facts.good("root-mount"))[0]
    assert source != root, f"/var is on the root's device {root}"
    assert "rw" in options, f"/var is mounted {','.join(options)}"
    facts.good("write-var")


@pytest.mark.control("boot-command-line")
def test_command_line_keeps_selinux_on(facts: Facts) -> None:
    """The kernel was not told to do without SELinux or to start something else."""
    words = facts.good("command-line").text.split()
    assert words, "the command line is empty"
    banned = {"selinux=0", "enforcing=0", "single", "rescue", "emergency", "rw", "1", "s", "S"}
    bad = [w for w in words if w in banned or w.startswith(("init=", "rd.break"))]
    assert not bad, f"on the kernel command line: {' '.join(bad)}"
