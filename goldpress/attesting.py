"""Owns attesting: what each stage signs about an image once it has ended well.

Images of real distributions are signed where GOLDPRESS_SIGNER names a key; elsewhere nothing is,
that is said, and nothing can promote them. Stand-ins are signed with this machine's own key.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.ami import Ami
from goldpress.digest import sha256_tree, short
from goldpress.errors import TrustError, VerifyError
from goldpress.host import checkout, tools
from goldpress.lock import KIND as LOCK
from goldpress.manifest import ImageManifest, parse_manifest
from goldpress.press import Pressed
from goldpress.publish.blocks import BlockIndex
from goldpress.statements import provenance
from goldpress.statements.chain import chain
from goldpress.statements.judged import PROMISES
from goldpress.statements.provenance import Source, provenance_of
from goldpress.statements.publication import Publication
from goldpress.statements.rpmdb import read_installed
from goldpress.statements.sbom import bill_of
from goldpress.statements.shelf import say
from goldpress.statements.signing import VARIABLE, configured, signer_for, trust_here
from goldpress.statements.statement import (
    PROVENANCE,
    PUBLICATION,
    SBOM,
    VERIFICATION,
    Statement,
)
from goldpress.statements.verification import Launched, Verification, parse_evidence
from goldpress.verify.evidence import EVIDENCE_KIND, Evidence, boots_of
from goldpress.verify.promises import promises
from goldpress.workspace import Workspace

#: Host packages whose versions shape an image.
BUILDERS = (*tools.INSTALLERS, *tools.LABELLERS, *tools.DISK_MAKERS)
PACKAGE = Path(__file__).resolve().parent


def attest_build(ws: Workspace, pressed: Pressed, evidence: str) -> tuple[str, ...]:
    """Sign what a pressed image was made from and of, and how its verification ended.

    `evidence` is its digest. Returns the digests of the statements: none when nobody is configured
    to sign. Raises TrustError for an image of a real distribution from a checkout that was
    changed, VerifyError for evidence that did not pass or is of something else.
    """
    manifest = pressed.manifest
    if not _signs(manifest):
        return ()
    commit, clean = checkout.state(ws.project)
    source = Source(commit=commit, clean=clean)
    made = provenance_of(manifest, pressed.lock, source=source, tools=builder_versions())
    refuse_unfit("provenance", manifest, list(provenance.faults(made, pressed.lock, manifest)))
    ws.store.put_document(LOCK, pressed.lock.to_document())
    bill = bill_of(manifest, pressed.lock, read_installed(rootfs_tree(pressed)))
    promised = promises(pressed.definition, pressed.lock, pressed.controls)
    facts = {**promised, "root_hash": pressed.disk.root_hash}
    proof = passed_evidence(ws, evidence, manifest)
    if ws.store.put_document(PROMISES, facts) != proof.input_digest:
        raise VerifyError(
            f"the evidence {short(evidence)} compared {short(manifest.digest)} with something else",
            hint="run `./inv build-image` again",
        )
    return _say(ws, manifest, {
        PROVENANCE: made.predicate(),
        SBOM: bill.predicate(),
        VERIFICATION: Verification(evidence=proof).predicate(),
    })  # fmt: skip


def signs(ws: Workspace, manifest: ImageManifest) -> bool:
    """Whether anything will be signed about this image; looked at before it costs something.

    Says so when nothing will. Raises DocumentError, MissingError or TrustError for a key or a
    trust.yaml that cannot be used.
    """
    if not _signs(manifest):
        return False
    signer_for(ws, stand_in=manifest.stand_in)
    trust_here(ws)
    return True


def is_stated(ws: Workspace, ami: Ami) -> bool:
    """Whether a statement that is believed tells of this very AMI already."""
    return any(row.ami == ami for row in chain(ws.store, ami.image, trust_here(ws)).publications)


def attest_publication(ws: Workspace, ami: Ami, found: BlockIndex) -> tuple[str, ...]:
    """Sign that an AMI's EBS snapshot, read back just now as `found`, is the image.

    Raises TrustError when it is not.
    """
    manifest = _manifest(ws, ami.image)
    if not _signs(manifest):
        return ()
    if not manifest.block_root == ami.block_root == found.root:
        raise TrustError(
            f"{ami.ami} in {ami.region} does not hold {short(ami.image)}: the block root is "
            f"{found.root[:12]} as read back, {ami.block_root[:12]} in its document, "
            f"{manifest.block_root[:12]} in the manifest",
            hint="do not launch it; `./inv audit` names the blocks",
        )
    made = Publication(ami=ami, block_root=found.root, blocks=len(found.blocks))
    return _say(ws, manifest, {PUBLICATION: made.predicate()})


def attest_trial(ws: Workspace, ami: Ami, evidence: str) -> tuple[str, ...]:
    """Sign how the verification of an instance of an AMI ended. Raises VerifyError as above."""
    manifest = _manifest(ws, ami.image)
    if not _signs(manifest):
        return ()
    proof = passed_evidence(ws, evidence, manifest)
    launched = Launched(account=ami.account, region=ami.region, ami=ami.ami)
    made = Verification(evidence=proof, launched=launched)
    return _say(ws, manifest, {VERIFICATION: made.predicate()})


def builder_versions() -> dict[str, str]:
    """The versions of what makes images, by name; that of goldpress is a digest of its code."""
    rows = (row.partition("=") for row in tools.versions(BUILDERS).split())
    return {
        **{name: version for name, _, version in rows},
        "goldpress": f"sha256:{sha256_tree(PACKAGE, PACKAGE.rglob('*.py'))}",
        "python": platform.python_version(),
    }


def rootfs_tree(pressed: Pressed) -> Path:
    """The image's tree, with its package database."""
    return pressed.stages["rootfs"].directory / "tree"


