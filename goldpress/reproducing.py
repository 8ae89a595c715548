"""Owns reproduction: an image pressed once more from its inputs, and the first thing that differs.

Which image a channel has in force is told by the signed record of promotions. The channel's file
says what is wanted, which may not have been carried out yet, and at the commit that an image was
made from it names an older one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goldpress import build, progress
from goldpress.channel import DIGEST, load_channel
from goldpress.compared import (
    block_difference,
    file_difference,
    kept_places,
    refuse_different,
    root_difference,
)
from goldpress.definition import Definition
from goldpress.digest import short
from goldpress.distribution import Distribution, Signers
from goldpress.document import shown
from goldpress.errors import DocumentError, MissingError, TrustError
from goldpress.host import tools
from goldpress.host.confine import remove_tree
from goldpress.host.git import Git
from goldpress.inputs import differences, inputs_here, refuse_other
from goldpress.lock import KIND as LOCK
from goldpress.lock import Lock, parse_lock
from goldpress.locking.places import check_buildable, distributions, kept_signers, supply
from goldpress.manifest import ImageManifest
from goldpress.press import Press, Pressed
from goldpress.promotion.record import Promotion, current, series
from goldpress.publish.blocks import BlockIndex, index_disk, read_index
from goldpress.statements.chain import chain
from goldpress.statements.provenance import Provenance
from goldpress.statements.signing import trust_here
from goldpress.workspace import Workspace

#: Where both presses of `twice` and of what is in force are, while they are compared.
APART = "reproduce"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: Of the sizes that a disk tells, those that are no partition's.
_WHOLE = frozenset({"disk", "written"})


@dataclass(frozen=True, kw_only=True)
class Original:
    """An image as the store has it: its manifest, who was proven to have made it from what.

    `provenances` is never empty, the newest last; `index` is None for what was never published.
    """

    manifest: ImageManifest
    provenances: tuple[Provenance, ...]
    index: BlockIndex | None

    @property
    def digest(self) -> str:
        """The image digest."""
        return self.manifest.digest


def in_force(ws: Workspace, image: str, channel: str) -> Promotion | None:
    """The promotion that a channel has in force; None where nothing was ever to be.

    Raises MissingError for an unknown channel, and for one whose file names an image of which the
    store has no promotion: it may be another store. TrustError for a record that is not believed.
    """
    wanted = load_channel(ws.project, image, channel)
    found = current(ws.store, trust_here(ws), image, channel)
    if found is None and wanted.digest:
        raise MissingError(
            f"{wanted.path} names {short(wanted.digest)}, but the store {_store(ws)} has no "
            f"promotion of {series(image, channel)}",
            hint="name the right store in GOLDPRESS_STORE, or carry it out: "
            f"`./inv promote --channel={channel}`",
        )
    return found


def find(ws: Workspace, image: str, channel: str) -> dict[str, Any]:
    """Which image a channel has in force, and of which commit of this checkout's history it is.

    `image_digest` and `commit` are None when nothing is. Raises as `in_force` and `original`,
    and TrustError for a commit that is not in the history.
    """
    told: dict[str, Any] = {"image": image, "channel": channel}
    promotion = in_force(ws, image, channel)
    if promotion is None:
        return {**told, "image_digest": None, "commit": None, "since": None}
    source = original(ws, promotion.digest).provenances[-1].source
    if source.commit:
        _refuse_foreign(ws, promotion.digest, source.commit)
    return {
        **told,
        "image_digest": promotion.digest,
        "commit": source.commit or None,
        "since": promotion.since,
    }


def original(ws: Workspace, digest: str) -> Original:
    """An image that the store knows. Raises TrustError when nobody proves what it was made from."""
    if not DIGEST.fullmatch(digest):
        raise DocumentError(f"{digest!r:.80} is not an image digest", hint="sha256:, 64 hex digits")
    found = chain(ws.store, digest, trust_here(ws))
    for link in found.missing(("provenance",)):
        raise TrustError(
            f"{short(digest)}: its {link.name} is not proven: {link.why}",
            hint=f"look at it: `./inv evidence --image={digest}`; is {_store(ws)} the right store?",
        )
    assert found.manifest is not None  # noqa: S101 - its link is proven
    indexes = (read_index(ws.store, row.ami.blocks) for row in found.publications)
    return Original(
        manifest=found.manifest, provenances=found.provenances, index=next(indexes, None)
    )


def reproduce_channel(ws: Workspace, image: str, channel: str, *, sandbox: bool) -> dict[str, Any]:
    """Press the image that a channel has in force once more, and compare the bytes.

    Raises MissingError when nothing is in force; else as `in_force` and `reproduce`.
    """
    promotion = in_force(ws, image, channel)
    if promotion is None:
        raise MissingError(
            f"{series(image, channel)} has no image in force: the store {_store(ws)} has no "
            "promotion of it",
            hint="`./inv reproduce` without --channel presses what is here twice",
        )
    found = reproduce(ws, promotion.digest, sandbox=sandbox)
    return {"channel": channel, "since": promotion.since, **found}


def reproduce(ws: Workspace, digest: str, *, sandbox: bool) -> dict[str, Any]:
    """Press an image of the store once more from its own inputs, and compare the bytes.

    Raises TrustError when nobody proves its inputs, BuildError that names each of them that is
    another here, or the first thing that came out otherwise.
    """
    wanted = original(ws, digest)
    manifest = wanted.manifest
    refuse_other_kind(manifest, sandbox=sandbox)
    tools.ensure()
    here = inputs_here(ws, manifest.name)
    made_from = next(
        (row for row in wanted.provenances if not differences(row, here)), wanted.provenances[-1]
    )
    refuse_other(digest, made_from, here)
    lock = parse_lock(ws.store.get_document(LOCK, made_from.lock))
    definition = ws.definition(manifest.name)
    distribution = ws.distribution(definition, sandbox=sandbox)
    named = build.plainly(distribution.name, stand_in=distribution.stand_in)
    progress.note(f"image {manifest.name}, distribution: {named}")
    with _pressed_apart(ws, definition, distribution, lock) as pressed:
        refuse_different(
            wanted.manifest, pressed.manifest, first=lambda: _first(ws, wanted, pressed)
        )
    return {
        "image": manifest.name,
        "image_digest": digest,
        "distribution": distribution.id,
        "stand_in": distribution.stand_in,
        "commit": made_from.source.commit or None,
        "lock": made_from.lock,
        "disk_sha256": manifest.disk_sha256,
        "root_hash": manifest.root_hash,
        "identical": True,
    }


def twice(image: str, *, sandbox: bool) -> dict[str, Any]:
    """Press the image twice, the second time from nothing in another place, and compare.

    Raises BuildError that names the first difference.
    """
    ws, definition, distribution = build.chosen(image, sandbox=sandbox)
    first = build.press(ws, definition, distribution)
    progress.note("once more, from nothing, in another directory")
    with _apart(ws) as apart:
        second = build.press(apart, definition, distribution)
        refuse_different(
            first.manifest,
            second.manifest,
            first=lambda: file_difference(_places(first), _places(second)),
        )
    return {
        "image_digest": first.digest,
        "distribution": distribution.id,
        "stand_in": distribution.stand_in,
        "disk_sha256": [first.disk.sha256, second.disk.sha256],
        "identical": True,
    }


def refuse_other_kind(manifest: ImageManifest, *, sandbox: bool) -> None:
    """Raises DocumentError when a stand-in is meant and that was not said, or the reverse."""
    if manifest.stand_in == sandbox:
        return
    image = f"{short(manifest.digest)} is of {manifest.distribution}"
    if sandbox:
        raise DocumentError(f"{image}, which is no stand-in", hint="say it without --sandbox")
    raise DocumentError(f"{image}, a stand-in", hint="say so: --sandbox")


def _first(ws: Workspace, wanted: Original, pressed: Pressed) -> str:
    """The first difference, as exactly as what is left of the original tells it."""
    kept = kept_places(ws.build, wanted.manifest)
    if kept is not None:
        return file_difference(kept, _places(pressed))
    if wanted.index is not None:
        made = index_disk(pressed.disk.raw, expected_root=pressed.manifest.block_root)
        sizes = {name: size for name, size in pressed.disk.sizes.items() if name not in _WHOLE}
        return block_difference(wanted.index, made, sizes)
    return root_difference(wanted.manifest, pressed.manifest)


def _places(pressed: Pressed) -> Mapping[str, Path]:
    return {name: product.directory for name, product in pressed.stages.items()}


@contextmanager
def _apart(ws: Workspace) -> Iterator[Workspace]:
    """The workspace with an empty place for the products of stages, which is removed afterwards."""
    directory = ws.build / APART
    remove_tree(directory)
    try:
        yield replace(ws, apart=directory)
    finally:
        remove_tree(directory)


@contextmanager
def _pressed_apart(
    ws: Workspace, definition: Definition, distribution: Distribution, lock: Lock
) -> Iterator[Pressed]:
    """The image pressed from nothing; the store, which may be for reading only, is not told."""
    with _apart(ws) as apart:
        yield Press(
            workspace=apart,
            definition=definition,
            distribution=distribution,
            lock=lock,
            signers=_signers(ws, definition, distribution),
            # Its evidence tells that its controls held; here its bytes are in question.
            judged=False,
        ).make()


def _signers(ws: Workspace, definition: Definition, distribution: Distribution) -> Signers:
    found = distributions(ws, definition, distribution)
    check_buildable(found)
    if distribution.made:
        return supply(ws, found, definition.arch).signers
    return kept_signers(ws, found)


def _refuse_foreign(ws: Workspace, digest: str, commit: str) -> None:
    git = Git(project=ws.project)
    if not _COMMIT.fullmatch(commit) or git.fork(commit, "HEAD") != commit:
        raise TrustError(
            f"{short(digest)} was made from the commit {commit[:12]!r}, which is not in the "
            "history of this checkout",
            hint="`git fetch --unshallow` if that is cut off; else find out who built it",
        )


def _store(ws: Workspace) -> str:
    return ws.store_url or shown(ws.build / "store")
