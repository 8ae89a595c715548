"""Owns the checks of the PHP pools: their settings as PHP understands them, and their units."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from directives import different, exposure, pairs, unit
from promise import Pool, Promise
from sections import Facts
from watched import Watched

#: How addresses begin that a pool has no business with: the machine's own place, or everywhere.
NEAR = ("169.254", "fe80", "fd00:ec2", "0.", "::", "any")


def each(promise: Promise, wrong: Callable[[Pool], list[str]]) -> None:
    """Every pool of the promise has nothing wrong."""
    assert promise.pools, "the input promises no pool"
    found = [f"{pool.name}: {text}" for pool in promise.pools for text in wrong(pool)]
    assert not found, f"pool {'; '.join(found)}"


def effective(tree: Facts, pool: Pool) -> dict[str, str]:
    """Setting of PHP -> its value for this pool, of `php-fpm -i`: key => local => master."""
    found = {}
    for row in tree.good(f"php-{pool.name}").lines:
        words = row.split(" => ")
        if len(words) == 3:
            found[words[0]] = words[1]
    assert len(found) > 20, f"php-fpm -i names {len(found)} settings of {pool.name}"
    return found


def judged(tree: Facts, pool: Pool) -> dict[str, str]:
    """Setting of PHP-FPM -> its value for this pool, of `php-fpm -tt`."""
    rows = [
        re.sub(r"^\[[^]]*\] NOTICE:\s*", "", row) for row in tree.good(f"fpm-{pool.name}").lines
    ]
    return {key: value.strip('"') for key, value in pairs(rows).items()}


def check_ini(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Every setting of the control has its value in every pool."""
    wanted = parameters["settings"]
    each(promise, lambda pool: different(effective(tree, pool), wanted))


@pytest.mark.control("web-php-errors-hidden")
def test_errors_hidden(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """PHP tells its errors to the log and not to visitors, and its version to nobody."""
    check_ini(tree, promise, parameters)


@pytest.mark.control("web-php-remote-code")
def test_remote_code(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """PHP includes nothing from elsewhere and loads no extension at run time."""
    check_ini(tree, promise, parameters)


@pytest.mark.control("web-php-sessions")
def test_sessions(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """A session's cookie is for the site's own pages by TLS, and cannot be chosen by others."""
    check_ini(tree, promise, parameters)
    each(
        promise,
        lambda p: different(effective(tree, p), {"session.save_path": f"{p.state}/sessions"}),
    )


@pytest.mark.control("web-php-jit-off")
def test_jit_off(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Nothing in PHP asks for memory that is both written and executed."""
    check_ini(tree, promise, parameters)


@pytest.mark.control("web-php-code-cached")
def test_code_cached(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Compiled code is kept and never looked up again."""
    check_ini(tree, promise, parameters)


@pytest.mark.control("web-php-functions-off")
def test_functions_off(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Scripts cannot even try to run programs."""

    def left(pool: Pool) -> list[str]:
        off = set(effective(tree, pool).get("disable_functions", "").split(","))
        return [f"{name} is not disabled" for name in parameters["functions"] if name not in off]

    each(promise, left)


@pytest.mark.control("web-php-open-basedir")
def test_open_basedir(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Scripts open files of their application and its state, by PHP's own rule."""

    def beyond(pool: Pool) -> list[str]:
        value = effective(tree, pool).get("open_basedir", "")
        allowed = {pool.root, pool.state, f"/run/credentials/{pool.unit}", *parameters["shared"]}
        places = [place for place in value.split(":") if place.startswith("/")]
        return [f"open_basedir is {value}"] if not places or set(places) - allowed else []

    each(promise, beyond)


@pytest.mark.control("web-php-pool-settings")
def test_pool_settings(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """A pool has a fixed number of workers, a clean environment, and runs .php files only."""

    def wrong(pool: Pool) -> list[str]:
        wanted = {**parameters["settings"], "pm.max_children": pool.workers, "listen": pool.socket}
        return different(judged(tree, pool), wanted)

    each(promise, wrong)


@pytest.mark.control("web-php-user")
def test_user(tree: Facts, promise: Promise) -> None:
    """Each pool starts as a user of its own, without a shell."""
    rows = [row.split(":") for row in tree.good("passwd").lines]
    shells = {row[0]: row[6] for row in rows}

    def wrong(pool: Pool) -> list[str]:
        found = unit(tree.good(f"unit-{pool.unit}").text).get("User")
        shell = shells.get(pool.user, "absent")
        faults = [] if found == [pool.user] else [f"starts as {found or 'root'}"]
        return faults if shell.endswith("/nologin") else [*faults, f"its shell is {shell}"]

    each(promise, wrong)
    users = [pool.user for pool in promise.pools]
    assert len(set(users)) == len(users), f"pools share a user: {users}"


@pytest.mark.control("web-php-sandbox")
def test_sandbox(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """Every directive of the pools' sandbox is there; a good score alone would hide one less."""

    def wrong(pool: Pool) -> list[str]:
        found = unit(tree.good(f"unit-{pool.unit}").text)
        context = f"system_u:system_r:{pool.domain}:s0"
        wanted = {**parameters["directives"], "SELinuxContext": context}
        return different({k: " ".join(v) for k, v in found.items()}, wanted)

    each(promise, wrong)


@pytest.mark.control("web-php-no-metadata")
def test_no_metadata(tree: Facts, promise: Promise) -> None:
    """A pool reaches its database's networks at most, and never link-local addresses."""

    def wrong(pool: Pool) -> list[str]:
        found = unit(tree.good(f"unit-{pool.unit}").text)
        faults = [] if found.get("IPAddressDeny") == ["any"] else ["IPAddressDeny is not any"]
        allowed = " ".join(found.get("IPAddressAllow", [])).split()
        near = [a for a in allowed if a.startswith(NEAR)]
        if near or "link-local" in allowed:
            faults.append(f"IPAddressAllow has {' '.join(near) or 'link-local'}")
        if not pool.database and found.get("PrivateNetwork") != ["yes"]:
            faults.append("it has no database and is in the network")
        return faults

    each(promise, wrong)


@pytest.mark.control("web-php-exposure")
def test_exposure(tree: Facts, promise: Promise, parameters: Watched[Any]) -> None:
    """systemd rates each pool's exposure as at most this much of 10."""

    def wrong(pool: Pool) -> list[str]:
        fault = exposure(tree.good(f"exposure-{pool.unit}").text, parameters["most"])
        return [fault] if fault else []

    each(promise, wrong)
