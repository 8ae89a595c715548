"""Rolling a channel: its record, holds, pointers and lease, over groups in a cloud of rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fleeted import REGION, Fleeted, in_force, published
from promotable import ACCOUNT, held
from rolled import TAG

from goldpress import holds
from goldpress.aws import client
from goldpress.aws.client import Access
from goldpress.digest import digest_of
from goldpress.drifting import drift, heal
from goldpress.duties import WHY, RealDuties, reason
from goldpress.errors import (
    CloudError,
    ConflictError,
    MissingError,
    PromotionError,
    RollError,
    VerifyError,
)
from goldpress.fleet.ending import Done, Ending, Person, Waiting, conclude, watched
from goldpress.fleet.journal import lease_key
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.promotion.available import pointer_name
from goldpress.promotion.lease import leased
from goldpress.rolling import Roller
from goldpress.workspace import Workspace

A, B = (f"{ACCOUNT}/{REGION}/{name}" for name in ("web-a", "web-b"))


@dataclass(frozen=True, kw_only=True)
class Duties(RealDuties):
    """The real ones, but for logins, which machines made of rules do not have, and for git."""

    fleeted: Fleeted
    proposed: list[str] = field(default_factory=list)

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        client = self.fleeted.cloud.access(group.account).client("ec2", group.region)
        tags = [{"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": token}]}]
        answer = client.run_instances(
            LaunchTemplate={"LaunchTemplateId": group.template, "Version": version},
            MinCount=1, MaxCount=1, ClientToken=token, TagSpecifications=tags,
        )  # fmt: skip
        instance = str(answer["Instances"][0]["InstanceId"])
        self.fleeted.settle(240)
        status, _ = self.fleeted.place.machines.serves(instance, self.fleeted.cloud.clock.now())
        if status != 200:
            client.terminate_instances(InstanceIds=[instance])
            raise VerifyError(f"{instance}: /healthz answers {status}")
        return instance, digest_of(instance)

    def end(self, group: GroupPlan, token: str) -> None:
        client = self.fleeted.cloud.access(group.account).client("ec2", group.region)
        rows = client.describe_instances(Filters=[{"Name": f"tag:{TAG}", "Values": [token]}])
        for found in rows["Reservations"]:
            client.terminate_instances(
                InstanceIds=[row["InstanceId"] for row in found["Instances"]]
            )

    def propose(self, why: str) -> str:
        self.proposed.append(why)
        return "branch goldpress/staging"


@dataclass(kw_only=True)
class Channel:
    """The channel `staging` of a site, and who rolls it."""

    of: Fleeted
    said: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)

    @property
    def roller(self) -> Roller:
        return Roller(
            ws=self.of.site.ws, channel=self.of.channel, reach=self.of.reach,
            duties=self.duties, now=self.of.cloud.clock.now, sleep=self.of.settle,
            say=self.said.append,
        )  # fmt: skip

    def duties(self, plan: RollPlan) -> Duties:
        return Duties(
            ws=self.of.site.ws, channel=self.of.channel, digest=plan.digest,
            previous=plan.previous, owner=ACCOUNT, reach=self.of.reach, endpoint="",
            emulated=True, fleeted=self.of, proposed=self.proposed,
        )  # fmt: skip

    def run(self, first: Callable[[], Ending] | None = None) -> Ending:
        ending = (first or self.roller.roll)()
        for _ in range(400):
            if not isinstance(ending, Waiting) or ending.until == float("inf"):
                return ending
            self.of.settle(max(1.0, ending.until - self.of.cloud.clock.now()))
            ending = self.roller.roll()
        raise AssertionError("\n".join(self.said))

    def amis(self) -> set[str]:
        machines = self.of.place.machines.every
        return {machines[i].image for name in ("web-a", "web-b") for i in self.of.members(name)}

    @property
    def pointer(self) -> str:
        found = self.of.place.parameters.get(pointer_name(self.of.site.name, "staging"))
        return str(found["Value"]) if found else ""

    def point(self, ami: str) -> None:
        client = self.of.cloud.access(ACCOUNT).client("ssm", REGION)
        client.put_parameter(
            Name=pointer_name(self.of.site.name, "staging"), Value=ami, Type="String",
            DataType="aws:ec2:image",
        )  # fmt: skip


@pytest.fixture
def channel(fleeted: Fleeted) -> Channel:
    found = Channel(of=fleeted)
    found.point(fleeted.ami("a"))
    fleeted.cloud.calls.clear()
    return found


def test_what_is_in_force_reaches_the_groups_and_then_the_pointer(channel: Channel) -> None:
    ending = channel.run()
    assert isinstance(ending, Done)
    channel.of.settle()
    assert channel.amis() == {channel.of.ami("b")}
    assert channel.pointer == channel.of.ami("b")
    assert channel.proposed == []
    assert drift(channel.of.site.ws, "staging", reach=channel.of.reach)[0].rows == ()
    # Once more: it is done, and nothing is changed.
    channel.of.cloud.calls.clear()
    assert channel.roller.roll() == ending
    assert channel.of.written() == []


def test_taken_back_by_hand_it_is_held_and_everything_is_as_before(channel: Channel) -> None:
    channel.run()
    ending = channel.run(lambda: channel.roller.rollback("it burns"))
    assert isinstance(ending, Person)
    assert "was taken back everywhere, and is held: it burns" in ending.why
    channel.of.settle()
    assert channel.amis() == {channel.of.ami("a")}
    assert channel.pointer == channel.of.ami("a")
    assert channel.proposed == ["it burns"]
    found = holds.held(channel.of.site.ws.store, channel.of.site.trust, channel.of.digest)
    assert found is not None
    assert found.why == "roll: it burns"


def test_nothing_relaunches_what_was_taken_back(channel: Channel) -> None:
    channel.run()
    channel.run(lambda: channel.roller.rollback("it burns"))
    channel.of.settle()
    channel.of.cloud.calls.clear()
    assert isinstance(channel.roller.roll(), Person)
    (found,) = drift(channel.of.site.ws, "staging", reach=channel.of.reach)
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        heal(channel.of.site.ws, found, lambda _, rows: channel.roller.heal(rows))
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        channel.roller.heal(())
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        holds.refuse_launch(channel.of.site.ws, channel.of.digest)
    assert channel.of.written() == []


def test_a_held_digest_is_never_begun(channel: Channel) -> None:
    held(channel.of.site, channel.of.digest, "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        channel.roller.roll()
    assert channel.of.written() == []


def test_what_keeps_a_group_from_being_rolled_keeps_all_from_it(channel: Channel) -> None:
    channel.of.scaling(
        "SuspendProcesses", AutoScalingGroupName="web-b", ScalingProcesses=["Terminate"]
    )
    with pytest.raises(CloudError, match=rf"{B}: processes: ") as caught:
        channel.roller.roll()
    assert caught.value.hint
    assert channel.of.written() == []


def test_pause_resume_abort(channel: Channel) -> None:
    channel.roller.roll()
    channel.roller.pause("ann looks")
    ending = channel.roller.roll()
    assert isinstance(ending, Waiting)
    assert ending.text == "paused: ann looks; `./inv roll.resume staging` goes on"
    channel.roller.resume()
    assert channel.roller.status()[1].paused == ""
    ending = channel.run(lambda: channel.roller.abort("enough"))
    assert isinstance(ending, Done)
    assert "was aborted: what it replaced stays" in ending.told
    with pytest.raises(MissingError, match="no roll is under way; the last one is aborted"):
        channel.roller.pause("late")
    assert holds.held(channel.of.site.ws.store, channel.of.site.trust, channel.of.digest) is None
    # Anew: it goes to the end.
    assert isinstance(channel.run(), Done)


def test_a_roll_that_was_aborted_half_way_and_begun_anew_knows_its_way_back(
    channel: Channel,
) -> None:
    for _ in range(200):
        ending = channel.roller.roll()
        assert isinstance(ending, Waiting)
        if channel.roller.status()[1].group(B).state == "done":
            break
        channel.of.settle(20)
    channel.run(lambda: channel.roller.abort("enough"))
    channel.of.settle()
    assert channel.of.group("web-b")["LaunchTemplate"]["Version"] == "2"
    assert isinstance(channel.run(), Done)
    channel.run(lambda: channel.roller.rollback("it burns"))
    channel.of.settle()
    rows = [channel.of.group(name)["LaunchTemplate"]["Version"] for name in ("web-a", "web-b")]
    assert rows == ["1", "1"]
    assert channel.amis() == {channel.of.ami("a")}


def test_never_rolled_there_is_nothing_to_take_back(channel: Channel) -> None:
    name = f"{channel.of.site.name}/staging"
    for act in (
        lambda: channel.roller.rollback("x"),
        channel.roller.resume,
        channel.roller.status,
        lambda: channel.roller.abort("x"),
    ):
        with pytest.raises(MissingError, match=f"{name} was never rolled"):
            act()


def test_what_was_promoted_meanwhile_is_rolled_afterwards(channel: Channel) -> None:
    channel.roller.roll()
    later = published(channel.of.site, "c", 3)
    channel.of.amis["c"] = later
    disk = {"DeviceName": later.root_device, "Ebs": {"SnapshotId": later.snapshot}}
    channel.of.place.add_image(later.ami, BlockDeviceMappings=[disk])
    in_force(channel.of.site, later, "b")
    assert isinstance(channel.run(), Done)
    assert any("was promoted meanwhile" in line for line in channel.said)
    channel.of.settle()
    assert channel.amis() == {channel.of.ami("b")}
    assert isinstance(channel.run(), Done)
    channel.of.settle()
    assert channel.amis() == {channel.of.ami("c")}


def test_of_two_at_once_the_second_waits_or_is_told_who_has_it(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldpress.promotion.lease.WAIT_SECONDS", 0)
    objects = channel.of.site.ws.store.objects
    key = lease_key(channel.of.site.name, "staging")
    with leased(objects, key), pytest.raises(ConflictError, match="is at the same work"):
        channel.roller.roll()
    assert channel.of.written() == []


def test_drift_is_healed_group_by_group_and_by_the_rules_of_rolls(channel: Channel) -> None:
    channel.run()
    channel.of.settle()
    (victim, _) = channel.of.members("web-a")
    machines = channel.of.place.machines.every
    machines[victim].image = channel.of.ami("a")
    (found,) = drift(channel.of.site.ws, "staging", reach=channel.of.reach)
    assert {row.instance for row in found.rows} == {victim}
    channel.of.cloud.calls.clear()
    heal(channel.of.site.ws, found, lambda _, rows: channel.roller.heal(rows))
    assert isinstance(channel.run(), Done)
    starts = [row for row in channel.of.cloud.calls if row.operation == "StartInstanceRefresh"]
    assert [row.request["AutoScalingGroupName"] for row in starts] == ["web-a"]
    with pytest.raises(MissingError, match="not one to go back from"):
        channel.roller.rollback("x")


def test_a_group_of_no_channel_is_not_healed(channel: Channel) -> None:
    @dataclass(frozen=True)
    class Other:
        group: str = f"{ACCOUNT}/{REGION}/other"
        skip_matching: bool = True
        why: str = "ami"

    with pytest.raises(MissingError, match="other is no group of"):
        channel.roller.heal([Other()])


# ---- what needs no cloud ----


def test_on_aws_a_store_of_this_machine_is_refused(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
        monkeypatch.delenv(name, raising=False)
    client._client.cache_clear()  # noqa: SLF001 - nothing but tests changes variables
    assert not Access().emulated
    roller = replace(channel.roller, reach=None)
    with pytest.raises(MissingError, match="the store is a directory of this machine") as caught:
        roller.roll()
    assert caught.value.hint == "set GOLDPRESS_STORE=s3://bucket/prefix"
    client._client.cache_clear()  # noqa: SLF001 - as above


def test_endings_are_results_and_a_person_is_an_error() -> None:
    shown: list[Any] = []
    conclude(Done(told="all"), show=shown.append)
    conclude(Waiting(until=5.0, why="soaks"), show=shown.append)
    conclude(Waiting(until=float("inf"), why="paused"), show=shown.append)
    with pytest.raises(RollError, match="it burns\n  call ann"):
        conclude(Person(why="it burns", hint="call ann"), show=shown.append)
    assert [(row["state"], row.get("until")) for row in shown] == [
        ("done", None), ("waiting", 5.0), ("waiting", None), ("needs a person", None),
    ]  # fmt: skip


def test_watched_a_roll_is_ticked_until_it_ends_for_good() -> None:
    slept: list[float] = []
    endings: list[Ending] = [Waiting(until=30.0, why="x"), Done(told="all")]
    found = watched(
        Waiting(until=12.0, why="x"), lambda: endings.pop(0), now=lambda: 10.0, sleep=slept.append
    )
    assert found == Done(told="all")
    assert slept == [2.0, 20.0]
    paused = Waiting(until=float("inf"), why="paused")
    assert watched(paused, endings.pop, now=lambda: 0.0, sleep=slept.append) is paused


def test_a_reason_is_one_line_that_a_hold_takes() -> None:
    assert reason("it\nburns\x00 ") == "it burns"
    assert len(reason("x" * 500)) == WHY


def test_a_directory_without_the_channel_is_told(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    ws = Workspace(project=tmp_path, build=tmp_path / "build")
    with pytest.raises(MissingError, match="no image has a channel 'prod'"):
        Roller.of(ws, "prod")
