"""Owns showing evidence: the chain of an image for people, and keys that they ask for."""

from __future__ import annotations

import re
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from goldpress.digest import short
from goldpress.errors import DocumentError, MissingError
from goldpress.mirror.roots import IMAGE
from goldpress.statements.chain import Chain, Link, chain
from goldpress.statements.signing import entry, make_key, trust_here
from goldpress.statements.statement import ROLES, Role
from goldpress.store import Store
from goldpress.workspace import Workspace

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_WHOLE = 64


def find_digest(store: Store, image: str, *, distribution: str = "") -> str:
    """The image digest that a digest, its first digits (8 or more), or an image's name means.

    A name means the image that was pressed last, of `distribution`. Raises MissingError, or
    DocumentError when it means several.
    """
    match = _PREFIX.fullmatch(image)
    if match and len(match[1]) == _WHOLE:
        return f"sha256:{match[1]}"
    names = store.names(IMAGE)
    if match:
        found = {
            row.digest
            for name in names
            for row in store.history(IMAGE, name)
            if row.digest.startswith(f"sha256:{match[1]}")
        }
    else:
        prefix = f"{image}.{distribution}."
        found = {store.history(IMAGE, name)[-1].digest for name in names if name.startswith(prefix)}
    if not found:
        raise MissingError(
            f"{image}: the store knows no such image"
            + (f" of {distribution}" if distribution and not match else ""),
            hint="run `./inv build-image`, or name another digest or store",
        )
    if len(found) > 1:
        rows = ", ".join(sorted(short(digest) for digest in found))
        raise DocumentError(f"{image} means several images: {rows}", hint="name one by its digest")
    return found.pop()


def distribution_of(ws: Workspace, image: str) -> str:
    """The distribution that the definition of a named image says; empty for a digest."""
    return "" if _PREFIX.fullmatch(image) else ws.definition(image).distribution


def evidence(ws: Workspace, image: str, *, distribution: str = "") -> Chain:
    """The chain of an image. Raises as `find_digest`, and for a trust.yaml that cannot be used."""
    return chain(ws.store, find_digest(ws.store, image, distribution=distribution), trust_here(ws))


def links_table(title: str, links: tuple[Link, ...]) -> Table:
    """Links for a terminal."""
    shown = Table(title=title, title_justify="left")
    for name in ("link", "", "why"):
        shown.add_column(name)
    for link in links:
        shown.add_row(link.name, "ok" if link.ok else "[bold red]NO[/]", escape(link.why))
    return shown


def statements_table(found: Chain) -> Table:
    """Every statement of a chain for a terminal."""
    shown = Table(title=f"statements about {found.image}", title_justify="left")
    for name in ("statement", "kind", "since", "by", "", "why"):
        shown.add_column(name)
    for row in found.rows:
        mark = "ok" if row.good else "[bold red]NO[/]"
        by = escape(row.by) if row.believed else "not believed"
        shown.add_row(short(row.document), row.link, row.at, by, mark, escape(row.why))
    return shown


def make_trusted(name: str, path: Path, roles: str, *, stand_in: bool) -> str:
    """Make a key in a new file; returns its entry for trust.yaml. Raises DocumentError."""
    chosen = [role.strip() for role in roles.split(",") if role.strip()]
    known = sorted(set(ROLES.values()))
    wrong = [role for role in chosen if role not in known]
    if wrong or not chosen:
        raise DocumentError(f"--may={roles}: expected some of {', '.join(known)}")
    asked: list[Role] = [role for role in ROLES.values() if role in chosen]
    return entry(name, make_key(path), list(dict.fromkeys(asked)), stand_in=stand_in)
