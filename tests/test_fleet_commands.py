"""The tasks of fleets as people call them, on the embedded cloud, every call over HTTP.

Machines are virtual, and time is the cloud's: a sleep moves it forward.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from clouds import Account, block
from emulated import Emulator
from fleeted import in_force, write_definition
from fronts import balancer, group, listener, network
from invoke.context import Context
from promotable import ACCOUNT, REGION, STAGING, Site

from goldpress import rolling
from goldpress.aws.running import QUARANTINE
from goldpress.commands import roll
from goldpress.commands import rolling as tasks
from goldpress.digest import digest_of
from goldpress.duties import RealDuties
from goldpress.fleet.plan import GroupPlan
from goldpress.rolling import Roller

MODEL = {"sigma": 0.0, "median_seconds": 30.0}
FLEETS = """\
fleets:
  - {{name: here, region: us-east-1, silo: blue, groups: [{a}, {b}]}}
waves:
  - {{name: half, fleets: [here], share: 50, soak_minutes: 5, gates: [healthy]}}
  - {{name: all, fleets: [here], soak_minutes: 0, gates: [healthy]}}
"""
TAG = "goldpress:launch"
LATEST = "$Latest"


@dataclass(kw_only=True)
class Time:
    """The cloud's clock, which stands still but for sleeps."""

    emulator: Emulator
    at: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.at = float(self.emulator.ask("clock", {"advance": seconds})["now"])

    def now(self) -> float:
        return self.at


@dataclass(kw_only=True)
class Town:
    """A site with `a` and then `b` in force on staging, and two groups that run `a`.

    `web-b` follows `$Latest`, as most groups that Terraform makes.
    """

    site: Site
    time: Time
    account: Account
    template: str
    names: tuple[str, str]
    capsys: pytest.CaptureFixture[str]
    proposed: list[str] = field(default_factory=list)

    @property
    def asg(self) -> Any:
        return self.account.client("autoscaling")

    def ami(self, letter: str) -> str:
        return self.site.ami(letter).ami

    def group(self, name: str) -> dict[str, Any]:
        rows = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        found: dict[str, Any] = rows["AutoScalingGroups"][0]
        return found

    def members(self, name: str) -> dict[str, str]:
        """The AMI of each instance in service."""
        ids = [
            row["InstanceId"]
            for row in self.group(name)["Instances"]
            if row["LifecycleState"] == "InService"
        ]
        return {one: self.account.instance(one)["ImageId"] for one in ids}

    def settle(self, seconds: float = 600) -> None:
        self.time.sleep(seconds)

    # ---- what people type ----

    def inv(self, task: Any, *words: str, **flags: Any) -> tuple[int, str, str]:
        """Run a task with --sandbox; its exit status, and what it printed where."""
        self.capsys.readouterr()
        status = 0
        try:
            task(Context(), *words, sandbox=True, **flags)
        except SystemExit as end:
            status = int(str(end.code))
        out, err = self.capsys.readouterr()
        return status, out, err

    def done(self, task: Any, *words: str, **flags: Any) -> str:
        status, out, err = self.inv(task, *words, **flags)
        assert status == 0, err
        return out

    def failed(self, task: Any, *words: str, **flags: Any) -> str:
        status, _, err = self.inv(task, *words, **flags)
        assert status == 1, err
        return err[err.rindex("error: ") :]

    def drift(self) -> dict[str, Any]:
        """What `drift --json` tells of the channel, and its error."""
        status, out, err = self.inv(tasks.drift, json=True)
        (row,) = json.loads(out)
        return {**row, "status": status, "error": err[err.rindex("error: ") :] if status else ""}


