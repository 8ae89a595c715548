"""Owns the database: PostgreSQL with ten thousand pages, behind a unix socket."""

from __future__ import annotations

import hashlib

from web_debian import DATABASE_UID, DEBIAN
from web_memory import DATABASE
from web_service import Service

PROGRAMS = "/usr/lib/postgresql/15/bin"
DATA = "/kept/data"
SOCKETS = "/run/postgresql"
NAME = USER = "sample"
ROWS = 10_000
#: How the database calls its processes that serve our connections.
TITLE = f"postgres: {USER} {NAME} "
#: Of a body: an md5 in hex, so often. The page has about 1 kB then.
REPEATED = 29
#: Room for 500 connections, the same in every case; the rest is PostgreSQL's own default.
SETTINGS = {"max_connections": "620", "listen_addresses": "", "unix_socket_directories": SOCKETS}

_AS_DATABASE = ("chroot", f"--userspec={DATABASE_UID}:{DATABASE_UID}", "--groups=", DEBIAN)

CLUSTER_SQL = f"""\
CREATE ROLE {USER} LOGIN
CREATE DATABASE {NAME}
"""
TABLE_SQL = f"""\
CREATE TABLE pages (id integer PRIMARY KEY, title text NOT NULL, body text NOT NULL)
INSERT INTO pages SELECT i, 'Page ' || i, repeat(md5(i::text), {REPEATED}) \
FROM generate_series(1, {ROWS}) AS i
GRANT SELECT ON pages TO {USER}
VACUUM ANALYZE pages
"""  # noqa: S608 - of constants


def make_steps() -> tuple[tuple[tuple[str, ...], str], ...]:
    """The programs that make the database in `DATA`, each with what it reads."""
    initdb = (
        *(f"{PROGRAMS}/initdb", "--pgdata", DATA, "--username=postgres", "--auth=trust"),
        *("--no-locale", "--encoding=UTF8", "--no-sync"),
    )
    single = (f"{PROGRAMS}/postgres", "--single", "-D", DATA, "-c", "exit_on_error=on")
    return (
        ((*_AS_DATABASE, *initdb), ""),
        ((*_AS_DATABASE, *single, "postgres"), CLUSTER_SQL),
        ((*_AS_DATABASE, *single, NAME), TABLE_SQL),
    )


def plan_database() -> Service:
    """The server as a service."""
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    return Service(
        name=DATABASE, argv=(*_AS_DATABASE, f"{PROGRAMS}/postgres", "-D", DATA, *options)
    )


def page(number: int) -> str:
    """What the sample application has to answer for a row."""
    title = f"Page {number}"
    body = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest() * REPEATED
    return f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{body}</p>\n"
