"""Owns the checks of nginx's configuration, as nginx itself reads it, and of its unit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from directives import Directive, different, exposure, nginx, unit
from sections import Facts
from watched import Watched

UNIT = "nginx.service"


def http(tree: Facts) -> Directive:
    """The http block of nginx's configuration."""
    (found,) = nginx(tree.good("nginx").text).all("http")
    return found


def settings(block: Directive) -> dict[str, str]:
    """Directive -> its value, of those of the block itself."""
    return {row.name: row.value for row in block.block}


def servers(tree: Facts) -> list[Directive]:
    """Every server block that is not the default one."""
    found = [
        server
        for server in http(tree).all("server")
        if not any("default_server" in row.words for row in server.all("listen"))
    ]
    assert found, "nginx has no server block"
    return found


def check(tree: Facts, parameters: Watched[Any]) -> None:
    """The directives of the control stand in the http block, and no block below says otherwise."""
    block = http(tree)
    wanted = parameters["directives"]
    wrong = different(settings(block), wanted)
    for row in block.walk():
        if row.name in wanted and not row.block:
            wrong += different({row.name: row.value}, {row.name: wanted[row.name]})
    assert not wrong, f"nginx: {'; '.join(sorted(set(wrong)))}"


@pytest.mark.control("web-nginx-version-hidden")
def test_version_hidden(tree: Facts, parameters: Watched[Any]) -> None:
    """Neither nginx nor PHP tells its version."""
    check(tree, parameters)
    passed = [row for row in http(tree).walk() if row.name == "fastcgi_pass"]
    hidden = [row for row in http(tree).walk() if row.value == "X-Powered-By"]
    assert passed, "nginx passes nothing to PHP"
    assert len(hidden) >= len(passed), "a location does not hide X-Powered-By"


@pytest.mark.control("web-nginx-timeouts")
def test_timeouts(tree: Facts, parameters: Watched[Any]) -> None:
    """A client that is slow on purpose is let go."""
    check(tree, parameters)


@pytest.mark.control("web-nginx-buffers")
def test_buffers(tree: Facts, parameters: Watched[Any]) -> None:
    """A request's headers have a size."""
    check(tree, parameters)


@pytest.mark.control("web-nginx-limits")
def test_limits(tree: Facts, parameters: Watched[Any]) -> None:
    """One client has so many connections and requests, and others the rest."""
    zones = {row.name for row in http(tree).block}
    lost = [name for name in parameters["zones"] if name not in zones]
    assert not lost, f"nginx has no {', '.join(lost)}"
    open_ = [
        f"{settings(server).get('server_name')}: {name}"
        for server in servers(tree)
        for name in parameters["each_server"]
        if not server.all(name)
    ]
    assert not open_, f"server blocks without limits: {', '.join(open_)}"


@pytest.mark.control("web-unknown-host-closed")
def test_default_server(tree: Facts) -> None:
    """The default server answers the health check, and closes everything else."""
    found = [
        server
        for server in http(tree).all("server")
        if any("default_server" in row.words for row in server.all("listen"))
    ]
    assert len(found) == 1, f"nginx has {len(found)} default servers"
    places = {row.value: row for row in found[0].all("location")}
    assert set(places) == {"= /healthz", "/"}, f"the default server has {sorted(places)}"
    closed = [row.value for row in places["/"].all("return")]
    assert closed == ["444"], f"the default server returns {closed}"


@pytest.mark.control("web-headers")
def test_headers(tree: Facts, parameters: Watched[Any]) -> None:
    """Wherever a header is added, all of the control's are: one alone drops those inherited."""
    wanted = parameters["headers"]
    blocks = [b for s in servers(tree) for b in (s, *s.walk()) if b.all("add_header")]
    assert len(blocks) >= len(servers(tree)), "a server adds no header"
    lost = []
    for block in blocks:
        names = {row.words[1].lower() for row in block.all("add_header") if "always" in row.words}
        lost += [f"{' '.join(block.words)}: {n}" for n in wanted if n.lower() not in names]
    assert not lost, f"headers are not always added: {', '.join(lost)}"


@pytest.mark.control("web-tls")
def test_tls(tree: Facts, parameters: Watched[Any]) -> None:
    """TLS as Mozilla's intermediate guideline has it."""
    check(tree, parameters)


