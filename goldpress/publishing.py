"""Owns publishing as people ask for it: an image to its regions, audited, launched, swept."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from goldpress import ami as amis
from goldpress import attesting, build, cloud, progress, proof
from goldpress.ami import Ami
from goldpress.aws.client import Access
from goldpress.aws.ebs import Blocks
from goldpress.aws.ec2 import Images
from goldpress.definition import Definition
from goldpress.digest import sha256_tree, short
from goldpress.errors import CloudError, GoldpressError, MissingError
from goldpress.holds import refuse_launch
from goldpress.manifest import parse_manifest
from goldpress.press import Pressed
from goldpress.publish import audit as audits
from goldpress.publish import preflight
from goldpress.publish.blocks import index_disk, read_index
from goldpress.publish.outcome import Row
from goldpress.publish.preflight import access_of
from goldpress.publish.region import Publication, Published
from goldpress.publish.settings import Settings, Target, load_settings, targets
from goldpress.publish.upload import WORKERS
from goldpress.trial import Trying, try_ami
from goldpress.verify import promises
from goldpress.workspace import Workspace, sandbox_said


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an image is to go and who calls there; `accounts` by region."""

    access: Access
    settings: Settings
    targets: tuple[Target, ...]
    accounts: Mapping[str, str]


def destination(
    definition: Definition, *, stand_in: bool, regions: Sequence[str], endpoint: str
) -> Destination:
    """Look at settings, cloud and credentials, before anything is pressed or made.

    Raises TrustError for a stand-in that would go to AWS (nothing was called then), DocumentError,
    CloudError.
    """
    settings = load_settings(definition.directory)
    access = access_of(settings, endpoint)
    preflight.check_cloud(access, stand_in=stand_in)
    chosen = targets(settings, regions, emulated=access.emulated)
    accounts = {row.region: preflight.identify(access, row.region).account for row in chosen}
    return Destination(access=access, settings=settings, targets=chosen, accounts=accounts)


def endpoint_of(ws: Workspace, *, sandbox: bool) -> str:
    """The running embedded cloud's URL if the sandbox was said; else empty, for AWS.

    Raises MissingError when none runs: what was in one is gone with it.
    """
    if not sandbox_said(flag=sandbox):
        return ""
    found = cloud.running(ws)
    if found is None:
        raise MissingError(
            "no embedded cloud runs, and what was in one is gone with it",
            hint="`./inv publish --sandbox` starts one and publishes to it",
        )
    return found.url


def publish_image(
    image: str,
    *,
    sandbox: bool,
    regions: Sequence[str] = (),
    audited: bool = False,
    keep_on_failure: bool = False,
) -> list[Row]:
    """Publish an image as it is defined now; pressed if need be, and verified before.

    Raises as `destination` and `publish`.
    """
    ws, definition, distribution = build.chosen(image, sandbox=sandbox)
    endpoint = cloud.up(ws).url if sandbox_said(flag=sandbox) else ""
    destination(definition, stand_in=distribution.stand_in, regions=regions, endpoint=endpoint)
    return publish(
        ws,
        build.press(ws, definition, distribution),
        regions=regions,
        endpoint=endpoint,
        audited=audited,
        keep_on_failure=keep_on_failure,
    )


def publish(
    ws: Workspace,
    pressed: Pressed,
    *,
    regions: Sequence[str] = (),
    endpoint: str = "",
    launch: bool = True,
    audited: bool = False,
    keep_on_failure: bool = False,
) -> list[Row]:
    """Publish a pressed image to its regions, and launch it in each to be verified.

    `endpoint` is the embedded cloud's URL; empty: AWS. Every block is read back before the launch
    when `audited`, and when an AMI has no signed statement yet: that says what was read. A region
    that fails does not keep the others from being tried. Raises what is wrong before any of them:
    PromotionError for an image that is held, VerifyError for one that no local evidence vouches
    for, TrustError for a key that may not sign.
    """
    refuse_launch(ws, pressed.digest)
    # Looked at once more: to press takes minutes, and credentials end.
    to = destination(
        pressed.definition, stand_in=pressed.manifest.stand_in, regions=regions, endpoint=endpoint
    )
    promised = ws.store.put_document(promises.KIND, build.promises(pressed))
    suite = sha256_tree(ws.suite(pressed.definition))
    rests_on = proof.evidence_of(ws.store, pressed.manifest, promised, suite)
    announce(to, pressed)
    signs = attesting.signs(ws, pressed.manifest)
    with progress.step("block index") as step:
        index = index_disk(pressed.disk.raw, expected_root=pressed.manifest.block_root)
        step.update(f"{len(index.blocks)} blocks hold data")
    rows: list[Row] = []
    for target in to.targets:
        publication = Publication(
            access=to.access,
            store=ws.store,
            records=ws.build / "publish",
            manifest=pressed.manifest,
            raw=pressed.disk.raw,
            index=index,
            promises=promised,
            settings=to.settings,
            target=target,
            account=to.accounts[target.region],
        )
        made: Published | None = None
        count: int | None = None
        evidence = ""
        try:
            with _sole(ws, publication):
                made = publication.publish()
            unsaid = signs and not attesting.is_stated(ws, made.ami)
            if unsaid and not audited:
                progress.note(f"{made.ami.ami} is new here: what is signed is what is read back")
            if audited or unsaid:
                found = audits.audit(publication.blocks, made.ami.snapshot, index)
                count = len(found.blocks)
                if unsaid:
                    attesting.attest_publication(ws, made.ami, found)
            if launch:
                trying = Trying(
                    access=to.access, settings=to.settings, target=target, keep=keep_on_failure
                )
                evidence = _proven(ws, made.ami, trying, rests_on=rests_on, suite=suite)
            rows.append(Row(region=target.region, published=made, audited=count, evidence=evidence))
        except GoldpressError as error:
            progress.note(f"FAILED in {target.region}: {error}")
            rows.append(Row(region=target.region, published=made, audited=count, error=error))
    return rows


