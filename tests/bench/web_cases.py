"""Owns the cases: which server with which settings, which page, which clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from web_apache import Prefork, configuration, plan_apache
from web_database import NAME, ROWS, SOCKETS, TITLE, USER, page, plan_database
from web_debian import DEBIAN, NOBODY_UID
from web_image import Image, plan_web
from web_inside import FURNITURE
from web_load import CLIENTS, load_argv, script
from web_service import Service

WARM_UP_SECONDS = 5
MEASURED_SECONDS = 20
#: Debian's mpm_prefork.conf.
DEFAULT_CHILDREN = 150
DATABASE_PAGE = "/database"
STATIC_FILE = "/sample.css"
GREETING = "/"
SCRIPT = "/kept/wrk.lua"
WRK = ("chroot", f"--userspec={NOBODY_UID}:{NOBODY_UID}", "--groups=", DEBIAN, "/usr/bin/wrk")

Name = Literal[
    "fpm", "prefork", "fpm_thinking", "prefork_thinking", "fpm_alone", "prefork_default",
    "prefork_few", "fpm_static", "prefork_static",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement. Without `prefork` it is the image, with all pools unless `alone`.

    A static file is served without a database.
    """

    name: Name
    title: str
    prefork: Prefork | None = None
    path: str = DATABASE_PAGE
    think: bool = False
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """A case as it is carried out: what to start, what to ask for, how to load.

    `pages` are answers that have to be right before anything is measured; `greeting` names the
    server's PHP; `title` begins that of a database's process that serves; `files` go to ``/kept``.
    """

    services: tuple[Service, ...]
    furniture: tuple[str, ...]
    host: str
    greeting: str
    pages: Mapping[str, str]
    title: str
    warm_up: tuple[str, ...]
    load: tuple[str, ...]
    files: Mapping[str, str]
    timeout: int


def plan_cases(workers: int) -> tuple[Case, ...]:
    """Every case, in order, for an image whose measured pool has so many workers."""
    every = Prefork(children=CLIENTS)
    few = Prefork(children=workers, keep_alive=False)
    return (
        Case(name="fpm", title="nginx + PHP-FPM as baked"),
        Case(name="prefork", title=f"Apache prefork, {CLIENTS} children", prefork=every),
        Case(name="fpm_thinking", title="nginx + PHP-FPM as baked, clients think", think=True),
        Case(
            name="prefork_thinking",
            title=f"Apache prefork, {CLIENTS} children, clients think",
            prefork=every,
            think=True,
        ),
        Case(name="fpm_alone", title="nginx + PHP-FPM without the second application", alone=True),
        Case(
            name="prefork_default",
            title=f"Apache prefork, {DEFAULT_CHILDREN} children (Debian's default), clients think",
            prefork=Prefork(children=DEFAULT_CHILDREN),
            think=True,
        ),
        Case(
            name="prefork_few",
            title=f"Apache prefork, {workers} children, KeepAlive Off",
            prefork=few,
        ),
        Case(name="fpm_static", title="nginx as baked, a static file", path=STATIC_FILE),
        Case(
            name="prefork_static",
            title=f"Apache prefork, {CLIENTS} children, a static file",
            prefork=every,
            path=STATIC_FILE,
        ),
    )


def plan_job(case: Case, image: Image, static: str) -> Job:
    """A case's job; `static` is what the static file holds."""
    settings = {"DB_HOST": SOCKETS, "DB_NAME": NAME, "DB_USER": USER}
    dynamic = case.path == DATABASE_PAGE
    rows = ROWS if dynamic else 0
    files = {"wrk.lua": script(image.host, case.path, rows=rows, think=case.think)}
    if case.prefork:
        web: tuple[Service, ...] = (plan_apache(case.prefork, image.measured, settings),)
        files["apache.conf"] = configuration(
            case.prefork, image.measured, host=image.host, keep_seconds=image.keep_seconds
        )
    else:
        web = plan_web(image, alone=case.alone)
    return Job(
        services=(plan_database(), *web) if dynamic else web,
        furniture=FURNITURE,
        host=image.host,
        greeting=GREETING,
        title=TITLE,
        pages={f"{DATABASE_PAGE}?id={ROWS}": page(ROWS)} if dynamic else {STATIC_FILE: static},
        warm_up=load_argv(WRK, SCRIPT, WARM_UP_SECONDS),
        load=load_argv(WRK, SCRIPT, MEASURED_SECONDS),
        files=files,
        # Beyond it something hangs: starting and stopping take seconds.
        timeout=WARM_UP_SECONDS + MEASURED_SECONDS + 180,
    )


def write_job(job: Job) -> bytes:
    """The job for the child's stdin."""
    return json.dumps(asdict(job)).encode()