@pytest.mark.control("web-php-front-controller")
def test_front_controller(tree: Facts) -> None:
    """What PHP runs is named in the configuration, never in the request."""
    passed = [b for s in servers(tree) for b in s.walk() if b.all("fastcgi_pass")]
    assert passed, "nginx passes nothing to PHP"
    wrong = []
    for block in passed:
        scripts = [
            r.words[2] for r in block.all("fastcgi_param") if r.words[1] == "SCRIPT_FILENAME"
        ]
        if len(scripts) != 1 or not re.fullmatch(r"/[\w/.-]+\.php", scripts[0]):
            wrong.append(f"{' '.join(block.words)}: {scripts}")
    assert not wrong, f"PHP is given more than a fixed script: {'; '.join(wrong)}"


@pytest.mark.control("web-dotfiles-denied")
def test_dotfiles(tree: Facts) -> None:
    """Every server block refuses what begins with a dot, before anything else is tried."""
    open_ = []
    for server in servers(tree):
        rules = [row for row in server.all("location") if row.words[1].startswith("~")]
        first = rules[0].value if rules else "none"
        returned = [row.value for row in rules[0].all("return")] if rules else []
        if not first.startswith(r"~ /\.") or returned not in (["404"], ["403"], ["444"]):
            open_.append(f"{settings(server).get('server_name')} ({first})")
    assert not open_, f"dotfiles are not refused first: {', '.join(open_)}"


@pytest.mark.control("web-access-log")
def test_access_log(tree: Facts, parameters: Watched[Any]) -> None:
    """The access log is JSON, goes to the journal, and has no query strings."""
    block = http(tree)
    logs = [row.value for row in block.all("access_log")]
    assert logs == [parameters["access_log"]], f"access_log is {logs}"
    (form,) = (row for row in block.all("log_format") if row.words[1] == "json")
    assert "escape=json" in form.words, "the log's values are not escaped"
    told = [w for w in ("$request ", "$request_uri", "$args", "$query_string") if w in form.value]
    assert not told, f"query strings are logged: {', '.join(told)}"
    off = [r for r in block.walk() if r.name == "access_log" and r.value == "off"]
    checks = [r for r in block.walk() if r.value == "= /healthz"]
    assert len(off) <= len(checks), "more than the health check is not logged"


@pytest.mark.control("web-nginx-stop-time")
def test_stop_time(tree: Facts, parameters: Watched[Any]) -> None:
    """nginx has longer to end than a balancer to stop sending."""
    found = unit(tree.good(f"unit-{UNIT}").text)
    (seconds,) = found.get("TimeoutStopSec", ["0"])
    least = parameters["least_seconds"]
    assert int(seconds) > least, f"nginx has {seconds} s to end, not more than {least}"
    assert found.get("KillSignal") == ["SIGQUIT"], "nginx is not ended by SIGQUIT"


@pytest.mark.control("web-nginx-user")
def test_user(tree: Facts) -> None:
    """nginx starts as its own user."""
    found = unit(tree.good(f"unit-{UNIT}").text).get("User")
    assert found == ["nginx"], f"nginx starts as {found or 'root'}"


@pytest.mark.control("web-nginx-capabilities")
def test_capabilities(tree: Facts) -> None:
    """nginx has one capability: to bind to ports below 1024."""
    found = unit(tree.good(f"unit-{UNIT}").text)
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        value = found.get(key)
        assert value == ["CAP_NET_BIND_SERVICE"], f"{key} of nginx is {value or 'everything'}"


@pytest.mark.control("web-nginx-sandbox")
def test_sandbox(tree: Facts, parameters: Watched[Any]) -> None:
    """Every directive of nginx's sandbox is there; a good score alone would hide one less."""
    found = {k: " ".join(v) for k, v in unit(tree.good(f"unit-{UNIT}").text).items()}
    wrong = different(found, parameters["directives"])
    assert not wrong, f"{UNIT}: {'; '.join(wrong)}"


@pytest.mark.control("web-nginx-exposure")
def test_exposure(tree: Facts, parameters: Watched[Any]) -> None:
    """systemd rates nginx's exposure as at most this much of 10."""
    wrong = exposure(tree.good(f"exposure-{UNIT}").text, parameters["most"])
    assert not wrong, f"{UNIT}: {wrong}"