def _proven(ws: Workspace, ami: Ami, trying: Trying, *, rests_on: str, suite: str) -> str:
    """The evidence of an AMI: what it has already, of the same suite, or of a launch now."""
    there = proof.evidence_of_ami(
        ws.store, ami.ami, rests_on=rests_on, promises=ami.promises, suite=suite
    )
    if there:
        progress.note(
            f"{ami.ami} passed this suite before: evidence {short(there)}; "
            f"`./inv verify --ami={ami.ami}` launches it again"
        )
        attesting.attest_trial(ws, ami, there)
        return there
    return try_ami(ws, ami, trying, rests_on=rests_on)


def announce(to: Destination, pressed: Pressed) -> None:
    """Say which cloud is meant, before anything is sent there."""
    accounts = ", ".join(sorted(set(to.accounts.values())))
    here = to.access.emulated
    place = "the embedded cloud on this machine" if here else f"AWS, account {accounts}"
    progress.note(f"publishing {pressed.definition.name} {short(pressed.digest)} to {place}")


def audit(ws: Workspace, ami: str, *, endpoint: str = "") -> dict[str, Any]:
    """Read every block of an AMI's EBS snapshot back. Raises TrustError that names differences."""
    made, access, _ = known(ws, ami, endpoint=endpoint)
    found = Images.at(access, made.region).image(ami)
    if found is None:
        raise MissingError(f"{ami} is gone from {made.region}", hint="run `./inv publish` again")
    # What EC2 would launch now, whatever the document says.
    blocks = Blocks.at(access, made.region, connections=WORKERS)
    read = audits.audit(blocks, found.snapshot, read_index(ws.store, made.blocks))
    return {
        "ami": ami,
        "ebs_snapshot": found.snapshot,
        "region": made.region,
        "image_digest": made.image,
        "block_root": made.block_root,
        "blocks": len(read.blocks),
    }


def verify_ami(
    ws: Workspace, ami: str, *, endpoint: str = "", keep_on_failure: bool = False
) -> dict[str, Any]:
    """Launch an AMI and run its suite.

    Raises PromotionError for an image that is held, VerifyError, MachineError, CloudError.
    """
    refuse_launch(ws, amis.find(ws.store, ami).image)
    made, access, settings = known(ws, ami, endpoint=endpoint)
    (target,) = targets(settings, (made.region,), emulated=access.emulated)
    trying = Trying(access=access, settings=settings, target=target, keep=keep_on_failure)
    manifest = parse_manifest(ws.store.get_document("manifest", made.image))
    # Whatever suite it was: this one is the AMI's, and the evidence names it.
    rests_on = proof.evidence_of(ws.store, manifest, made.promises)
    evidence = try_ami(ws, made, trying, rests_on=rests_on)
    return {
        "ami": ami,
        "region": made.region,
        "image_digest": made.image,
        "emulated": made.emulated,
        "evidence": evidence,
    }


def known(ws: Workspace, ami: str, *, endpoint: str) -> tuple[Ami, Access, Settings]:
    """An AMI's document, its image's settings, and who calls, of the right account and cloud."""
    made = amis.find(ws.store, ami)
    settings = load_settings(ws.definition(made.name).directory)
    access = access_of(settings, endpoint)
    if made.emulated != access.emulated:
        place, option = ("the embedded cloud", "add") if made.emulated else ("AWS", "leave out")
        raise CloudError(f"{ami} is in {place}", hint=f"{option} --sandbox")
    account = preflight.identify(access, made.region).account
    if account != made.account:
        raise CloudError(
            f"{ami} is in account {made.account}, but the credentials are of {account}",
            hint="choose the right AWS_PROFILE, or `role` in publish.yaml",
        )
    manifest = parse_manifest(ws.store.get_document("manifest", made.image))
    if manifest.block_root != made.block_root:
        raise MissingError(
            f"{ami}: its document and the manifest of {made.image} name different block roots",
            hint="the store is spoiled: restore it, or publish the image again",
        )
    return made, access, settings


@contextmanager
def _sole(ws: Workspace, publication: Publication) -> Iterator[None]:
    """One publication of an image and region at once on this machine; the second one waits."""
    directory = ws.build / "publish"
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{short(publication.manifest.digest)}.{publication.target.region}.lock"
    with (directory / name).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
