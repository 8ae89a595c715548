"""Plans of rolls: made from what groups are, as documents with a digest, with times and writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from channels import channel
from fleets import NEW, NEW_IMAGE, OLD, OLD_IMAGE, ami, group, observed, target_group
from fleets import version as template_version
from stubbed import ACCOUNT

from goldpress.channel import Channel
from goldpress.errors import DocumentError, MissingError
from goldpress.fleet.making import Aim, Subject, budget, make_plan, preferences_of
from goldpress.fleet.plan import (
    RollPlan,
    checkpointed,
    count_of,
    keep,
    load,
    parse_plan,
)
from goldpress.fleet.shown import lasting
from goldpress.store import Store

TEXT = f"""\
image: {NEW_IMAGE}
regions: [us-east-1]
evidence: [verification]
ceilings: {{groups: 2}}
fleets:
  - name: small
    region: us-east-1
    silo: blue
    groups: [web-a]
  - name: large
    region: us-east-1
    silo: blue
    groups: [web-b, web-c]
    replacing: {{max_healthy: 125, warmup_seconds: 30}}
    connections: {{budget: 100, per_instance: 5}}
waves:
  - name: first
    fleets: [small]
    share: 25
    soak_minutes: 60
    gates: [healthy, errors]
  - name: rest
    fleets: [large, small]
    soak_minutes: 0
    gates: [healthy]
"""
AIM = Aim(
    digest=NEW_IMAGE, previous=OLD_IMAGE, since="2026-11-01T00:00:00Z", emulated=False,
    amis={"us-east-1": ami()}, images={OLD: OLD_IMAGE, NEW: NEW_IMAGE}, boot_seconds=40,
)  # fmt: skip
KEYS = [f"{ACCOUNT}/us-east-1/web-{letter}" for letter in "abc"]


def rolled(text: str = TEXT) -> Channel:
    return channel(text)


def subjects(of: Channel, **changes: Any) -> list[Subject]:
    sizes = {"web-a": 4, "web-b": 8, "web-c": 2}
    return [
        Subject(
            fleet=fleet,
            observed=observed(group(sizes[name], name=name), **changes),
            target_groups=(target_group(delay_seconds=20),),
        )
        for fleet in of.policy.fleets
        for name in fleet.groups
    ]


def plan(**changes: Any) -> RollPlan:
    of = rolled()
    return make_plan(of, AIM, subjects(of, **changes))


def test_each_group_goes_from_its_version_to_the_regions_ami() -> None:
    first = plan().group(KEYS[0])
    assert (first.from_version, first.from_ami, first.from_image) == ("3", OLD, OLD_IMAGE)
    assert (first.to_version, first.to_ami) == ("", NEW)
    assert (first.instances, first.matching, first.to_replace) == (4, 0, 4)
    # To boot, three good answers every 10 s, and the group's warmup.
    assert first.boot_seconds == 40 + 20 + 60
    assert first.drain_seconds == 20
    assert plan().group(KEYS[1]).boot_seconds == 40 + 20 + 30


def test_the_smallest_group_of_a_wave_is_first_and_the_canary_is_of_the_first() -> None:
    made = plan()
    assert [row.key for row in made.waves[1].groups] == [KEYS[2], KEYS[0], KEYS[1]]
    assert made.canary == KEYS[0]
    assert [row.share for row in made.waves[0].groups] == [25]


def test_the_live_desired_capacity_counts_and_not_the_minimum() -> None:
    """B3.3: a group of 10 whose minimum is 3 stays one of 10."""
    of = rolled()
    rows = subjects(of)
    rows[0] = replace(rows[0], observed=observed(group(10, name="web-a", min=3, max=12)))
    first = make_plan(of, AIM, rows).group(KEYS[0])
    assert (first.instances, first.desired, first.min, first.surge) == (10, 10, 3, 1)


@pytest.mark.parametrize(("desired", "surge"), [(1, 1), (2, 1), (10, 1), (11, 2), (40, 4)])
def test_one_more_is_launched_first_however_small_the_group(desired: int, surge: int) -> None:
    """B3.2: with one instance, 110 percent is one more, and never none less."""
    of = rolled()
    rows = subjects(of)
    rows[0] = replace(rows[0], observed=observed(group(desired, name="web-a", max=99)))
    made = make_plan(of, AIM, rows).group(KEYS[0])
    assert made.surge == surge
    assert (made.preferences.min_healthy, made.preferences.max_healthy) == (100, 110)


def test_a_document_comes_back_as_the_same_plan(tmp_path: Any) -> None:
    made = plan()
    assert parse_plan(made.document()) == made
    store = Store(root=tmp_path)
    digest = keep(store, made)
    assert digest == made.id
    assert load(store, digest) == made
    assert keep(store, made) == digest


def test_what_is_looked_at_is_in_the_digest() -> None:
    assert plan().id == plan().id
    assert plan().id != plan(template=template_version("4")).id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan_version": 2}, "its plan_version is not one that I know"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"groups": [{}]}, "KeyError"),
        ({"waves": [{"name": "x"}]}, "KeyError"),
    ],
)
def test_a_document_of_another_form_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        parse_plan({**plan().document(), **change})


def test_a_channel_without_fleets_has_nothing_to_roll() -> None:
    of = channel(f"image: {NEW_IMAGE}\nregions: [us-east-1]\nevidence: [verification]\n")
    with pytest.raises(MissingError, match="it has no fleets"):
        make_plan(of, AIM, [])


def test_a_region_without_ami_is_refused() -> None:
    of = rolled()
    with pytest.raises(MissingError, match=f"{NEW_IMAGE} has no AMI in us-east-1"):
        make_plan(of, replace(AIM, amis={}), subjects(of))


def test_a_group_that_launches_it_already_needs_no_new_version() -> None:
    made = plan(template=template_version("5", ami=NEW), ami=NEW)
    assert made.group(KEYS[0]).to_version == "5"
    assert made.group(KEYS[0]).to_replace == 0
    assert all("CreateLaunchTemplate" not in row.call for row in made.writes)


def test_every_write_is_told_in_order_and_the_template_once() -> None:
    calls = [(row.wave, row.call.partition(":")[2], row.target) for row in plan().writes]
    template = "web (lt-0123456789abcdef0) in us-east-1"
    assert calls == [
        ("canary", "RunInstances", KEYS[0]),
        # The three groups share one template and one version of it.
        ("first", "CreateLaunchTemplateVersion", template),
        ("first", "StartInstanceRefresh", KEYS[0]),
        ("first", "CancelInstanceRefresh", KEYS[0]),
        ("rest", "StartInstanceRefresh", KEYS[2]),
        ("rest", "StartInstanceRefresh", KEYS[0]),
        ("rest", "StartInstanceRefresh", KEYS[1]),
    ]
    assert plan().writes[2].why == f"1 of 4 instances to {NEW}"


def test_no_write_changes_a_groups_sizes_or_its_version_before() -> None:
    """B3.1, B3.3, B3.5: only the end of a refresh moves a group, and nothing resizes it."""
    calls = {row.call for row in plan().writes}
    assert not any("UpdateAutoScalingGroup" in call or "Desired" in call for call in calls)
    assert not any("Terminate" in call for call in calls)


def test_times_are_those_of_batches_and_soaks() -> None:
    made = plan()
    first, second, third = (made.group(key) for key in KEYS)
    assert first.seconds(25) == 120 + 20
    assert first.seconds() == 4 * 140
    assert second.surge == 2
    assert second.seconds() == 4 * (90 + 20)
    # The second wave: 3 batches of the first group, 4 of the second, 2 of the third, 2 at once.
    assert made.seconds == 140 + 3600 + max(440, 420 + third.seconds())
    assert made.floor_seconds == 120 + 3600 + 120
    assert made.seconds >= made.floor_seconds


def test_the_surge_is_that_of_the_widest_wave() -> None:
    assert plan().surge == 1 + 2 + 1


def test_a_partial_wave_stops_and_never_ends_by_itself() -> None:
    """Ended at its last checkpoint, a refresh would move the group's own version."""
    terms = preferences_of(rolled().policy.fleets[0])
    part = checkpointed(terms, 25)
    assert part.checkpoints == (25, 100)
    assert part.checkpoint_delay == 172_800
    assert checkpointed(part, 100).checkpoints == ()


