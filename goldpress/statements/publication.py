"""Owns the statement of publication: an AMI, and what was read back from its EBS snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.ami import Ami, parse_ami
from goldpress.digest import canonical_json
from goldpress.errors import DocumentError
from goldpress.manifest import ImageManifest
from goldpress.statements.statement import MALFORMED

_ROOT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """An AMI of one account and region.

    `block_root` was computed anew from all blocks that its EBS snapshot gave back, of which
    `blocks` held anything.
    """

    ami: Ami
    block_root: str
    blocks: int

    def predicate(self) -> dict[str, Any]:
        """The JSON value that is signed."""
        return {
            "ami": self.ami.to_document(),
            "read_back": {"block_root": self.block_root, "blocks": self.blocks},
        }

    @property
    def place(self) -> str:
        """``account/region``."""
        return f"{self.ami.account}/{self.ami.region}"


def parse_publication(value: Mapping[str, Any]) -> Publication:
    """The inverse of `predicate`. Raises DocumentError for anything else."""
    try:
        found = value["read_back"]
        made = Publication(
            ami=parse_ami(value["ami"]), block_root=found["block_root"], blocks=found["blocks"]
        )
        same = canonical_json(made.predicate()) == canonical_json(dict(value))
        known = _ROOT.fullmatch(made.block_root) is not None
    except MALFORMED as error:
        raise DocumentError(f"publication: {error!r:.100}") from None
    if not same or not known:
        raise DocumentError("publication: has more or other parts than goldpress writes")
    return made


def faults(found: Publication, manifest: ImageManifest) -> Iterator[str]:
    """What makes this AMI another image than the manifest's."""
    ami = found.ami
    where = f"{ami.ami} in {found.place}"
    if ami.image != manifest.digest:
        yield f"{where} is of another image, {ami.image}"
    for name in ("name", "distribution", "stand_in", "arch"):
        if getattr(ami, name) != getattr(manifest, name):
            yield f"{where}: its {name} is not the manifest's"
    if ami.block_root != manifest.block_root:
        yield f"{where}: its document has another block root than the manifest"
    if found.block_root != manifest.block_root:
        yield f"{where}: its blocks were read back and are not the image's"
    if manifest.stand_in and not ami.emulated:
        yield f"{where}: a stand-in belongs in the embedded cloud only"
