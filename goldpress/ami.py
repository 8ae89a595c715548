"""Owns the AMI document: which AMI holds which image, where, and what proves it.

It holds no time, so that to publish the same again is to write the same document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from goldpress.errors import DocumentError, MissingError
from goldpress.store import Store

AMI_VERSION = 1
KIND = "ami"
#: Of those fields that are no text.
_TYPES: Mapping[str, type] = {"stand_in": bool, "emulated": bool, "volume_gib": int}
AMI_ID = re.compile(r"ami-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True)
class Ami:
    """An AMI of one account and region.

    `image`, `blocks` (the block index) and `promises` (what the suite checks) are digests of
    documents; `block_root` is over the blocks of its EBS snapshot. `emulated`: in no real cloud.
    """

    image: str
    name: str
    distribution: str
    stand_in: bool
    arch: str
    account: str
    region: str
    emulated: bool
    ami: str
    ami_name: str
    snapshot: str
    kms_key: str
    volume_gib: int
    root_device: str
    block_root: str
    blocks: str
    promises: str

    def to_document(self) -> dict[str, Any]:
        """The JSON value that is stored."""
        return {"ami_version": AMI_VERSION, **asdict(self)}

    @property
    def series(self) -> str:
        """The name in the ledger under which one AMI follows another."""
        return series(
            name=self.name, distribution=self.distribution, arch=self.arch,
            account=self.account, region=self.region,
        )  # fmt: skip


def series(*, name: str, distribution: str, arch: str, account: str, region: str) -> str:
    """The ledger's name of an image's AMIs in one account and region."""
    return f"{name}.{distribution}.{arch}.{account}.{region}"


def parse_ami(value: Mapping[str, Any]) -> Ami:
    """The inverse of `to_document`. Raises DocumentError for unknown, missing or wrong fields."""
    rest = dict(value)
    if rest.pop("ami_version", None) != AMI_VERSION:
        raise DocumentError("AMI document: its ami_version is not one that I know")
    for name, found in rest.items():
        if type(found) is not _TYPES.get(name, str):
            raise DocumentError(f"AMI document: {name}: {found!r:.40} is of another type")
    try:
        return Ami(**rest)
    except TypeError as error:
        raise DocumentError(f"AMI document: {error}") from error


def keep(store: Store, ami: Ami) -> str:
    """Store the document, the newest of its series from now on; returns its digest."""
    digest = store.put_document(KIND, ami.to_document())
    history = store.history(KIND, ami.series)
    store.append(KIND, ami.series, digest, after=history[-1].digest if history else None)
    return digest


def newest_first(store: Store, name: str) -> Iterator[Ami]:
    """The AMIs of a series, each once, the newest first."""
    digests = dict.fromkeys(entry.digest for entry in reversed(store.history(KIND, name)))
    for digest in digests:
        yield parse_ami(store.get_document(KIND, digest))


def find(store: Store, ami: str) -> Ami:
    """The document of an AMI by its id. Raises MissingError, DocumentError for what is no id."""
    if not AMI_ID.fullmatch(ami):
        raise DocumentError(
            f"{ami!r} is not the id of an AMI", hint="such as ami-0123456789abcdef0"
        )
    for name in store.names(KIND):
        for found in newest_first(store, name):
            if found.ami == ami:
                return found
    raise MissingError(
        f"{ami}: the store has no record of it",
        hint="only what `./inv publish` made is known; is GOLDPRESS_STORE the right store?",
    )