@dataclass(frozen=True, kw_only=True)
class Duties(RealDuties):
    """The real ones, but for logins, which virtual machines do not have, and for git."""

    town: Town

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        town = self.town
        tags = [{"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": token}]}]
        answer = town.account.ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": group.template, "Version": version},
            MinCount=1, MaxCount=1, ClientToken=token, TagSpecifications=tags,
        )  # fmt: skip
        instance = str(answer["Instances"][0]["InstanceId"])
        town.settle(120)
        assert town.account.status(instance) == "ok"
        return instance, digest_of(instance)

    def end(self, group: GroupPlan, token: str) -> None:
        del group
        wanted = [{"Name": f"tag:{TAG}", "Values": [token]}]
        rows = self.town.account.ec2.describe_instances(Filters=wanted)["Reservations"]
        ids = [row["InstanceId"] for found in rows for row in found["Instances"]]
        self.town.account.ec2.terminate_instances(InstanceIds=ids)

    def propose(self, why: str) -> str:
        self.town.proposed.append(why)
        return "branch goldpress/staging"


def people(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tasks work on this site, in this cloud, at its time."""

    @dataclass(frozen=True, kw_only=True)
    class Timed(Roller):
        now: Callable[[], float] = town.time.now
        sleep: Callable[[float], None] = town.time.sleep

    def duties(**given: Any) -> Duties:
        return Duties(town=town, **given)

    endpoint = SimpleNamespace(url=town.account.emulator.url)
    monkeypatch.setattr("goldpress.workspace.workspace", lambda: town.site.ws)
    monkeypatch.setattr("goldpress.cloud.up", lambda _ws: endpoint)
    monkeypatch.setattr(rolling, "Roller", Timed)
    monkeypatch.setattr(rolling, "RealDuties", duties)


def template(account: Account, site: Site) -> str:
    """A launch template of the image before."""
    made = account.ec2.create_launch_template(
        LaunchTemplateName=site.name,
        LaunchTemplateData={"ImageId": site.ami("a").ami, "InstanceType": "t3.small"},
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def make_group(town: Town, name: str, version: str) -> str:
    """Two instances behind a load balancer of their own; its ARN."""
    account = town.account
    targets = group(account, name, TargetType="instance")
    account.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=targets,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}],
    )
    arn = balancer(account, name)
    listener(account, arn, targets)
    town.asg.create_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=1, MaxSize=4, DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateId": town.template, "Version": version},
        VPCZoneIdentifier=",".join(network(account)["subnets"]), TargetGroupARNs=[targets],
        HealthCheckType="ELB", HealthCheckGracePeriod=300, DefaultInstanceWarmup=30,
    )  # fmt: skip
    return arn


@pytest.fixture
def town(
    site: Site,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Town]:
    emulator.ask("settings", {"driver": "virtual", "models": {"*": MODEL}})
    write_definition(site)
    account = Account(emulator=emulator, id=ACCOUNT, region=REGION)
    names = (f"{site.name}-a", f"{site.name}-b")
    path = site.ws.project / "images" / site.name / "channels" / "staging.yaml"
    path.write_text(STAGING + FLEETS.format(a=names[0], b=names[1]))
    for letter, before in (("a", ""), ("b", "a")):
        site.press(letter)
        in_force(site, site.publish(letter, REGION), before)
    time = Time(emulator=emulator, at=float(emulator.ask("clock", {"stopped": True})["now"]))
    made = Town(
        site=site, time=time, account=account, names=names, capsys=capsys,
        template=template(account, site),
    )  # fmt: skip
    balancers = [
        make_group(made, name, version) for name, version in zip(names, ("1", LATEST), strict=True)
    ]
    made.settle()
    people(made, monkeypatch)
    yield made
    for name, arn in zip(names, balancers, strict=True):
        made.asg.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        account.client("elbv2").delete_load_balancer(LoadBalancerArn=arn)
    made.settle(120)


# ---- by hand ----


def launched_by_hand(town: Town, name: str) -> str:
    """Somebody ends an instance of a group and puts one of the image before in its place."""
    victim = min(town.members(name))
    town.asg.terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=True
    )
    town.settle(300)
    subnet = network(town.account)["subnets"][0]
    one = str(town.account.run(town.ami("a"), SubnetId=subnet)["InstanceId"])
    town.settle(120)
    town.asg.attach_instances(InstanceIds=[one], AutoScalingGroupName=name)
    town.settle(300)
    assert town.group(name)["DesiredCapacity"] == 2
    return one


def left_behind(town: Town, name: str) -> str:
    """An instance of an older template version, of a group that has the right one again."""
    before = set(town.members(name))
    for version in ("1", "2"):
        town.asg.update_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateId": town.template, "Version": version},
        )
        if version == "1":
            town.asg.terminate_instance_in_auto_scaling_group(
                InstanceId=min(before), ShouldDecrementDesiredCapacity=False
            )
            town.settle(300)
    (one,) = set(town.members(name)) - before
    return one


def rolled(town: Town) -> None:
    """Both groups run what is in force."""
    town.done(tasks.adopt, town.names[1], yes=True)
    value = json.loads(town.done(roll.roll, "staging", watch=True))
    assert value["state"] == "done", value


# ---- what people see ----


def test_a_group_that_follows_latest_is_planned_only_once_it_is_adopted(town: Town) -> None:
    name = town.names[1]
    error = town.failed(tasks.plan, "staging")
    assert f"`./inv roll.adopt {name}`" in error
    assert f"`./inv roll.adopt {name}`" in town.failed(roll.roll, "staging")
    shown = json.loads(town.done(tasks.adopt, name))
    assert (shown["from"], shown["to"], shown["needed"]) == (LATEST, "1", True)
    assert town.group(name)["LaunchTemplate"]["Version"] == LATEST
    town.done(tasks.adopt, name, yes=True)
    assert town.group(name)["LaunchTemplate"]["Version"] == "1"
    assert json.loads(town.done(tasks.adopt, name, yes=True))["needed"] is False
    value = json.loads(town.done(tasks.plan, "staging", json=True))
    assert [row["name"] for row in value["plan"]["waves"]] == ["half", "all"]
    assert {row["group"] for row in value["plan"]["groups"]} == set(town.names)
    assert value["seconds"] >= value["floor_seconds"] > 0
    assert {row["rule"] for row in value["findings"] if not row["ok"]} == set()
    assert "half" in town.done(tasks.plan, "staging")
    # Nothing was changed by planning.
    assert set(town.members(name).values()) == {town.ami("a")}
    assert "is in no place where a channel has a fleet" in town.failed(
        tasks.quarantine, f"i-{1:017x}", why="odd"
    )
    assert f"has a group '{name}-none'" in town.failed(tasks.adopt, f"{name}-none")


def test_what_was_changed_by_hand_is_named_and_healed(town: Town) -> None:
    a, b = town.names
    before = town.drift()
    assert (before["status"], before["drifted"]) == (1, 4)
    rolled(town)
    assert "web-" in town.done(roll.status, "staging")
    for name in town.names:
        assert list(town.members(name).values()) == [town.ami("b")] * 2
        assert town.group(name)["LaunchTemplate"]["Version"] == "2"
    assert town.site.pointer("staging") == town.ami("b")
    clean = town.drift()
    assert (clean["status"], clean["instances"], clean["drift"]) == (0, 4, [])

    attached, old = launched_by_hand(town, a), left_behind(town, b)
    found = town.drift()
    assert found["status"] == 1
    rows = {(row["instance"], row["kind"]): row["why"] for row in found["drift"]}
    assert {key[0] for key in rows} == {attached, old}
    ran = f"runs {town.ami('a')}, of image {town.site.images['a'].image[7:19]}; "
    by_hand = "put into the group by hand, with no launch template; launched "
    assert rows[attached, "image"].startswith(f"{ran}{by_hand}")
    assert rows[old, "image"].startswith(f"{ran}of {town.site.name} version 1; launched ")
    assert found["error"].startswith(f"error: 2 findings; the first: {attached}: image: {ran}")
    assert "`./inv drift --heal` refreshes just the groups that drifted" in found["error"]

    kept = set(town.members(a)) | set(town.members(b)) - {attached, old}
    assert town.drift()["drifted"] == 2
    status, out, err = town.inv(tasks.drift, json=True, heal=True)
    assert status == 0, err
    (told,) = json.loads(out)
    assert told["drifted"] == 2
    value = json.loads(town.done(roll.roll, "staging", watch=True))
    assert value["state"] == "done", value
    for name in town.names:
        assert list(town.members(name).values()) == [town.ami("b")] * 2
    assert town.drift()["drift"] == []
    # Those that were as they should be are the same ones.
    now = set(town.members(a)) | set(town.members(b))
    assert now & kept == kept - {attached, old}


def test_a_newer_ami_that_somebody_baked_by_hand_is_rolled_by_nobody(town: Town) -> None:
    """B3.7: what is rolled is the digest in force, not the newest AMI under the image's name."""
    account, like = town.account, town.account.image(town.ami("b"))
    # Its tags say what they like.
    says = [{"Key": "goldpress:image", "Value": town.site.images["b"].image}]
    baked = account.register(
        account.made({0: block("by hand")}),
        Name=f"{like['Name']}-newer",
        TagSpecifications=[{"ResourceType": "image", "Tags": says}],
    )
    rolled(town)
    for name in town.names:
        assert list(town.members(name).values()) == [town.ami("b")] * 2
    assert town.site.pointer("staging") == town.ami("b")
    subnet = network(account)["subnets"][0]
    one = str(account.run(baked, SubnetId=subnet)["InstanceId"])
    town.settle(60)
    town.asg.attach_instances(InstanceIds=[one], AutoScalingGroupName=town.names[0])
    town.settle(300)
    (row,) = town.drift()["drift"]
    assert (row["instance"], row["image"]) == (one, "")
    assert f"runs {baked}, which is no image of this store" in row["why"]


def test_one_is_taken_out_for_a_look_and_put_back(town: Town) -> None:
    rolled(town)
    one = min(town.members(town.names[0]))
    assert "say why" in town.failed(tasks.quarantine, one)
    out = json.loads(town.done(tasks.quarantine, one, why="it is slow"))
    assert (out["instance"], out["way"], out["why"]) == (one, "standby", "it is slow")
    town.settle()
    assert one not in town.members(town.names[0])
    assert len(town.members(town.names[0])) == 2
    tags = {row["Key"]: row["Value"] for row in town.account.instance(one)["Tags"]}
    assert tags[QUARANTINE] == "it is slow"
    assert town.drift()["drift"] == []
    town.done(tasks.quarantine, one, release=True)
    town.settle()
    assert len(town.members(town.names[0])) == 2
    assert town.group(town.names[0])["DesiredCapacity"] == 2
    assert "is not in quarantine" in town.failed(tasks.quarantine, one, release=True)


def test_a_roll_is_taken_back_by_hand_and_its_digest_rolled_no_more(town: Town) -> None:
    rolled(town)
    digest = town.site.images["b"].image
    error = town.failed(roll.rollback, "staging", why="it burns", watch=True)
    assert "was taken back everywhere, and is held: it burns" in error
    assert "merge the revert (branch goldpress/staging)" in error
    for name in town.names:
        assert list(town.members(name).values()) == [town.ami("a")] * 2
        assert town.group(name)["LaunchTemplate"]["Version"] == "1"
    assert town.site.pointer("staging") == town.ami("a")
    assert town.proposed == ["it burns"]
    for task, words in ((roll.roll, ("staging",)), (tasks.plan, ("staging",))):
        assert "held" in town.failed(task, *words)
    assert "held" in town.failed(tasks.drift, heal=True)
    assert digest[7:19] in town.failed(roll.roll, "staging")
