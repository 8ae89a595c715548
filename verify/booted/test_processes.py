"""Owns the checks of what nginx and the pools run as, and how much of the machine they see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from promise import Promise
from sections import Facts
from watched import Watched

#: CAP_NET_BIND_SERVICE, as /proc/PID/status shows it.
NET_BIND_SERVICE = f"{1 << 10:016x}"
NONE = f"{0:016x}"
FILTERED = "2"


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process: its command, its real, effective and saved user, and how it is confined."""

    name: str
    users: tuple[str, ...]
    effective: str
    bounding: str
    no_new_privileges: str
    seccomp: str


def processes(facts: Facts, name: str) -> list[Process]:
    """Every process whose command begins with `name`."""
    found: list[Process] = []
    for part in re.split(r"^Name:", facts.good("confinement").text, flags=re.MULTILINE)[1:]:
        command, *rows = part.splitlines()
        told = {key: value.split() for key, _, value in (row.partition(":") for row in rows)}
        if command.strip().startswith(name):
            found.append(
                Process(
                    name=command.strip(),
                    users=tuple(told["Uid"][:3]),
                    effective=told["CapEff"][0],
                    bounding=told["CapBnd"][0],
                    no_new_privileges=told["NoNewPrivs"][0],
                    seccomp=told["Seccomp"][0],
                )
            )
    assert found, f"no process of {name} was seen"
    return found


def numbers(facts: Facts) -> dict[str, str]:
    """Account -> its number."""
    rows = (re.match(r"uid=(\d+)\(([^)]+)\)", row) for row in facts.good("accounts").lines)
    return {match[2]: match[1] for match in rows if match}


def exposures(facts: Facts) -> dict[str, float]:
    """Unit -> what systemd rates it of 10."""
    found = {}
    for row in facts.good("exposure").lines:
        words = row.split()
        if len(words) > 1 and re.fullmatch(r"\d+\.\d", words[1]):
            found[words[0]] = float(words[1])
    assert found, "systemd-analyze rates no unit"
    return found


def check_exposure(facts: Facts, units: list[str], most: float) -> None:
    """Each of the units is rated, and as at most this much."""
    found = exposures(facts)
    wrong = [f"{u} is {found.get(u, 'not rated')}" for u in units if found.get(u, 10.0) > most]
    assert not wrong, f"exposure above {most}: {', '.join(wrong)}"


@pytest.mark.control("web-nginx-user")
def test_nginx_user(facts: Facts) -> None:
    """Every nginx process is nginx's."""
    number = numbers(facts)["nginx"]
    wrong = [p.users for p in processes(facts, "nginx") if set(p.users) != {number}]
    assert not wrong, f"nginx runs as {wrong}, not {number}"


@pytest.mark.control("web-nginx-capabilities")
def test_nginx_capabilities(facts: Facts) -> None:
    """nginx can bind to low ports and nothing else, ever."""
    for process in processes(facts, "nginx"):
        found = (process.effective, process.bounding)
        wanted = (NET_BIND_SERVICE, NET_BIND_SERVICE)
        assert found == wanted, f"nginx has the capabilities {' of '.join(found)}"
        assert process.no_new_privileges == "1", "nginx may gain privileges"
        assert process.seccomp == FILTERED, "nginx may make any system call"


@pytest.mark.control("web-nginx-exposure")
def test_nginx_exposure(facts: Facts, parameters: Watched[Any]) -> None:
    """systemd rates nginx's exposure as at most this much of 10."""
    check_exposure(facts, ["nginx.service"], float(parameters["most"]))


@pytest.mark.control("web-php-exposure")
def test_php_exposure(facts: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """systemd rates each pool's exposure as at most this much of 10."""
    assert promise.pools, "the input promises no pool"
    check_exposure(facts, [pool.unit for pool in promise.pools], float(parameters["most"]))


@pytest.mark.control("web-php-user")
def test_php_user(facts: Facts, promise: Promise) -> None:
    """Each pool's processes are its user's, as many as promised, without any capability."""
    assert promise.pools, "the input promises no pool"
    known = numbers(facts)
    seen = processes(facts, "php-fpm")
    wanted = {known[pool.user]: pool for pool in promise.pools}
    strangers = sorted({p.users[0] for p in seen} - set(wanted))
    assert not strangers, f"php-fpm runs as the numbers {', '.join(strangers)}"
    for number, pool in wanted.items():
        own = [p for p in seen if set(p.users) == {number}]
        count = pool.workers + 1
        assert len(own) == count, f"pool {pool.name} has {len(own)} processes, not {count}"
        for process in own:
            caps = (process.effective, process.bounding)
            assert caps == (NONE, NONE), f"pool {pool.name} has capabilities {' of '.join(caps)}"
            assert process.no_new_privileges == "1", f"pool {pool.name} may gain privileges"
            assert process.seccomp == FILTERED, f"pool {pool.name} may make any system call"


@pytest.mark.control("web-php-places")
def test_php_places(facts: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Each pool's socket and folders are its own."""
    assert promise.pools, "the input promises no pool"
    found = {}
    for row in facts.good("pool-places").lines:
        path, mode, user = row.split()
        found[path] = (mode, user)
    modes = parameters["modes"]
    wrong = []
    for pool in promise.pools:
        places = {
            pool.socket: modes["socket"],
            pool.run: modes["run"],
            pool.state: modes["state"],
            f"{pool.state}/sessions": modes["sessions"],
            f"{pool.state}/uploads": modes["uploads"],
        }
        for path, mode in places.items():
            # An access list shows as the group's mode: the mask.
            allowed = {mode, mode[0] + "6" + mode[2]} if path == pool.socket else {mode}
            has, user = found.get(path, ("absent", "nobody"))
            if has not in allowed or user != pool.user:
                wrong.append(f"{path} is {has} of {user}, not {mode} of {pool.user}")
    assert not wrong, "; ".join(wrong)