@pytest.mark.parametrize(
    ("instances", "share", "count"), [(1, 5, 1), (10, 5, 1), (40, 5, 2), (3, 50, 2), (0, 50, 0)]
)
def test_a_share_of_a_group_is_at_least_one(instances: int, share: int, count: int) -> None:
    assert count_of(instances, share) == count


def test_a_group_with_no_way_back_is_rolled_without_a_rollback() -> None:
    """AWS's own would launch what nothing may launch."""
    of = rolled()
    rows = subjects(of)
    rows[0] = replace(rows[0], way_back=False)
    made = make_plan(of, AIM, rows)
    assert not made.group(KEYS[0]).preferences.auto_rollback
    assert made.group(KEYS[1]).preferences.auto_rollback


def test_the_database_bears_all_groups_of_its_fleet_and_their_surge() -> None:
    of = rolled()
    (found,) = budget(of, plan())
    assert found.ok
    assert found.why == "at most 13 instances at once take 65 of 100 connections"
    tight = rolled(TEXT.replace("budget: 100", "budget: 60"))
    (found,) = budget(tight, make_plan(tight, AIM, subjects(tight)))
    assert not found.ok
    assert "ceilings.groups" in found.hint


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "none"), (59, "59 s"), (3660, "1 h 1 min"), (90_061, "1 d 1 h"), (120, "2 min")],
)
def test_times_in_words(seconds: int, text: str) -> None:
    assert lasting(seconds) == text


def test_a_key_that_is_not_in_the_plan() -> None:
    with pytest.raises(KeyError):
        plan().group("x")
