"""Owns verifying machines of a fleet: one outside it, of the template that it gets, and one of it.

The suite logs in. The machine outside gets a key of its own; one of the fleet has that of its
launch template, so somebody has to give its private half: GOLDPRESS_FLEET_KEY is the file of it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from goldpress import ami as amis
from goldpress import progress, proof
from goldpress.ami import Ami
from goldpress.aws import checkip
from goldpress.aws.client import Access
from goldpress.aws.instances import Instances
from goldpress.aws.launching import TemplateLaunch
from goldpress.aws.scaling import Group
from goldpress.controls import load_controls
from goldpress.digest import digest_of
from goldpress.errors import MissingError, VerifyError
from goldpress.fleet.place import Place
from goldpress.fleet.plan import GroupPlan
from goldpress.fleet.sight import reference
from goldpress.holds import refuse_launch
from goldpress.machine import launch
from goldpress.machine.ec2 import machine_of
from goldpress.machine.launch import HOUR, Launched, journal_key
from goldpress.manifest import parse_manifest
from goldpress.publish.settings import Target
from goldpress.store.journal import Journal
from goldpress.trial import Trying, plan_of, through_of
from goldpress.verify import promises
from goldpress.verify.suite import Examination
from goldpress.workspace import Workspace

KEY = "GOLDPRESS_FLEET_KEY"


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Verifies machines where `place` is; `trying` tells how an instance is reached."""

    ws: Workspace
    place: Place
    access: Access
    trying: Trying

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        """Launch a machine of this template version, and verify it; see `fleet.hands.Duties`."""
        ami = amis.find(self.ws.store, group.to_ami)
        refuse_launch(self.ws, ami.image)
        found = self._group(group)
        instances = self._instances(group)
        template = self.place.templates.version(reference(group, version))
        plan = self._plan(ami, group, found)

        def wanted(name: str, security_group: str) -> TemplateLaunch:
            return TemplateLaunch(
                token=name,
                version=template,
                key=name,
                group=security_group,
                subnet=plan.subnet,
                types=found.overrides,
                tags={"Name": name, "goldpress:image": ami.image},
            )

        directory = self._directory(ami)
        launched = launch.begin(
            instances,
            plan,
            objects=self.ws.store.objects,
            directory=directory,
            caller_cidr=checkip.caller_cidr,
            name=token,
            wanted=wanted,
        )
        try:
            proof_ = self._examined(ami, instances, launched, directory)
        except BaseException as error:
            launch.abandon(instances, launched.journal, error)
            raise
        # Whoever forgets it: a sweep ends it when its hours are over.
        hours = self.trying.settings.trial.keep_hours
        launched.journal.write(kept_until=int(time.time()) + hours * HOUR)
        return launched.instance, proof_

    def end(self, group: GroupPlan, token: str) -> None:
        """End whatever `prove` made with this token. Raises CloudError."""
        key = journal_key(group.account, group.region, token)
        journal = Journal.read(self.ws.store.objects, key)
        if journal.values:
            launch.end(self._instances(group), journal)

    def sample(self, group: GroupPlan, instance: str) -> str:
        """Verify an instance of the fleet; see `fleet.hands.Duties`."""
        key = fleet_key()
        ami = amis.find(self.ws.store, group.to_ami)
        instances = self._instances(group)
        directory = self._directory(ami)
        directory.mkdir(mode=0o700)
        (directory / "login_key").symlink_to(key)
        plan = self._plan(ami, group, self._group(group))
        journal = Journal(objects=self.ws.store.objects, key=f"journals/sample/{instance}.json")
        launched = Launched(plan=plan, journal=journal, instance=instance, started=time.time())
        return self._examined(ami, instances, launched, directory)

    def _examined(self, ami: Ami, instances: Instances, launched: Launched, directory: Path) -> str:
        with progress.step(f"verify {launched.instance}", ami.region) as step:
            through = through_of(instances, self.trying, launched.plan)
            with machine_of(instances, launched, directory, step, through) as (machine, up):
                examination = self._examination(ami, instances)
                boot = examination.examine(machine, up)
                evidence = examination.conclude(machine, [boot])
            step.update(f"{evidence.passed} checks passed")
        if evidence.outcome != "passed":
            raise VerifyError(f"{launched.instance}: {evidence.failed} checks failed")
        return digest_of(evidence.to_document())

    def _examination(self, ami: Ami, instances: Instances) -> Examination:
        definition = self.ws.definition(ami.name)
        store = self.ws.store
        manifest = parse_manifest(store.get_document("manifest", ami.image))
        return proof.examination(
            self.ws,
            definition,
            load_controls(definition),
            manifest,
            store.get_document(promises.KIND, ami.promises),
            ami=ami.ami,
            rests_on=proof.evidence_of(store, manifest, ami.promises),
            runs=lambda machine: _runs(instances, machine.uuid),
        )

    def _plan(self, ami: Ami, group: GroupPlan, found: Group) -> launch.Plan:
        subnet = found.subnets[0] if found.subnets else ""
        trying = replace(self.trying, target=Target(region=group.region, kms_key="", subnet=subnet))
        return replace(plan_of(ami, trying), account=group.account, role=self.access.role)

    def _group(self, group: GroupPlan) -> Group:
        found = self.place.groups.group(group.group)
        if found is None:
            raise MissingError(f"{group.key}: there is no such group any more")
        return found

    def _instances(self, group: GroupPlan) -> Instances:
        return Instances.at(self.access, group.region)

    def _directory(self, ami: Ami) -> Path:
        self.ws.machines.mkdir(parents=True, exist_ok=True)
        return self.ws.machines / f"ec2-{ami.ami}-{secrets.token_hex(4)}"


def fleet_key(environment: Mapping[str, str] = os.environ) -> Path:
    """The private key by which instances of fleets let people in. Raises MissingError."""
    name = environment.get(KEY, "")
    path = Path(name).expanduser().absolute()
    if not name or not path.is_file():
        what = f"{name} is no file" if name else "is not set"
        raise MissingError(
            f"nobody can log in to instances of the fleet: {KEY} {what}",
            hint=f"set {KEY} to the private key of the launch template's key pair, or take "
            "`verify` out of the wave's gates",
        )
    return path


def _runs(instances: Instances, instance: str) -> bool:
    found = instances.instance(instance)
    return found is not None and found.state == "running"
