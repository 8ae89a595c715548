"""Owns the checks of the system's settings, as its own programs read them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from directives import different, lacking, pairs, unit
from promise import Promise
from sections import Facts
from watched import Watched


def kernel_settings(tree: Facts) -> dict[str, str]:
    """Key -> value of the merged sysctl.d; a leading `-` only says that a failure is fine."""
    rows = [row.removeprefix("-") for row in tree.good("sysctl").lines]
    return {key.replace("/", "."): value for key, value in pairs(rows).items()}


def check_sysctl(tree: Facts, parameters: Watched[Any]) -> None:
    """Every kernel setting of the control has its value in the merged sysctl.d."""
    wrong = different(kernel_settings(tree), parameters["values"])
    assert not wrong, f"in sysctl.d {'; '.join(wrong)}"


@pytest.mark.control("os-sysctl-network")
def test_sysctl_network(tree: Facts, parameters: Watched[Any]) -> None:
    """The machine is no router, and believes nobody who wants to change its routes."""
    check_sysctl(tree, parameters)


@pytest.mark.control("os-sysctl-kernel")
def test_sysctl_kernel(tree: Facts, parameters: Watched[Any]) -> None:
    """The kernel tells little of itself and lends few of its tools."""
    check_sysctl(tree, parameters)


@pytest.mark.control("os-sysctl-files")
def test_sysctl_files(tree: Facts, parameters: Watched[Any]) -> None:
    """Links and files of others are no traps."""
    check_sysctl(tree, parameters)


@pytest.mark.control("os-core-dumps")
def test_core_dumps(tree: Facts, parameters: Watched[Any]) -> None:
    """No process leaves its memory on the disk."""
    found = {**pairs(tree.good("coredump").lines), **pairs(tree.good("manager").lines)}
    wrong = different(found, parameters["settings"])
    assert not wrong, f"core dumps: {'; '.join(wrong)}"
    rows = [row.split() for row in tree.good("limits").lines]
    assert ["*", "hard", "core", "0"] in rows, "limits.d has no `* hard core 0`"


@pytest.mark.control("os-kernel-modules")
def test_kernel_modules(tree: Facts, parameters: Watched[Any]) -> None:
    """Modules that no image needs are loaded neither by name nor by need."""
    rows = {" ".join(row.split()) for row in tree.good("modprobe").lines}
    open_ = [
        name
        for name in parameters["modules"]
        if not {f"install {name} /bin/false", f"blacklist {name}"} <= rows
    ]
    assert not open_, f"can be loaded: {', '.join(open_)}"


@pytest.mark.control("os-mounts")
def test_mounts(tree: Facts, parameters: Watched[Any]) -> None:
    """What can be written is mounted without devices and setuid, and mostly without programs."""
    found = {}
    for row in tree.good("fstab").lines:
        if not row.startswith("#"):
            _, target, _, options, *_ = row.split()
            found[target] = set(options.split(","))
    mounted = unit(tree.sections["unit-var-log.mount"].text)
    for target, options in zip(mounted.get("Where", []), mounted.get("Options", []), strict=True):
        found[target] = set(options.split(","))
    wrong = lacking(found, parameters["options"])
    assert not wrong, f"mounts: {'; '.join(wrong)}"


@pytest.mark.control("os-journal-persistent")
def test_journal(tree: Facts, parameters: Watched[Any]) -> None:
    """The journal survives a restart."""
    wrong = different(pairs(tree.good("journald").lines), parameters["settings"])
    assert not wrong, f"journald: {'; '.join(wrong)}"


@pytest.mark.control("os-time-source")
def test_time(tree: Facts, parameters: Watched[Any]) -> None:
    """The time comes from the machine's own place and nowhere else; nobody is served."""
    rows = [row.split() for row in tree.good("chrony").lines if not row.startswith("#")]
    sources = [row[1] for row in rows if row[0] in {"server", "pool", "peer"}]
    assert sources == [parameters["server"]], f"the time comes from {sources or 'nowhere'}"
    closed = {row[0]: row[1] for row in rows if row[0] in {"cmdport", "port"}}
    assert closed == {"cmdport": "0", "port": "0"}, f"chronyd listens: {closed}"


@pytest.mark.control("os-crypto-policy")
def test_crypto_policy(tree: Facts, parameters: Watched[Any]) -> None:
    """The system's crypto policy is the promised one, and was applied."""
    found = [row for row in tree.good("crypto-policy").lines if not row.startswith("#")]
    wanted = parameters["policy"]
    assert found == [wanted, wanted], f"crypto policy, configured and applied: {found}"


@pytest.mark.control("os-audit-rules-loaded")
def test_audit_rules(tree: Facts, parameters: Watched[Any]) -> None:
    """The rules that auditd loads watch all that they have to."""
    rows = [row for row in tree.good("audit-rules").lines if not row.startswith("#")]
    text = " ".join(rows)
    keys = set(re.findall(r"-k (\S+)|-F key=(\S+)", text))
    found = {word for pair in keys for word in pair if word}
    lost = sorted(set(parameters["keys"]) - found)
    assert not lost, f"audit.rules has no rule for: {', '.join(lost)}"


@pytest.mark.control("os-audit-immutable")
def test_audit_immutable(tree: Facts) -> None:
    """The last audit rule makes all of them final."""
    rows = [row for row in tree.good("audit-rules").lines if not row.startswith("#")]
    assert rows[-1:] == ["-e 2"], f"audit.rules ends with {rows[-1:]}, not with -e 2"


@pytest.mark.control("os-services")
def test_services(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Exactly the promised units are enabled, and the masked ones are masked."""
    wanted = {*promise.services, *parameters["pulled_in"]}
    found = {row.split()[0] for row in tree.good("enabled").lines}
    added, missing = sorted(found - wanted), sorted({*promise.services} - found)
    assert not added, f"enabled, not promised: {', '.join(added)}"
    assert not missing, f"promised, not enabled: {', '.join(missing)}"
    masked = {row.split()[0] for row in tree.good("masked").lines}
    open_ = sorted({*promise.masked} - masked)
    assert not open_, f"not masked: {', '.join(open_)}"
