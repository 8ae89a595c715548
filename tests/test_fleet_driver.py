"""Whole rolls in a cloud inside this process: good images, bad ones, and what is left of them.

Each failure that users of other tools report (facts on clouds, B3) has a test of its own here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rolled import (
    ACCOUNT,
    DIGEST,
    NEW,
    OLD,
    REGION,
    SECOND,
    Named,
    Rolled,
    small,
    three,
    wave,
)

from goldpress.aws.scaling import Preferences
from goldpress.emulator.inprocess import Call, Fault, InProcessCloud
from goldpress.emulator.settings import Model
from goldpress.errors import ConflictError
from goldpress.fleet.ending import Done, Person, Waiting
from goldpress.fleet.journal import Pointer
from goldpress.fleet.learning import failing
from goldpress.replacement import Limits

WEB = f"{ACCOUNT}/{REGION}/web"
BAD_SECOND = Model(bad_zones=tuple(f"{SECOND}{zone}" for zone in "abc"))


def floor(fleet: Rolled, key: str) -> list[int]:
    """How few members of a group were in service at any moment from now on."""
    found: list[int] = []
    account, region, name = key.split("/")
    place = fleet.cloud.place(account, region)

    def watch(_cloud: InProcessCloud) -> None:
        group = place.scaling.groups[name]
        count = sum(row.state == "InService" for row in group.members.every.values())
        found.append(count)

    fleet.cloud.watchers.append(watch)
    return found


# ---- a good image ----


def test_a_good_image_reaches_every_instance_wave_by_wave(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    done = fleet.finished()
    assert done.told.endswith("is what every group of prod runs")
    for named in fleet.groups:
        assert fleet.amis(named.key) == {NEW: 4}
        assert fleet.group(named.key).template.version == "2"
    assert {fleet.pointer(region) for region in (REGION, SECOND)} == {NEW}
    assert fleet.outside() == []
    assert fleet.duties.done == [f"point {REGION} {NEW}", f"point {SECOND} {NEW}"]
    starts = fleet.called("StartInstanceRefresh")
    assert [row.request["Preferences"].get("CheckpointPercentages") for row in starts] == [
        [50, 100], None, None, None,
    ]  # fmt: skip
    # Again: nothing is done, and nothing is called.
    fleet.cloud.calls.clear()
    assert isinstance(fleet.tick(), Done)
    assert [row for row in fleet.cloud.calls if row.writes] == []


def test_what_runs_is_asked_of_ec2_only_where_a_group_may_be_called_new(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    asked: list[tuple[str, bool]] = []

    def observer(call: Call) -> None:
        names = [
            name
            for row in call.request.get("Filters", ())
            if row["Name"] == "tag:aws:autoscaling:groupName"
            for name in row["Values"]
        ]
        groups = fleet.cloud.place(call.account, call.region).scaling.groups
        asked.extend((name, groups[name].refresh is not None) for name in names)

    fleet.cloud.observers.append(observer)
    fleet.finished()
    assert {name for name, _ in asked} == {row.name for row in fleet.groups}
    assert [name for name, refreshing in asked if refreshing] == []


def test_an_instance_of_the_template_that_runs_another_image_makes_a_roll_go_back(
    tmp_path: Path,
) -> None:
    fleet = small(tmp_path)
    place = fleet.cloud.place(ACCOUNT, REGION)

    def bend(_cloud: InProcessCloud) -> None:
        # A launch template that names another image for one type, say: the version is the plan's.
        group = place.scaling.groups["web"]
        new = [row for row in group.members.every.values() if row.template.number == 2]  # type: ignore[union-attr] # launched by the group
        if new and place.machines.every[new[0].id].image == NEW:
            place.machines.change(new[0].id, image="ami-0123456789abcdef0")

    fleet.cloud.watchers.append(bend)
    fleet.person()
    assert fleet.state.failure is not None
    assert f"not {NEW}, though of its template: i-" in fleet.state.failure.why
    assert "ami-0123456789abcdef0" in fleet.state.failure.why
    assert fleet.amis(WEB)[OLD] == 4


def test_a_regions_pointer_moves_when_its_last_wave_has_ended_and_not_before(
    tmp_path: Path,
) -> None:
    fleet = three(tmp_path)
    seen: list[tuple[int, str, str]] = []
    fleet.run(after=lambda: seen.append((fleet.state.wave, fleet.pointer(), fleet.pointer(SECOND))))
    assert {row[1:] for row in seen if row[0] < 2} == {(OLD, OLD)}
    assert {row[1:] for row in seen if row[0] == 2} == {(NEW, OLD)}
    assert seen[-1][1:] == (NEW, NEW)


def test_nothing_of_a_group_is_changed_but_by_a_refresh_with_a_numeric_version(
    tmp_path: Path,
) -> None:
    # B3.1, B3.4, B3.9: no template moved before the refresh, no desired, size, protection, standby
    # or termination by us.
    fleet = three(tmp_path)
    fleet.finished()
    writes = {f"{row.service}:{row.operation}" for row in fleet.cloud.calls if row.writes}
    assert writes == {
        "ec2:CreateLaunchTemplateVersion", "ec2:RunInstances", "ec2:TerminateInstances",
        "elbv2:RegisterTargets", "elbv2:DeregisterTargets", "ssm:PutParameter",
        "autoscaling:StartInstanceRefresh", "autoscaling:CancelInstanceRefresh",
    }  # fmt: skip
    for row in fleet.called("StartInstanceRefresh"):
        template = row.request["DesiredConfiguration"]["LaunchTemplate"]
        assert template["Version"] == "2"
        assert row.request["Preferences"]["AutoRollback"] is True
        assert row.request["Preferences"]["SkipMatching"] is True


def test_the_group_itself_launches_the_old_version_until_its_refresh_has_ended(
    tmp_path: Path,
) -> None:
    fleet = small(tmp_path)
    seen: list[tuple[str, str]] = []

    def look() -> None:
        state = fleet.state.group(WEB).state
        seen.append((state, fleet.group(WEB).template.version))

    fleet.run(after=look)
    assert ("started", "1") in seen
    assert ("started", "2") not in seen
    assert seen[-1] == ("done", "2")


def test_done_is_told_when_every_instance_is_new_and_not_before(tmp_path: Path) -> None:
    # B3.1: other tools end well as soon as a refresh has begun.
    fleet = small(tmp_path)
    told: list[str] = []
    while not isinstance(ending := fleet.tick(), Done):
        assert isinstance(ending, Waiting)
        told.append(ending.text)
        assert fleet.amis(WEB) != {NEW: 4} or fleet.state.wave == 0
        fleet.cloud.advance(ending.until - fleet.now())
    assert fleet.amis(WEB) == {NEW: 4}
    assert any("InProgress" in row and "1 of 4 are new" in row for row in told)


def test_a_group_of_one_is_never_without_its_instance(tmp_path: Path) -> None:
    # B3.2
    one = Named(name="one", desired=1)
    fleet = Rolled(root=tmp_path, groups=(one,), waves=(wave("all", one),))
    counts = floor(fleet, one.key)
    fleet.finished()
    assert min(counts) == 1
    assert fleet.amis(one.key) == {NEW: 1}


@pytest.mark.parametrize("wanted", [7, 2])
def test_desired_capacity_that_somebody_sets_meanwhile_stays(tmp_path: Path, wanted: int) -> None:
    # B3.3
    fleet = small(tmp_path)

    def scale() -> None:
        client = fleet.client(fleet.plan.group(WEB), "autoscaling")
        client.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=wanted)

    fleet.cloud.at(fleet.now() + 700, scale)
    fleet.finished()
    assert fleet.group(WEB).desired == wanted
    fleet.cloud.advance(1800)
    assert fleet.amis(WEB) == {NEW: wanted}


def test_a_scale_out_between_two_waves_launches_the_old_version_and_the_next_wave_replaces_it(
    tmp_path: Path,
) -> None:
    a = Named(name="a")
    waves = (wave("half", a, share=50, soak=60), wave("all", a))
    fleet = Rolled(root=tmp_path, groups=(a,), waves=waves)

    def scale() -> None:
        if fleet.state.open_since and fleet.group(a.key).desired == 4:
            client = fleet.client(fleet.plan.group(a.key), "autoscaling")
            client.set_desired_capacity(AutoScalingGroupName="a", DesiredCapacity=6)
            fleet.cloud.advance(600)
            assert fleet.amis(a.key) == {OLD: 4, NEW: 2}

    fleet.run(after=scale)
    assert fleet.amis(a.key) == {NEW: 6}


def test_a_group_at_its_maximum_is_rolled_and_its_maximum_stays(tmp_path: Path) -> None:
    # B3.5
    full = Named(name="full", extra={"most": 4})
    fleet = Rolled(root=tmp_path, groups=(full,), waves=(wave("all", full),))
    counts = floor(fleet, full.key)
    fleet.finished()
    assert min(counts) >= 4
    assert fleet.group(full.key).max == 4
    assert fleet.amis(full.key) == {NEW: 4}


def test_protected_and_standby_instances_do_not_keep_a_roll_from_ending(tmp_path: Path) -> None:
    # B3.4: one in standby that nobody puts back, protection that stays as it was.
    fleet = small(tmp_path)
    client = fleet.client(fleet.plan.group(WEB), "autoscaling")
    ids = [row.id for row in fleet.group(WEB).members]
    client.set_instance_protection(
        AutoScalingGroupName="web", InstanceIds=ids[:1], ProtectedFromScaleIn=True
    )
    client.enter_standby(
        AutoScalingGroupName="web", InstanceIds=ids[1:2], ShouldDecrementDesiredCapacity=True
    )
    fleet.finished()
    assert fleet.amis(WEB) == {NEW: 3, OLD: 1}
    assert [row.id for row in fleet.group(WEB).members if row.standby] == ids[1:2]


def test_what_runs_the_image_already_is_not_replaced(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    fleet.finished()
    ids = {row.id for row in fleet.group(WEB).members}
    again = replace(fleet.plan.group(WEB), from_version="2", from_ami=NEW, to_version="2")
    fleet.plan = replace(fleet.plan, canary="", groups=(again,))
    fleet.journal().write(fleet.begun(), fence=0)
    fleet.cloud.calls.clear()
    fleet.finished()
    assert fleet.called("StartInstanceRefresh") == []
    assert {row.id for row in fleet.group(WEB).members} == ids


# ---- a bad image ----


def test_an_image_that_serves_500_never_meets_the_fleet(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(serves=500))
    person = fleet.person()
    assert "/healthz answers 500" in person.why
    assert fleet.called("StartInstanceRefresh") == []
    assert fleet.outside() == []
    assert fleet.duties.done[0].startswith("hold canary: ")


def test_without_a_canary_it_is_taken_back_after_its_first_instance(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(serves=500), canary=False)
    counts = floor(fleet, WEB)
    person = fleet.person()
    assert "1 new instances failed" in person.why
    assert person.hint == "merge the revert (branch goldpress/prod), then `./inv promote prod`"
    assert fleet.amis(WEB) == {OLD: 4}
    assert [row.status for row in fleet.refreshes(WEB)] == ["RollbackSuccessful"]
    assert fleet.state.phase == "rolled-back"
    assert min(counts) == 4
    assert [row.split()[0] for row in fleet.duties.done] == ["hold", "propose"]
    assert isinstance(fleet.tick(), Person)


def test_finished_groups_go_back_in_reverse_order_and_pointers_with_them(tmp_path: Path) -> None:
    fleet = three(tmp_path, model=BAD_SECOND)
    person = fleet.person()
    assert "1 new instances failed" in person.why
    back = fleet.called("StartInstanceRefresh")[-2:]
    assert [row.request["AutoScalingGroupName"] for row in back] == ["b", "a"]
    for row in back:
        assert row.request["DesiredConfiguration"]["LaunchTemplate"]["Version"] == "1"
        assert row.request["Preferences"]["AutoRollback"] is False
    for named in fleet.groups:
        assert fleet.amis(named.key) == {OLD: 4}
        assert fleet.group(named.key).template.version == "1"
    assert (fleet.pointer(), fleet.pointer(SECOND)) == (OLD, OLD)
    assert [row for row in fleet.duties.done if row.startswith("point")] == [
        f"point {REGION} {NEW}", f"point {REGION} {OLD}",
    ]  # fmt: skip


def test_a_group_half_of_which_is_new_goes_back_without_the_other_half(tmp_path: Path) -> None:
    a = Named(name="a")
    waves = (wave("half", a, share=50, soak=600), wave("all", a))
    fleet = Rolled(root=tmp_path, groups=(a,), waves=waves)
    old = {row.id for row in fleet.group(a.key).members}
    for _ in range(200):
        ending = fleet.tick()
        assert isinstance(ending, Waiting)
        if fleet.state.open_since:
            break
        fleet.cloud.advance(ending.until - fleet.now())
    stayed = old & {row.id for row in fleet.group(a.key).members}
    assert len(stayed) == 2
    fleet.write(lambda state: failing(state, "by hand", fleet.now(), by_hand=True))
    fleet.person()
    assert fleet.amis(a.key) == {OLD: 4}
    assert stayed <= {row.id for row in fleet.group(a.key).members}


def test_an_image_that_dies_after_twenty_minutes_is_found_while_it_soaks(tmp_path: Path) -> None:
    a, b = Named(name="a"), Named(name="b", desired=20)
    waves = (wave("first", a, soak=60), wave("rest", b))
    model = Model(dies=1.0, dies_after_seconds=1200)
    fleet = Rolled(root=tmp_path, groups=(a, b), waves=waves, model=model)
    person = fleet.person()
    assert "new instances failed" in person.why
    assert fleet.state.group(b.key).state == "pending"
    assert fleet.amis(a.key) == {OLD: 4}
    assert fleet.amis(b.key) == {OLD: 20}


def test_an_image_that_fails_in_one_zone_only_goes_back(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(bad_zones=(f"{REGION}b",)), canary=False)
    fleet.person()
    assert fleet.amis(WEB) == {OLD: 4}


def test_one_lost_instance_of_many_good_ones_is_no_reason_to_go_back(tmp_path: Path) -> None:
    fleet = small(tmp_path)

    def lose() -> None:
        new = [
            row for row in fleet.group(WEB).members if row.template and row.template.version == "2"
        ]
        serving = [row.id for row in new if row.in_service]
        if len(serving) >= 2 and not fleet.state.group(WEB).lost:
            client = fleet.client(fleet.plan.group(WEB), "autoscaling")
            client.set_instance_health(
                InstanceId=serving[0], HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
            )

    fleet.run(after=lose)
    assert fleet.state.phase == "done"
    assert len(fleet.state.group(WEB).lost) == 1
    assert fleet.amis(WEB) == {NEW: 4}


@pytest.mark.parametrize("spot", [True, False])
def test_a_spot_instance_that_aws_takes_back_is_no_fault_of_the_image(
    tmp_path: Path, spot: bool
) -> None:
    """Two new ones: had they ended by themselves, the image would go back."""
    fleet = small(tmp_path, canary=False)
    machines = fleet.place(fleet.plan.group(WEB)).machines
    # Long enough to be seen at its end.
    machines.settings = replace(machines.settings, shutting_down_seconds=120)
    gone: list[str] = []

    def take() -> None:
        new = [row.id for row in fleet.group(WEB).members if machines.every[row.id].image == NEW]
        for one in [row for row in new if row not in gone][: 2 - len(gone)]:
            gone.append(one)
            # The next tick comes just after.
            machines.change(one, spot=spot, ends=fleet.now() + 50)

    ending = fleet.run(after=take)
    assert len(gone) == 2
    if spot:
        assert isinstance(ending, Done)
        assert fleet.amis(WEB) == {NEW: 4}
        assert fleet.duties.done == [f"point {REGION} {NEW}"]
    else:
        assert isinstance(ending, Person)
        assert "2 new instances failed" in ending.why
        assert fleet.duties.done[0].startswith("hold")


def test_a_digest_that_somebody_holds_meanwhile_goes_back(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    fleet.tick()
    fleet.cloud.advance(600)
    fleet.tick()
    fleet.terms = replace(fleet.terms, held="it leaks (by ann)")
    person = fleet.person()
    assert "the digest is held: it leaks (by ann)" in person.why
    assert fleet.amis(WEB) == {OLD: 4}


def test_nobody_goes_back_to_what_is_held_too(tmp_path: Path) -> None:
    fleet = three(tmp_path, model=BAD_SECOND)
    fleet.terms = replace(fleet.terms, no_way_back="the one before is held, too: it leaks")
    person = fleet.person()
    assert "the way back: the one before is held, too: it leaks" in person.why
    assert len(fleet.called("StartInstanceRefresh")) == 4
    assert fleet.called("RollbackInstanceRefresh") == []
    statuses = [fleet.refreshes(named.key)[0].status for named in fleet.groups]
    assert statuses == ["Successful", "Successful", "Cancelled"]


def test_the_first_image_of_a_channel_goes_back_though_consumers_have_none_before(
    tmp_path: Path,
) -> None:
    fleet = small(tmp_path)
    bare = {REGION: Pointer(before="", after=NEW)}
    fleet.write(lambda state: replace(state, pointers=bare))
    fleet.finished()
    fleet.write(
        lambda state: failing(replace(state, phase="rolling"), "by hand", fleet.now(), by_hand=True)
    )
    person = fleet.person()
    told = f"consumers of {REGION} still take it: there is none before"
    assert person.why.endswith(f"is held: by hand; {told}")
    assert fleet.state.phase == "rolled-back"
    assert fleet.amis(WEB) == {OLD: 4}


# ---- what is out of reach, or refused ----


def away(region: str) -> Fault:
    return Fault(region=region, code="ServiceUnavailable", message="no answer", times=0)


def test_a_roll_waits_for_a_region_that_does_not_answer(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    while fleet.state.wave < 2:
        ending = fleet.tick()
        assert isinstance(ending, Waiting)
        fleet.cloud.advance(ending.until - fleet.now())
    fleet.cloud.faults.append(away(SECOND))
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert f"{ACCOUNT}/{SECOND}/c cannot be seen" in ending.text
    fleet.cloud.faults.clear()
    fleet.finished()


def test_going_back_does_the_others_and_tells_which_region_is_left(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    fleet.finished()
    fleet.cloud.faults.append(away(SECOND))
    fleet.write(
        lambda state: failing(replace(state, phase="rolling"), "by hand", fleet.now(), by_hand=True)
    )
    person = fleet.person()
    assert f"{ACCOUNT}/{SECOND}/c: " in person.why
    assert f"pointer {SECOND}: " in person.why
    assert fleet.amis(f"{ACCOUNT}/{REGION}/a") == {OLD: 4}
    assert fleet.pointer() == OLD
    fleet.cloud.faults.clear()
    assert fleet.amis(f"{ACCOUNT}/{SECOND}/c") == {NEW: 4}
    fleet.person()
    assert fleet.state.phase == "rolled-back"
    assert fleet.amis(f"{ACCOUNT}/{SECOND}/c") == {OLD: 4}
    assert fleet.pointer(SECOND) == OLD


@pytest.mark.parametrize(("duty", "told"), [("hold", "nobody signs"), ("propose", "no GitHub")])
def test_what_cannot_be_told_does_not_keep_groups_from_going_back(
    tmp_path: Path, duty: str, told: str
) -> None:
    fleet = small(tmp_path, model=Model(serves=500), canary=False)
    fleet.duties.refuse[duty] = told
    person = fleet.person()
    assert told in person.why
    assert person.hint == "see to what is left, then run the command again: it goes on from there"
    assert fleet.amis(WEB) == {OLD: 4}
    assert not fleet.state.over
    fleet.duties.refuse.clear()
    assert "was taken back everywhere" in fleet.person().why
    assert fleet.state.over


def test_a_pointer_that_aws_does_not_keep_needs_a_person_and_is_tried_again(tmp_path: Path) -> None:
    # B3.6
    fleet = small(tmp_path)
    fleet.duties.refuse[f"point {REGION}"] = "AWS took the value and did not keep it"
    person = fleet.person()
    assert person.why == f"pointer {REGION}: AWS took the value and did not keep it"
    fleet.duties.refuse.clear()
    fleet.finished()
    assert fleet.pointer() == NEW


def test_a_third_of_all_calls_throttled_is_a_roll_all_the_same(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    fleet.cloud.faults.append(Fault(rate=0.3, times=0))
    fleet.finished()
    assert sum(bool(row.outcome) for row in fleet.cloud.calls) > 50
    assert [row.status for row in fleet.refreshes(fleet.groups[1].key)] == ["Successful"]


@pytest.mark.parametrize("attempts", [1, 5])
def test_a_start_whose_answer_is_lost_is_found_and_not_done_again(
    tmp_path: Path, attempts: int
) -> None:
    fleet = small(tmp_path)
    # Botocore's own second attempt finds the refresh of the first one in its way.
    fleet.cloud.attempts = attempts
    fault = Fault(operation="StartInstanceRefresh", code="ServiceUnavailable", way="after")
    fleet.cloud.faults.append(fault)
    fleet.finished()
    assert fault.used == 1
    assert [row.status for row in fleet.refreshes(WEB)] == ["Successful"]


def test_a_refused_start_needs_a_person_who_is_told_aws_own_words(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    fault = Fault(operation="StartInstanceRefresh", code="LimitExceeded", message="too many")
    fleet.cloud.faults.append(fault)
    person = fleet.person()
    assert person.why.startswith(f"{WEB}: web in {REGION}: ")
    assert "LimitExceeded" in person.why
    fleet.finished()


# ---- other people ----


def test_a_refresh_of_somebody_else_needs_a_person(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    client = fleet.client(fleet.plan.group(WEB), "autoscaling")
    client.start_instance_refresh(AutoScalingGroupName="web")
    person = fleet.person()
    assert "of somebody else is" in person.why
    assert len(fleet.called("StartInstanceRefresh")) == 1
    fleet.cloud.advance(6 * 3600)
    fleet.finished()


def test_a_group_that_terraform_moved_meanwhile_needs_a_person(tmp_path: Path) -> None:
    fleet = small(tmp_path, canary=False)
    client = fleet.client(fleet.plan.group(WEB), "autoscaling")
    ec2 = fleet.client(fleet.plan.group(WEB), "ec2")
    template = fleet.plan.group(WEB).template
    ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": OLD}
    )
    client.update_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateId": template, "Version": "2"},
    )
    person = fleet.person()
    assert "launches from web version 2 now, the plan is of version 1" in person.why
    assert "roll.abort prod" in person.hint
    assert fleet.called("StartInstanceRefresh") == []


def test_a_refresh_that_somebody_cancels_pauses_the_roll_until_it_is_resumed(
    tmp_path: Path,
) -> None:
    fleet = small(tmp_path)
    while fleet.state.group(WEB).state != "started":
        fleet.tick()
        fleet.cloud.advance(60)
    fleet.client(fleet.plan.group(WEB), "autoscaling").cancel_instance_refresh(
        AutoScalingGroupName="web"
    )
    ending = fleet.run()
    assert isinstance(ending, Waiting)
    assert "was cancelled by somebody else" in ending.text
    assert "`./inv roll.resume prod` goes on" in ending.text
    assert len(fleet.called("StartInstanceRefresh")) == 1
    fleet.write(lambda state: replace(state, paused=""))
    fleet.finished()
    assert fleet.amis(WEB) == {NEW: 4}


def test_paused_nothing_begins_and_what_turns_bad_still_goes_back(tmp_path: Path) -> None:
    fleet = three(tmp_path, model=BAD_SECOND)
    fleet.write(lambda state: replace(state, paused="ann looks"))
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert ending.text == "paused: ann looks; `./inv roll.resume prod` goes on"
    assert [row for row in fleet.cloud.calls if row.writes] == []
    fleet.write(lambda state: replace(state, paused=""))
    while fleet.state.group(f"{ACCOUNT}/{SECOND}/c").state != "started":
        fleet.tick()
        fleet.cloud.advance(60)
    fleet.write(lambda state: replace(state, paused="ann looks"))
    fleet.cloud.advance(900)
    fleet.person()
    assert fleet.state.phase == "rolled-back"


def test_aborted_it_stays_where_it_is_and_nothing_goes_on(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    while fleet.state.group(WEB).state != "started":
        fleet.tick()
        fleet.cloud.advance(60)
    fleet.cloud.advance(90)
    fleet.write(lambda state: replace(state, phase="aborting"))
    done = fleet.finished()
    assert done.told.endswith("was aborted: what it replaced stays")
    assert [row.status for row in fleet.refreshes(WEB)] == ["Cancelled"]
    assert fleet.duties.done == []
    assert set(fleet.amis(WEB)) == {OLD, NEW}


def test_of_two_who_drive_at_once_the_second_one_is_told(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    late = fleet.journal()
    fleet.tick()
    assert late.state is not None
    with pytest.raises(ConflictError, match="someone else is at the same work"):
        late.write(replace(late.state, paused="late"), fence=1)


# ---- gates, ceilings, soaks ----


def test_an_alarm_without_data_keeps_the_next_wave_waiting_and_says_so(tmp_path: Path) -> None:
    fleet = small(tmp_path, alarms=("5xx",), gates=("healthy", "alarms"))
    alarm(fleet, "INSUFFICIENT_DATA")
    texts: list[str] = []
    person = fleet.run(after=lambda: texts.extend(fleet.state.gates))
    assert isinstance(person, Person)
    assert "all waits for more than an hour: alarms waits: web: no data: 5xx" in person.why
    assert fleet.state.wave == 0
    assert fleet.pointer() == OLD


def alarm(fleet: Rolled, state: str) -> None:
    client = fleet.client(fleet.plan.group(WEB), "cloudwatch")
    client.put_metric_alarm(
        AlarmName="5xx", Namespace="N", MetricName="M", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )  # fmt: skip
    client.set_alarm_state(AlarmName="5xx", StateValue=state, StateReason="test")


def test_an_alarm_that_rings_takes_the_roll_back(tmp_path: Path) -> None:
    fleet = small(tmp_path, alarms=("5xx",), gates=("alarms",), canary=False)
    alarm(fleet, "OK")
    fleet.tick()
    fleet.cloud.advance(120)
    alarm(fleet, "ALARM")
    fleet.person()
    assert fleet.state.failure is not None
    assert "was taken back by AWS" in fleet.state.failure.why
    assert fleet.amis(WEB) == {OLD: 4}


def test_an_alarm_that_rings_already_keeps_a_wave_from_beginning(tmp_path: Path) -> None:
    fleet = small(tmp_path, alarms=("5xx",), gates=("alarms",), canary=False)
    alarm(fleet, "ALARM")
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert "in ALARM: 5xx; it was so before anything was begun" in ending.text
    assert fleet.called("StartInstanceRefresh") == []
    alarm(fleet, "OK")
    fleet.finished()


def test_errors_that_no_health_check_sees_take_the_roll_back(tmp_path: Path) -> None:
    model = Model(errors=0.2)
    fleet = small(tmp_path, model=model, gates=("healthy", "errors"), limits=Limits(requests=100))
    person = fleet.person()
    assert "errors bad: web: " in person.why
    assert "10 of 1000 may be" in person.why
    assert fleet.amis(WEB) == {OLD: 4}


def test_errors_of_the_canary_stop_the_roll_before_any_group_changes(tmp_path: Path) -> None:
    limits = Limits(requests=100, minutes=1, canary_minutes=5)
    fleet = small(tmp_path, model=Model(errors=1.0), gates=("healthy", "errors"), limits=limits)
    person = fleet.person()
    assert fleet.state.failure is not None
    assert fleet.state.failure.why.startswith("canary: i-")
    assert "since it takes requests: errors bad: web: " in fleet.state.failure.why
    assert "is held" in person.why
    assert fleet.called("StartInstanceRefresh") == []
    assert fleet.amis(WEB) == {OLD: 4}


def test_a_canary_takes_requests_for_as_long_as_was_said(tmp_path: Path) -> None:
    limits = Limits(requests=100, minutes=1, canary_minutes=7)
    fleet = small(tmp_path, gates=("healthy", "errors"), limits=limits)
    since: list[float] = []
    fleet.run(
        after=lambda: (
            since.append(fleet.state.canary.since)
            if fleet.state.canary.stage == "registered"
            else None
        )
    )
    assert fleet.state.phase == "done"
    assert fleet.state.canary.since - since[-1] >= 7 * 60


def test_no_canary_is_judged_by_an_alarm_that_rang_before_it_came(tmp_path: Path) -> None:
    fleet = small(tmp_path, alarms=("5xx",), gates=("alarms",))
    alarm(fleet, "ALARM")
    ending = fleet.tick()
    while isinstance(ending, Waiting) and "before it came" not in ending.text:
        fleet.cloud.advance(60)
        ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert "canary: alarms bad: web: in ALARM: 5xx; it was so before it came" in ending.text
    assert fleet.state.canary.stage == "proven"
    alarm(fleet, "OK")
    fleet.finished()


def test_answers_that_come_too_late_take_the_roll_back(tmp_path: Path) -> None:
    fleet = small(tmp_path, model=Model(latency_seconds=9.0), gates=("latency",))
    assert "latency bad: web: p99 " in fleet.person().why


def test_too_few_requests_are_no_proof(tmp_path: Path) -> None:
    fleet = small(tmp_path, requests=0.0, gates=("errors",))
    person = fleet.person()
    assert "CloudWatch has no requests of the last 10 minutes" in person.why


def test_a_wave_soaks_with_every_gate_open_before_the_next_one(tmp_path: Path) -> None:
    a, b = Named(name="a"), Named(name="b")
    waves = (wave("first", a, soak=120), wave("rest", b))
    fleet = Rolled(root=tmp_path, groups=(a, b), waves=waves)
    fleet.finished()
    ends = {row.status: row.ended for row in fleet.refreshes(a.key)}
    started = fleet.refreshes(b.key)[0].started
    assert seconds(started) - seconds(ends["Successful"]) >= 120 * 60


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_verify_is_a_gate_that_waits_for_whoever_can_log_in(tmp_path: Path) -> None:
    fleet = small(tmp_path, gates=("healthy", "verify"))
    fleet.finished()
    assert fleet.duties.done[0] == "sample web"
    assert len([row for row in fleet.duties.done if row.startswith("sample")]) == 1


def test_groups_wait_for_their_turn_under_the_ceiling(tmp_path: Path) -> None:
    loose = Preferences(min_healthy=50, max_healthy=100)
    groups = tuple(Named(name=name, preferences=loose) for name in ("a", "b", "c"))
    fleet = Rolled(root=tmp_path, groups=groups, waves=(wave("all", *groups),), ceiling=4)
    most: list[int] = []
    fleet.run(after=lambda: most.append(sum(row.moving for row in fleet.state.groups.values())))
    assert fleet.state.phase == "done"
    assert max(most) == 2


def test_a_group_that_may_never_begin_needs_a_person(tmp_path: Path) -> None:
    loose = Preferences(min_healthy=0, max_healthy=100)
    a = Named(name="a", preferences=loose)
    fleet = Rolled(root=tmp_path, groups=(a,), waves=(wave("all", a),), ceiling=3)
    person = fleet.person()
    assert "4 of its instances may be out of service" in person.why
    assert "raise `ceilings.unavailable`" in person.hint


def test_in_a_freeze_nothing_begins(tmp_path: Path) -> None:
    fleet = small(tmp_path)
    fleet.terms = replace(fleet.terms, frozen="frozen: nobody is there to look")
    ending = fleet.tick()
    assert isinstance(ending, Waiting)
    assert "nothing begins now: frozen: nobody is there to look" in ending.text
    assert [row for row in fleet.cloud.calls if row.writes] == []


def test_no_launch_is_of_another_image_than_the_plans(tmp_path: Path) -> None:
    fleet = three(tmp_path)
    fleet.finished()
    assert fleet.plan.digest == DIGEST
    images = {
        row.image for place in fleet.cloud.places.values() for row in place.machines.every.values()
    }
    assert images <= {OLD, NEW}
