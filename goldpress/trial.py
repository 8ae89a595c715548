"""Owns the trial of an AMI: launched, verified by its image's own suite, and ended again.

It is booted once: that a second boot is as good was shown by the local copy of the same bytes, on
whose evidence the AMI's rests.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from goldpress import progress, proof
from goldpress.ami import Ami
from goldpress.attesting import attest_trial
from goldpress.aws import checkip
from goldpress.aws import tunnel as tunnels
from goldpress.aws.client import Access
from goldpress.aws.instances import Instances
from goldpress.controls import load_controls
from goldpress.digest import digest_of
from goldpress.holds import refuse_launch
from goldpress.machine import launch
from goldpress.machine.ec2 import machine_of
from goldpress.manifest import parse_manifest
from goldpress.publish.settings import Settings, Target
from goldpress.verify import promises
from goldpress.workspace import Workspace

EMULATED_CIDR = "127.0.0.1/32"


@dataclass(frozen=True, kw_only=True)
class Trying:
    """How and where an AMI is tried; with `keep` its instance stays when a check fails."""

    access: Access
    settings: Settings
    target: Target
    keep: bool


def plan_of(ami: Ami, trying: Trying) -> launch.Plan:
    """What to launch."""
    trial, emulated = trying.settings.trial, trying.access.emulated
    return launch.Plan(
        ami=ami.ami,
        image=ami.image,
        account=ami.account,
        region=ami.region,
        root_device=ami.root_device,
        volume_gib=ami.volume_gib + trial.extra_gib,
        instance_type=trial.instance_type,
        subnet=trying.target.subnet,
        reach="direct" if emulated else trial.reach,
        from_cidr=EMULATED_CIDR if emulated else trial.from_cidr,
        boot_seconds=trial.boot_seconds,
        keep_hours=trial.keep_hours,
        emulated=emulated,
        role=trying.access.role,
    )


def try_ami(ws: Workspace, ami: Ami, trying: Trying, *, rests_on: str) -> str:
    """Launch the AMI, run the suite, terminate it, sign how it went; returns the evidence's digest.

    `rests_on` is the evidence of a local copy (its digest). Raises PromotionError for an image that
    is held, VerifyError, MachineError, CloudError; whatever happens, the instance is ended, or kept
    for some hours if that was asked.
    """
    refuse_launch(ws, ami.image)
    definition = ws.definition(ami.name)
    instances = Instances.at(trying.access, ami.region)
    examination = proof.examination(
        ws,
        definition,
        load_controls(definition),
        parse_manifest(ws.store.get_document("manifest", ami.image)),
        ws.store.get_document(promises.KIND, ami.promises),
        ami=ami.ami,
        rests_on=rests_on,
        runs=lambda machine: _runs(instances, machine.uuid),
    )
    directory = ws.machines / f"ec2-{ami.ami}-{secrets.token_hex(4)}"
    ws.machines.mkdir(parents=True, exist_ok=True)
    with progress.step(f"launch and verify {ami.ami}", ami.region) as step:
        launched = launch.begin(
            instances,
            plan_of(ami, trying),
            objects=ws.store.objects,
            directory=directory,
            caller_cidr=checkip.caller_cidr,
        )
        try:
            through = through_of(instances, trying, launched.plan)
            with machine_of(instances, launched, directory, step, through) as (machine, up):
                step.update(f"up after {up.boot_to_ssh_seconds:.0f} s, checking")
                boot = examination.examine(machine, up)
                evidence = examination.conclude(machine, [boot])
        except BaseException as error:
            _end_after(instances, launched, error, directory, keep=trying.keep)
            raise
        launch.end(instances, launched.journal)
        step.update(f"{evidence.passed} checks passed on {launched.instance}")
    document = digest_of(evidence.to_document())
    attest_trial(ws, ami, document)
    return document


def through_of(
    instances: Instances, trying: Trying, plan: launch.Plan
) -> Callable[[str], AbstractContextManager[int]] | None:
    """How to open a tunnel to a private address, where instances are reached by one."""
    if plan.reach != "eice":
        return None
    vpc, _ = instances.network(plan.subnet)
    endpoint = tunnels.endpoint_of(instances.client, vpc, plan.region)

    def through(address: str) -> AbstractContextManager[int]:
        return tunnels.tunnel(
            lambda: tunnels.signed_url(
                trying.access, plan.region, endpoint=endpoint, address=address
            )
        )

    return through


def _runs(instances: Instances, instance: str) -> bool:
    found = instances.instance(instance)
    return found is not None and found.state == "running"


def _end_after(
    instances: Instances,
    launched: launch.Launched,
    error: BaseException,
    directory: Path,
    *,
    keep: bool,
) -> None:
    if keep and isinstance(error, Exception):
        launch.keep(launched)
        progress.note(f"its way in: ssh -F {directory / 'ssh_config'} machine")
        return
    launch.abandon(instances, launched.journal, error)
