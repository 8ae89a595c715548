"""Owns the checks of the running kernel's settings and of what is mounted how."""

from __future__ import annotations

from typing import Any

import pytest
from directives import different, lacking, pairs
from sections import Facts
from watched import Watched


def check_sysctl(facts: Facts, parameters: Watched[Any]) -> None:
    """Every kernel setting of the control has its value in the kernel."""
    wrong = different(pairs(facts.good("sysctl").lines), parameters["values"])
    assert not wrong, f"in the kernel {'; '.join(wrong)}"


@pytest.mark.control("os-sysctl-network")
def test_sysctl_network(facts: Facts, parameters: Watched[Any]) -> None:
    """The kernel has the settings, and so has each interface, whenever it came."""
    check_sysctl(facts, parameters)
    rows = [row.split() for row in facts.good("interfaces").lines]
    wanted = parameters["interfaces"]
    wrong = []
    for path, value in rows:
        family, _, interface, setting = path.split("/")
        most = wanted.get(f"{family} {setting}")
        # `all` and `default` are among the values; what the loopback does stays on the machine.
        if most is not None and interface not in {"all", "default", "lo"} and value != str(most):
            wrong.append(f"{interface} has {family} {setting} {value}, not {most}")
    seen = {path.split("/")[2] for path, _ in rows}
    assert seen - {"all", "default", "lo"}, f"no interface was seen: {sorted(seen)}"
    assert not wrong, "; ".join(wrong)


@pytest.mark.control("os-sysctl-kernel")
def test_sysctl_kernel(facts: Facts, parameters: Watched[Any]) -> None:
    """The kernel tells little of itself and lends few of its tools."""
    check_sysctl(facts, parameters)


@pytest.mark.control("os-sysctl-files")
def test_sysctl_files(facts: Facts, parameters: Watched[Any]) -> None:
    """Links and files of others are no traps."""
    check_sysctl(facts, parameters)


@pytest.mark.control("os-mounts")
def test_mounts(facts: Facts, parameters: Watched[Any]) -> None:
    """What can be written is mounted without devices and setuid, and mostly without programs."""
    rows = [row.split() for row in facts.good("mounts").lines]
    found = {target: set(options.split(",")) for target, _, options in rows}
    wrong = lacking(found, parameters["options"])
    assert not wrong, f"mounted: {'; '.join(wrong)}"


@pytest.mark.control("os-sshd-settings")
def test_sshd(facts: Facts, parameters: Watched[Any]) -> None:
    """The ssh server takes keys only, of one account, and forwards nothing."""
    found = pairs(facts.good("sshd").lines, " ")
    wrong = different(found, {k.lower(): v for k, v in parameters["settings"].items()})
    assert not wrong, f"sshd: {'; '.join(wrong)}"