def passed_evidence(ws: Workspace, digest: str, manifest: ImageManifest) -> Evidence:
    """The evidence with this digest. Raises VerifyError when it did not pass, or is not of this."""
    found = parse_evidence(ws.store.get_document(EVIDENCE_KIND, digest))
    if found.subject.image_digest != manifest.digest:
        raise VerifyError(
            f"the evidence {short(digest)} is of {short(found.subject.image_digest)}, not of "
            f"{short(manifest.digest)}"
        )
    if found.outcome != "passed":
        raise VerifyError(
            f"the evidence {short(digest)} did not pass: {found.failed} checks failed, in "
            f"{len(found.boots)} of {boots_of(found.machine.kind)} boots",
            hint="only what passed is signed",
        )
    return found


def refuse_unfit(what: str, manifest: ImageManifest, faults: list[str]) -> None:
    """Raises TrustError for a statement that nobody could use: it is not signed at all."""
    if faults:
        raise TrustError(
            f"{what} of {short(manifest.digest)} is not signed: {'; '.join(faults)}",
            hint="commit what was changed, then run the command again; or unset "
            f"{VARIABLE}: nothing is signed then",
        )


def _manifest(ws: Workspace, image: str) -> ImageManifest:
    return parse_manifest(ws.store.get_document("manifest", image))


def _signs(manifest: ImageManifest) -> bool:
    if configured(stand_in=manifest.stand_in):
        return True
    progress.note(
        f"not signed: {VARIABLE} is not set; {short(manifest.digest)} cannot be promoted like this"
    )
    return False


def _say(
    ws: Workspace, manifest: ImageManifest, predicates: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    signer = signer_for(ws, stand_in=manifest.stand_in)
    trust = trust_here(ws)
    return tuple(
        say(
            ws.store,
            Statement(image=manifest.digest, predicate_type=type_, predicate=predicate),
            signer,
            trust,
        )
        for type_, predicate in predicates.items()
    )
