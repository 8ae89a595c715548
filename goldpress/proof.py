"""Owns proof of an image: how its machines are examined, and which evidence says that it passed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from goldpress.controls import Controls
from goldpress.definition import Definition
from goldpress.digest import short
from goldpress.errors import VerifyError
from goldpress.machine.record import Machine
from goldpress.manifest import ImageManifest
from goldpress.store import Store
from goldpress.verify.evidence import EVIDENCE_KIND, SCHEMA, Check, Subject, reference
from goldpress.verify.suite import Examination, has_process
from goldpress.workspace import Workspace


def examination(
    ws: Workspace,
    definition: Definition,
    controls: Controls,
    manifest: ImageManifest,
    facts: Mapping[str, Any],
    *,
    offline: tuple[Check, ...] = (),
    ami: str = "",
    rests_on: str = "",
    runs: Callable[[Machine], bool] = has_process,
) -> Examination:
    """What the boots of an image are held against: `facts` are its promises, with the root hash.

    A local copy of its disk has `offline`, the checks of its tree. What was launched from an AMI
    has `ami` (its id), `rests_on` (see `evidence_of`) and `runs`. Raises MissingError.
    """
    return Examination(
        suite=ws.suite(definition),
        facts=facts,
        subject=Subject(image_digest=manifest.digest, disk_sha256=manifest.disk_sha256, ami=ami),
        store=ws.store,
        offline=offline,
        rests_on=rests_on,
        remedies=controls.remedies(controls.every),
        runs=runs,
    )


def last_failure(store: Store, manifest: ImageManifest) -> str:
    """The digest of the last evidence of a local copy of the image if it failed; else empty."""
    for digest, found in _of_image(store, manifest):
        return "" if found["outcome"] == "passed" else digest
    return ""


def evidence_of(store: Store, manifest: ImageManifest, promises: str, suite: str = "") -> str:
    """The digest of the last evidence that a local copy of the image keeps these promises.

    `promises` is the digest of that document; with `suite` (its sha256) only that suite's word
    counts. Raises VerifyError when there is none, or the last one failed.
    """
    image = f"image {manifest.name} {short(manifest.digest)}"
    verify = f"run `./inv build-image{' --sandbox' if manifest.stand_in else ''}`: it boots and "
    other = False
    for digest, found in _of_image(store, manifest):
        if found["input_digest"] != promises or suite not in {"", found["suite_sha256"]}:
            other = True
        elif found["outcome"] != "passed":
            raise VerifyError(
                f"{image} failed its last verification: it is not published",
                hint=f"evidence: {store.document_path(EVIDENCE_KIND, digest)}",
            )
        else:
            return digest
    if other:
        raise VerifyError(
            f"{image} was verified by another suite, or for other controls, than there are now",
            hint=f"{verify}verifies it anew",
        )
    raise VerifyError(
        f"{image} was never verified on this machine or in this store: it is not published",
        hint=f"{verify}verifies it",
    )


def evidence_of_ami(store: Store, ami: str, *, rests_on: str, promises: str, suite: str) -> str:
    """The digest of the last evidence of an AMI if it passed all this; empty without such."""
    for digest, found in _newest_first(store, ami):
        proven = (found["rests_on"], found["input_digest"], found["suite_sha256"])
        same = proven == (rests_on, promises, suite)
        return digest if same and found["outcome"] == "passed" else ""
    return ""


def _of_image(store: Store, manifest: ImageManifest) -> Iterator[tuple[str, dict[str, Any]]]:
    """(digest, document) of the evidence of local copies of this very image, newest first."""
    for digest, found in _newest_first(store, reference(manifest.name, manifest.distribution)):
        if found["subject"]["image_digest"] == manifest.digest:
            yield digest, found


def _newest_first(store: Store, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(digest, document) of a name's evidence; what an older goldpress wrote is left out."""
    for entry in reversed(store.history(EVIDENCE_KIND, name)):
        found = store.get_document(EVIDENCE_KIND, entry.digest)
        if found["schema"] == SCHEMA:
            yield entry.digest, found
