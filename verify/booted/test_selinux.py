"""Owns the checks of SELinux: on, and nothing runs outside its domains."""

from __future__ import annotations

import re

import pytest
from facts import MISLABELLED
from promise import Promise
from sections import Facts
from selinux import DENIAL, summary

#: The kernel's records of the policy load, which every enforcing boot writes: without them the
#: place where denials would show was not readable.
POLICY_LOAD = re.compile(r"type=(?:1403|MAC_POLICY_LOAD)\b|\bSELinux: +policy capability")
#: A mount of systemd's over the empty file of the image, with the label of what is in /run.
MACHINE_ID = "Would relabel /etc/machine-id "
#: systemd, and its helper that holds a login's PAM session: a fork that starts no other program.
SYSTEMD = {"systemd", "(sd-pam)"}
UNCONFINED_SERVICES = {"unlabeled_t", "unconfined_service_t", "initrc_t"}


def domains(facts: Facts) -> list[tuple[str, str]]:
    """(domain, command name) of every process."""
    rows = [row.split(" ", 2) for row in facts.good("processes").lines]
    assert rows, "no process was seen"
    return [
        (label.split(":")[2] if label.count(":") > 1 else label, comm) for _, label, comm in rows
    ]


@pytest.mark.control("os-selinux-enforcing")
def test_enforcing(facts: Facts) -> None:
    """SELinux enforces."""
    found = facts.good("selinux-enforce").text
    assert found == "1", f"/sys/fs/selinux/enforce is {found!r}"


@pytest.mark.control("os-selinux-targeted")
def test_configured_enforcing_and_targeted(facts: Facts) -> None:
    """The configuration says enforcing and targeted, so a reboot keeps both."""
    rows = [row.strip() for row in facts.good("selinux-config").lines]
    settings = dict(row.split("=", 1) for row in rows if "=" in row and not row.startswith("#"))
    found = (settings.get("SELINUX"), settings.get("SELINUXTYPE"))
    assert found == ("enforcing", "targeted"), f"/etc/selinux/config says {found}"


@pytest.mark.control("os-selinux-booleans")
def test_booleans(facts: Facts, promise: Promise) -> None:
    """The promised booleans have their values, and none waits to be changed."""
    found = {}
    pending = []
    for row in facts.good("selinux-booleans").lines:
        name, now, later = row.split()
        found[name] = now == "1"
        if now != later:
            pending.append(name)
    wrong = [f"{n} is {found.get(n)}" for n, v in promise.booleans.items() if found.get(n) is not v]
    assert not wrong, f"not as promised: {', '.join(wrong)}"
    assert not pending, f"changed and not committed: {', '.join(pending)}"


@pytest.mark.control("os-selinux-no-unconfined-service")
def test_no_process_without_a_domain(facts: Facts) -> None:
    """No process runs unlabelled or in a domain that stands for "none was chosen"."""
    found = sorted({f"{comm} in {d}" for d, comm in domains(facts) if d in UNCONFINED_SERVICES})
    assert not found, f"outside every domain: {', '.join(found)}"


@pytest.mark.control("os-selinux-init-domain")
def test_only_systemd_runs_as_init(facts: Facts) -> None:
    """In init_t runs systemd and nothing else: a service there failed its domain transition."""
    found = {comm for domain, comm in domains(facts) if domain == "init_t"}
    alone = "systemd" in found and found <= SYSTEMD
    assert alone, f"in init_t run {sorted(found)}"


@pytest.mark.control("web-nginx-domain")
def test_nginx_domain(facts: Facts) -> None:
    """Every nginx process runs in the domain that is nginx's alone."""
    found = {domain for domain, comm in domains(facts) if comm == "nginx"}
    assert found == {"gp_nginx_t"}, f"nginx runs in {sorted(found) or 'no process'}"


@pytest.mark.control("web-php-domain")
def test_php_domain(facts: Facts, promise: Promise) -> None:
    """Every PHP-FPM process runs in its pool's domain, and every pool's runs."""
    found = {domain for domain, comm in domains(facts) if comm.startswith("php-fpm")}
    units = [unit for unit in promise.services if unit.startswith("goldpress-php-")]
    pools = [u.removeprefix("goldpress-php-").removesuffix(".service") for u in units]
    wanted = {f"gp_php_{pool}_t" for pool in pools}
    assert wanted, "the input promises no pool"
    assert found == wanted, f"php-fpm runs in {sorted(found) or 'no process'}"


@pytest.mark.control("os-selinux-no-denial")
def test_no_denial(facts: Facts) -> None:
    """SELinux has denied nothing since the boot, this look at the machine included."""
    rows = facts.good("denials").lines
    assert any(POLICY_LOAD.search(row) for row in rows), "no audit record could be read at all"
    denied = sorted({summary(row) for row in rows if DENIAL.search(row)})
    assert not denied, f"denied: {'; '.join(denied)}"


@pytest.mark.control("os-selinux-labels")
def test_labels(facts: Facts) -> None:
    """What is on the machine has the labels that the policy says."""
    rows = [row for row in facts.good("labels").lines if "elabel" in row]
    found = [row for row in rows if MISLABELLED not in row and MACHINE_ID not in row]
    assert len(found) < len(rows), "not even a folder with a wrong label was found"
    assert not found, f"labelled otherwise: {'; '.join(found[:5])}"
