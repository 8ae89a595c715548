"""Preflight: each rule lets a good group through, and tells what to do about a bad one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from fleets import (
    NEW,
    OLD,
    facts,
    fleet,
    group,
    image,
    kind,
    member,
    observed,
    ref,
    target_group,
    version,
    wish,
)

from goldpress.aws.autoscaling import Hook
from goldpress.aws.capacity import Quota
from goldpress.aws.metrics import Alarm
from goldpress.aws.scaling import Refresh
from goldpress.errors import CloudError
from goldpress.fleet.findings import Finding, failed, refuse_failed
from goldpress.fleet.preflight import RULES, judge
from goldpress.fleet.preflight_facts import Facts, KeyUse, service_role
from goldpress.replacement import Connections, Replacing


def finding(rule: str, given: Facts) -> Finding:
    return next(row for row in judge(given) if row.rule == rule)


def of_group(**changes: Any) -> Facts:
    return facts(observed=observed(group(**changes)))


def with_data(**data: Any) -> Facts:
    return facts(observed=observed(template=version(**data)))


def user_data(text: bytes) -> Facts:
    return with_data(UserData=base64.b64encode(text).decode())


def refresh(**changes: Any) -> Refresh:
    made = Refresh(
        id="r-1", status="InProgress", percentage=10, to_update=3, reason="", desired=ref("4"),
        started="2026-11-01T00:00:00Z", ended="", rollback=False,
    )  # fmt: skip
    return replace(made, **changes)


def running_refresh(coming: str, **changes: Any) -> Facts:
    return facts(observed=observed(refreshes=(refresh(**changes),)), coming=coming)


def disk(device: str = "/dev/xvda", **ebs: Any) -> Facts:
    return with_data(BlockDeviceMappings=[{"DeviceName": device, "Ebs": ebs}])


def mixed(*overrides: dict[str, Any]) -> Facts:
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": {}, "Overrides": list(overrides)}}
    return of_group(mixed=policy, overrides=tuple(row["InstanceType"] for row in overrides))


def alarm(state: str) -> Alarm:
    return Alarm(name="errors", state=state, why="because", since="")


def launching(default: str) -> Hook:
    return Hook(name="warm", launching=True, seconds=600, default=default)


def test_a_group_in_order_meets_every_rule() -> None:
    found = judge(facts())
    assert [row.rule for row in found] == list(RULES)
    assert failed(found) == ()
    refuse_failed(found)


#: (rule, facts, part of why, part of what to do)
BAD: list[tuple[str, Facts, str, str]] = [
    ("template", of_group(template=ref("$Latest")), "follows $Latest of web", "roll.adopt web-a"),
    ("template", of_group(template=ref("$Default")), "follows $Default", "roll.adopt web-a"),
    ("template", of_group(launch_configuration="lc"), "launch configuration lc", "make a launch"),
    (
        "template", facts(observed=observed(template=version(ami="resolve:ssm:/a"))),
        "takes its AMI from a parameter (resolve:ssm:/a)", "roll.adopt",
    ),
    (
        "template-of-others", facts(same_template=(group(name="b", template=ref("$Latest")),)),
        "b of the same region follow $Latest of the same template", "roll.adopt b",
    ),
    ("way-back", facts(observed=observed(template=version(ami="resolve:ssm:/a"))),
     "launches resolve:ssm:/a: nobody can go back to that", "roll.adopt web-a"),
    ("way-back", facts(observed=observed(template=version(ami=""))), "launches no AMI", "adopt"),
    ("refresh", running_refresh(OLD), "refresh r-1 is InProgress at 10 %", "wait until it has"),
    ("refresh", running_refresh(NEW, rollback=True), "refresh r-1", "wait"),
    ("processes", of_group(suspended=frozenset({"Launch", "AZRebalance"})),
     "Launch is suspended: nothing is launched", "--scaling-processes Launch`"),
    ("processes", of_group(suspended=frozenset({"InstanceRefresh"})), "a refresh waits", "resume"),
    ("processes", of_group(suspended=frozenset({"HealthCheck", "ReplaceUnhealthy"})),
     "a bad instance counts as healthy; ReplaceUnhealthy", "resume"),
    ("head-room", of_group(max=3), "4 instances are wanted, at least 1 and at most 3", "correct"),
    ("head-room", of_group(status="Delete in progress"), "'Delete in progress'", "take it out"),
    ("head-room", of_group(desired=5), "4 of 5 instances are in service", "scaling-activities"),
    (
        "protected",
        facts(
            fleet=fleet(replacing=Replacing(protected="ignore")),
            observed=observed(group(members=(member(1, protected=True),))),
        ),
        "would keep the old image", "end their protection",
    ),
    ("health-check", of_group(health_check="EC2"), "serves nothing but errors counts as healthy",
     "--health-check-type ELB"),
    ("health-check", of_group(balancers=("classic",)), "classic load balancer classic",
     "use a target group"),
    ("health-check", facts(target_groups=(target_group(kind="ip"),)), "targets of kind ip",
     "kind instance"),
    ("grace", of_group(grace_seconds=0),
     "its grace period is 0 s; until an instance is healthy about 60 s pass",
     "--health-check-grace-period 120"),
    ("alarms", facts(alarms={"errors": None}), "there is no alarm errors", "or make it"),
    ("alarms", facts(alarms={"errors": alarm("ALARM")}), "errors is ALARM: because", "see to it"),
    ("alarms", facts(alarms={"errors": alarm("INSUFFICIENT_DATA")}), "INSUFFICIENT_DATA", "see"),
    ("draining", facts(wish=wish(stop_seconds=300)),
     "waits 300 s for requests to end, nginx only 300 s",
     "raise `stop_seconds` of image.yaml above 300"),
    ("draining", facts(wish=wish(stop_seconds=None)), "is not known", "stop_seconds"),
    ("draining", facts(target_groups=(target_group(delay_seconds=0),)), "is 0 s", "the longest"),
    ("readable", facts(image=None), "gone, or not shared with 123456789012", "inv promote"),
    ("readable", facts(image=image(state="pending")), "is pending", "publish"),
    ("readable", facts(image=image(facts={"RootDeviceName": "/dev/sda1", "BootMode": "uefi"})),
     "not as it was published: root device /dev/sda1", "audit"),
    ("boot-mode", facts(types={"t2.micro": kind("t2.micro", boot_modes=frozenset({"legacy-bios"})),
                               "t3.small": kind()}),
     "t2.micro cannot boot by UEFI", "Nitro"),
    ("boot-mode", facts(types={"t9.small": None}), "us-east-1 has no t9.small", "overrides"),
    ("boot-mode", facts(types={}), "neither its template nor its overrides", "name one"),
    ("architecture", facts(types={"t4g.small": kind("t4g.small",
                                                    architectures=frozenset({"arm64"}))}),
     "t4g.small: the image is for x86_64", "group of their own"),
    ("overrides", mixed({"InstanceType": "m5.large", "LaunchTemplateSpecification": {}}),
     "AMI of their own: m5.large", "take those out"),
    ("overrides", mixed({"InstanceType": "m5.large", "ImageId": OLD}), "of their own", "take"),
    ("disks", disk("/dev/sda1", VolumeSize=8), "maps /dev/sda1, the image's root is /dev/xvda",
     "maps /dev/xvda"),
    ("disks", disk(VolumeSize=1), "makes /dev/xvda 1 GiB; the image has 2", "at least 2 GiB"),
    ("disks", disk("/dev/sdb", SnapshotId="snap-9"), "comes from snap-9, which AWS leaves out",
     "one disk"),
    ("disks", with_data(KernelId="aki-1"), "names a kernel", "without"),
    ("key", facts(keys=(KeyUse(arn="arn:key", what="the AMI's", state="Enabled", allowed=False),)),
     "Auto Scaling's role in 123456789012 may not use KMS key arn:key", "create-grant"),
    ("key", facts(keys=(KeyUse(arn="k", what="the AMI's", state="Disabled", allowed=True),)),
     "KMS key k is Disabled", "enable it"),
    ("user-data", user_data(b"#!/bin/sh\nA=1\n"), "is a script", "lines KEY=VALUE"),
    ("user-data", user_data(b"#cloud-config\n"), "is a script", "KEY=VALUE"),
    ("user-data", user_data(b"\x1f\x8b\x08"), "is a script", "KEY=VALUE"),
    ("user-data", user_data(b'Content-Type: multipart/mixed; boundary="x"'), "is a script", "KEY"),
    ("user-data", user_data(b'A=1\nPASSWORD="s3cret"\n'), "line 2 of its user data, PASSWORD, is",
     "without quotes"),
    ("user-data", user_data(b"rm -rf /\n"), "line 1 of its user data, (no name)", "KEY"),
    ("metadata", with_data(MetadataOptions={"HttpEndpoint": "disabled"}), "no metadata service",
     "enabled"),
    ("addresses", facts(addresses={"subnet-1": 0}), "subnet-1 has 0 free addresses; 1 more",
     "free some"),
    ("quota", facts(quotas=(Quota(code="L-1216C47A", most=8, used=8),)),
     "8 of 8 vCPUs run (quota L-1216C47A); 2 more", "request-service-quota-increase"),
    ("connections", facts(fleet=fleet(connections=Connections(budget=40, per_instance=10))),
     "5 instances at once take 50 of 40 connections", "proxy"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "given", "why", "hint"), BAD)
def test_a_bad_group_is_refused_by_the_rule_that_tells_why(
    rule: str, given: Facts, why: str, hint: str
) -> None:
    found = finding(rule, given)
    assert not found.ok
    assert why in found.why
    assert hint in found.hint
    with pytest.raises(CloudError, match="123456789012/us-east-1/web-a: "):
        refuse_failed(judge(given))


def test_every_rule_can_fail() -> None:
    """But for those that only tell what a roll will meet."""
    told = {"standby", "hooks", "lifetime"}
    assert {row[0] for row in BAD} == RULES.keys() - told


#: (rule, facts, the note)
NOTES: list[tuple[str, Facts, str]] = [
    # Nothing needs a roll more than a group that would launch a held image.
    (
        "way-back",
        facts(wish=wish(held=frozenset({OLD}))),
        f"{OLD}, which it launches now, is held: AWS's own rollback is switched off",
    ),
    ("way-back", facts(before=None), "gone, or not shared with this account: AWS's own"),
    ("way-back", facts(before=image(OLD, state="disabled")), "is disabled: AWS's own rollback"),
    ("refresh", running_refresh(NEW), "refresh r-1 brings it already: it is gone on with"),
    ("processes", of_group(suspended=frozenset({"AlarmNotification"})), "AlarmNotification"),
    ("head-room", of_group(max=4), "AWS goes 1 above its maximum for a while"),
    ("head-room", of_group(desired=0, min=0, members=()), "only gets the new version"),
    ("protected", of_group(members=(member(1, protected=True),)), "replaced as the others"),
    ("standby", of_group(members=(member(1, state="Standby"),)), "left as they are"),
    (
        "standby",
        facts(
            fleet=fleet(replacing=Replacing(standby="terminate")),
            observed=observed(group(members=(member(1, state="Standby"),))),
        ),
        "1 in standby (i-00000000000000001): ended",
    ),
    ("health-check", of_group(target_groups=()), "healthy means no more than that it runs"),
    ("hooks", facts(hooks=(launching("ABANDON"),)), "wait for an answer to warm (600 s)"),
    ("hooks", facts(hooks=(launching("CONTINUE"),)), "may take as much longer"),
    ("lifetime", of_group(lifetime_seconds=30 * 86_400), "older than 30 days"),
    ("alarms", facts(), "no alarms: only health stops a refresh"),
    ("quota", facts(types={"mac2.metal": kind("mac2.metal")}), "quota of mac2.metal is not known"),
]


@pytest.mark.parametrize(("rule", "given", "note"), NOTES)
def test_what_a_roll_will_meet_is_told_and_does_not_keep_it(
    rule: str, given: Facts, note: str
) -> None:
    found = finding(rule, given)
    assert found.ok
    assert note in found.why


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("readable", "image"),
        ("way-back", "before"),
        ("boot-mode", "types"),
        ("addresses", "addresses"),
        ("quota", "quotas"),
        ("key", "keys"),
        ("hooks", "hooks"),
        ("draining", "target_groups"),
        ("alarms", "alarms"),
        ("template-of-others", "same_template"),
    ],
)
def test_what_nobody_could_look_at_is_no_pass(rule: str, changes: str) -> None:
    error = CloudError("AWS denies it", hint="the role needs it")
    found = finding(rule, facts(**{changes: error}))
    assert not found.ok
    assert found.why == "cannot be looked at: AWS denies it"
    assert found.hint == "the role needs it"


def test_a_group_without_template_fails_by_its_rule_and_breaks_no_other() -> None:
    given = facts(observed=observed(group(launch_configuration="lc"), template=None))
    rules = {row.rule for row in failed(judge(given))}
    assert {"template", "way-back", "disks", "user-data"} <= rules


@pytest.mark.parametrize(
    "text", [b"", b"A=1\nDB_HOST=db.example.com\n", b"A=1\r\nB=\r\n", b"# a note\nA=x y,z:/@+-\n"]
)
def test_user_data_as_the_image_takes_it(text: bytes) -> None:
    assert finding("user-data", user_data(text)).ok


def test_a_secret_in_user_data_is_not_told() -> None:
    found = finding("user-data", user_data(b'TOKEN="hunter2"'))
    assert "hunter2" not in f"{found.why}{found.hint}"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_the_role_of_auto_scaling_is_the_accounts_own(region: str, partition: str) -> None:
    assert service_role(group(region=region)).startswith(
        f"arn:{partition}:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/"
    )
    own = service_role(group(service_role="arn:aws:iam::1:role/x"))
    assert own == "arn:aws:iam::1:role/x"


def test_the_first_finding_is_told_and_how_many_more_there_are() -> None:
    given = of_group(template=ref("$Latest"), health_check="EC2")
    with pytest.raises(CloudError, match=r"template: it follows .* \(and 1 more findings\)"):
        refuse_failed(judge(given))
