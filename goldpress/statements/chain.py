"""Owns the chain: what is said of an image digest, by whom, and which links it proves.

    manifest ── provenance ── sbom ── verification ── publication ── trial

Documents are hashed again on the way. A statement that cannot be believed proves nothing, and is
told; one that is believed and contradicts the manifest breaks its link, whatever others say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.digest import short
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.manifest import ImageManifest, parse_manifest
from goldpress.statements.judged import Row, Value, judge, tried, unread
from goldpress.statements.provenance import Provenance
from goldpress.statements.publication import Publication
from goldpress.statements.sbom import Bill
from goldpress.statements.shelf import kept
from goldpress.statements.statement import Statement
from goldpress.statements.trust import Trust
from goldpress.statements.verification import EMULATED, Verification
from goldpress.store import Store

#: The links, in order; the names are those of `evidence:` in a channel's file.
LINKS = ("manifest", "provenance", "sbom", "verification", "publication", "trial")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: What makes a missing link.
MAKERS: Mapping[str, str] = {
    "provenance": "./inv build-image",
    "sbom": "./inv build-image",
    "verification": "./inv build-image",
    "publication": "./inv publish",
    "trial": "./inv publish",
}


@dataclass(frozen=True, kw_only=True)
class Link:
    """One link of the chain: whether it is proven, by whom, or why not."""

    name: str
    ok: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What is said of an image digest. `manifest` is None when the store has none that fits."""

    image: str
    manifest: ImageManifest | None
    links: tuple[Link, ...]
    rows: tuple[Row, ...]

    def link(self, name: str) -> Link:
        """One of `LINKS`."""
        return next(link for link in self.links if link.name == name)

    def missing(self, required: Iterable[str] = LINKS) -> tuple[Link, ...]:
        """Those of the required links, the manifest always, that are not proven."""
        wanted = {"manifest", *required}
        return tuple(link for link in self.links if link.name in wanted and not link.ok)

    @property
    def provenances(self) -> tuple[Provenance, ...]:
        """Every proven provenance, oldest first."""
        return tuple(v for v in self._good("provenance") if isinstance(v, Provenance))

    @property
    def bill(self) -> Bill | None:
        """The proven bill of materials; all that are proven list the same packages."""
        return next((v for v in self._good("sbom") if isinstance(v, Bill)), None)

    @property
    def verifications(self) -> tuple[Verification, ...]:
        """Every good verification on a local machine, oldest first."""
        return tuple(v for v in self._good("verification") if isinstance(v, Verification))

    @property
    def trials(self) -> tuple[Verification, ...]:
        """Every good verification of a launched AMI, oldest first."""
        return tuple(v for v in self._good("trial") if isinstance(v, Verification))

    @property
    def publications(self) -> tuple[Publication, ...]:
        """Every good publication, also to the embedded cloud (`ami.emulated`), oldest first."""
        return tuple(v for v in self._good("publication") if isinstance(v, Publication))

    @property
    def promotions(self) -> tuple[Statement, ...]:
        """Every promotion that is believed, oldest first; what it says is for others to judge."""
        return tuple(v for v in self._good("promotion") if isinstance(v, Statement))

    def _good(self, link: str) -> Iterator[Value]:
        return (row.value for row in self.rows if row.link == link and row.good)

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "image_digest": self.image,
            "links": [vars(link) for link in self.links],
            "statements": [
                {
                    "statement": row.document,
                    "kind": row.link,
                    "by": row.by,
                    "at": row.at,
                    "good": row.good,
                    "why": row.why,
                }
                for row in self.rows
            ],
        }


def chain(store: Store, image: str, trust: Trust) -> Chain:
    """The chain of an image digest. Raises CloudError or OSError when the store cannot be read."""
    manifest, why = _manifest(store, image)
    shelf = list(kept(store, image))
    if manifest is None:
        rows = [unread(row, "there is no manifest to hold it against") for row in shelf]
    else:
        rows = tried(judge(store, row, manifest, trust) for row in shelf)
    links = [Link(name="manifest", ok=not why, why=why or told(manifest))]
    links += [_link(name, rows, manifest) for name in LINKS[1:]]
    return Chain(image=image, manifest=manifest, links=tuple(links), rows=tuple(rows))


def told(manifest: ImageManifest | None) -> str:
    """An image in a few words."""
    return f"{manifest.name}, {manifest.distribution}, {manifest.arch}" if manifest else ""


def _manifest(store: Store, image: str) -> tuple[ImageManifest | None, str]:
    if not _DIGEST.fullmatch(image):
        return None, f"{image!r:.80} is not an image digest"
    try:
        found = parse_manifest(store.get_document("manifest", image))
    except (MissingError, DocumentError, TrustError) as error:
        return None, error.message
    except (ValueError, RecursionError):
        return None, "the manifest is not JSON"
    if found.digest != image:
        return None, f"the manifest's own digest is {found.digest}"
    return found, ""


def _link(name: str, rows: Iterable[Row], manifest: ImageManifest | None) -> Link:
    mine = [row for row in rows if row.link == name and not _rehearsed(row, manifest)]
    wrong = [row for row in mine if row.believed and row.why]
    good = [row for row in mine if row.good]
    if wrong:
        return Link(name=name, ok=False, why=f"{wrong[0].why} (signed by {wrong[0].by})")
    if good:
        by = ", ".join(sorted({row.by for row in good}))
        return Link(name=name, ok=True, why=f"signed by {by}{_places(good)}")
    others = [f"{short(row.document)}: {row.why}" for row in mine]
    why = f"no statement that is believed; {others[-1]}" if others else "no statement"
    return Link(name=name, ok=False, why=f"{why}; `{MAKERS[name]}` makes it")


def _rehearsed(row: Row, manifest: ImageManifest | None) -> bool:
    """Whether it is of a rehearsal in the embedded cloud: that says nothing about AWS."""
    if manifest is None or manifest.stand_in:
        return False
    match row.value:
        case Publication(ami=ami):
            return ami.emulated
        case Verification(evidence=evidence):
            return evidence.machine.kind == EMULATED
    return False


def _places(rows: Iterable[Row]) -> str:
    found = [row.value for row in rows]
    places = [v.place for v in found if isinstance(v, Publication)]
    places += [
        f"{v.launched.account}/{v.launched.region}"
        for v in found
        if isinstance(v, Verification) and v.launched
    ]
    return f": {', '.join(sorted(set(places)))}" if places else ""
