"""Owns the duties of a simulated roll: machines of rules are proven by what they answer.

A hold is a real record, signed, in the simulation's own store; the revert is told, as there is no
git to propose it to.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldpress import holds
from goldpress.aws.errors import translated
from goldpress.digest import digest_of
from goldpress.duties import reason
from goldpress.errors import CloudError, MachineError
from goldpress.fleet.plan import GroupPlan
from goldpress.promotion.available import pointer_name
from goldpress.simulation.fleet import Fleet
from goldpress.statements.signing import trust_here

TAG = "goldpress:launch"
#: As long as a trial waits for a machine, and how often it asks.
PATIENCE_SECONDS = 600.0
POLL_SECONDS = 15.0
#: The suite itself.
SUITE_SECONDS = 60.0
OK = 200
ENDED = frozenset({"shutting-down", "terminated"})


@dataclass(frozen=True, kw_only=True)
class SimulatedDuties:
    """See `goldpress.fleet.hands.Duties`."""

    fleet: Fleet

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        """Launch one, and wait until it answers. Raises MachineError when it does not."""
        cloud = self.fleet.cloud
        client = cloud.client(group.account, "ec2", group.region)
        with translated(f"a canary in {group.region}", service="ec2"):
            answer = client.run_instances(
                LaunchTemplate={"LaunchTemplateId": group.template, "Version": version},
                MinCount=1, MaxCount=1, ClientToken=token,
                TagSpecifications=[
                    {"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": token}]}
                ],
            )  # fmt: skip
        instance = str(answer["Instances"][0]["InstanceId"])
        end = self.fleet.now + PATIENCE_SECONDS
        while self._answers(group, instance) != OK:
            if self.fleet.now >= end:
                self.end(group, token)
                raise MachineError(f"{instance}: no answer in {PATIENCE_SECONDS:.0f} s")
            cloud.advance(POLL_SECONDS)
        cloud.advance(SUITE_SECONDS)
        return instance, digest_of(instance)

    def end(self, group: GroupPlan, token: str) -> None:
        """End what was launched with this token."""
        client = self.fleet.cloud.client(group.account, "ec2", group.region)
        with translated(f"the canary in {group.region}", service="ec2"):
            wanted = [{"Name": f"tag:{TAG}", "Values": [token]}]
            rows = client.describe_instances(Filters=wanted)["Reservations"]
            found = [row for answer in rows for row in answer["Instances"]]
            ids = [row["InstanceId"] for row in found if row["State"]["Name"] not in ENDED]
            if ids:
                client.terminate_instances(InstanceIds=ids)

    def sample(self, group: GroupPlan, instance: str) -> str:
        """Raises MachineError for one that does not answer."""
        if self._answers(group, instance) != OK:
            raise MachineError(f"{instance}: no answer")
        return digest_of(instance)

    def hold(self, why: str) -> str:
        """Hold the digest, in the simulation's store."""
        made = self.fleet.promoted
        found = holds.hold(
            made.ws.store, trust_here(made.ws), made.new.digest, why=reason(f"roll: {why}"),
            signer=made.signer,
        )  # fmt: skip
        return f"since {found.at} by {found.by}"

    def propose(self, why: str) -> str:
        """There is no git."""
        return f"a pull request, were this no simulation ({why[:40]})"

    def point(self, region: str, ami: str) -> None:
        """Let consumers take this AMI."""
        made = self.fleet.promoted
        client = self.fleet.cloud.client(made.owner, "ssm", region)
        name = pointer_name(made.channel.image, made.channel.name)
        with translated(f"{name} in {region}", service="ssm"):
            client.put_parameter(
                Name=name, Value=ami, Type="String", DataType="aws:ec2:image", Overwrite=True
            )

    def _answers(self, group: GroupPlan, instance: str) -> int:
        place = self.fleet.cloud.place(group.account, group.region)
        if instance not in place.machines.every:
            raise CloudError(f"{instance}: {group.account}/{group.region} has no such instance")
        return place.machines.serves(instance, self.fleet.now)[0]
