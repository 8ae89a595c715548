"""The image's own programs judge its configuration: how they are asked, and what stops a press."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pressing import PROJECT, sandbox_press, variant

from goldpress.definition import load_definition
from goldpress.errors import BuildError
from goldpress.rootfs.pools import plan_pools
from goldpress.rootfs.programs import COMPLAINTS, nginx_line, pool_line


def test_nginx_is_asked_as_the_user_that_it_runs_as() -> None:
    line = nginx_line()
    assert line.endswith(
        "exec setpriv --reuid=nginx --regid=nginx --clear-groups "
        "--inh-caps=+net_bind_service --ambient-caps=+net_bind_service -- nginx -t -q"
    )
    assert "mkdir -p /run/goldpress-nginx /run/goldpress-tls /var/lib/goldpress-nginx" in line


def test_a_pool_is_asked_as_its_own_user_without_a_capability() -> None:
    pool = next(p for p in plan_pools(load_definition(PROJECT / "images/web")) if p.name == "app")
    line = pool_line(pool)
    assert line.endswith(
        "exec setpriv --reuid=gp-app --regid=gp-app --clear-groups -- "
        "env PHP_INI_SCAN_DIR=:/etc/goldpress/php/app php-fpm --test"
        " --fpm-config /etc/goldpress/php/app/fpm.conf"
    )
    assert "mkdir -p /run/goldpress-php-app /var/lib/goldpress-php-app " in line


@pytest.mark.parametrize(
    ("line", "is_complaint"),
    [
        ('nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored', True),
        ("[23-Nov-2026 02:16:59] WARNING: [pool app] request_slowlog_timeout", True),
        ("PHP Warning:  PHP Startup: Unable to load dynamic library 'x'", True),
        ("[23-Nov-2026 02:16:59] NOTICE: configuration file x test is successful", False),
        ("nginx: configuration file /etc/nginx/nginx.conf test is successful", False),
    ],
)
def test_what_counts_as_a_complaint(line: str, is_complaint: bool) -> None:
    assert (COMPLAINTS.search(line) is not None) is is_complaint


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            "files/etc/nginx/goldpress/health.conf",
            "fastcgi_connect_timeout 2s;",
            "fastcgi_connect_timeout 2parsecs;",
            r'^nginx would not start: .*"fastcgi_connect_timeout" directive invalid value',
        ),
        (
            "files/etc/nginx/goldpress/fastcgi.conf",
            "fastcgi_buffers 16 16k;",
            "fastcgi_buffers 16 16k;\nssi_types text/html;",
            r"^nginx complains: .*\[warn\]",
        ),
        (
            "files/etc/goldpress/php/@pool@/fpm.conf.j2",
            "pm = static",
            "pm = often",
            r"^pool app would not start: .*invalid process manager",
        ),
        (
            "files/etc/sudoers.d/goldpress",
            "Defaults use_pty",
            "Defaults use_pity",
            r"^sudo would not start: .*use_pity",
        ),
    ],
)
def test_a_configuration_that_its_program_refuses_stops_the_press(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    text = (PROJECT / "images/web" / name).read_text()
    assert old in text
    press = sandbox_press()
    packages = press.packages()
    policy = press.policy(packages)
    spoiled = variant(press, tmp_path / "web", {name: text.replace(old, new)})
    with pytest.raises(BuildError) as caught:
        spoiled.rootfs(packages, policy)
    assert re.search(said, caught.value.message, re.DOTALL), caught.value.message
    assert caught.value.hint.startswith("correct it in images/<name>/files: ")
