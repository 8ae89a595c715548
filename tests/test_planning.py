"""Planning: from the record of a channel to the plan of its roll, in a cloud of rules."""

from __future__ import annotations

import json

import pytest
from fleeted import FLEETS, Fleeted, write_definition
from promotable import ACCOUNT, STAGING, Site, held

from goldpress import planning
from goldpress.errors import MissingError, PromotionError, TrustError
from goldpress.fleet.findings import failed
from goldpress.fleet.plan import load

KEY = f"{ACCOUNT}/us-east-1/web-a"


def prepared(of: Fleeted) -> planning.Prepared:
    return planning.prepare(of.site.ws, of.channel, reach=of.reach)


def test_a_plan_is_made_of_what_runs_and_changes_nothing(fleeted: Fleeted) -> None:
    found = prepared(fleeted)
    assert failed(found.findings) == ()
    row = found.plan.group(KEY)
    assert (row.from_ami, row.to_ami) == (fleeted.ami("a"), fleeted.ami("b"))
    assert (row.from_image, found.plan.previous) == (fleeted.before, fleeted.before)
    assert (row.instances, row.matching, row.desired, row.drain_seconds) == (2, 0, 2, 20)
    assert found.plan.canary == f"{ACCOUNT}/us-east-1/web-b"
    assert fleeted.written() == []
    value = json.loads(json.dumps(found.document()))
    assert value["id"] == found.plan.id
    assert value["writes"][0]["call"] == "ec2:RunInstances"


def test_a_plan_that_was_shown_is_kept(fleeted: Fleeted) -> None:
    found = planning.planned(fleeted.site.ws, fleeted.channel, reach=fleeted.reach)
    assert load(fleeted.site.ws.store, found.plan.id) == found.plan


def test_a_group_that_follows_the_latest_version_is_a_finding(fleeted: Fleeted) -> None:
    template = fleeted.group("web-a")["LaunchTemplate"]["LaunchTemplateId"]
    fleeted.scaling(
        "UpdateAutoScalingGroup", AutoScalingGroupName="web-a",
        LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
    )  # fmt: skip
    rules = {(row.group, row.rule) for row in failed(prepared(fleeted).findings)}
    assert rules == {(KEY, "template")}


def test_a_suspended_process_is_a_finding(fleeted: Fleeted) -> None:
    fleeted.scaling(
        "SuspendProcesses", AutoScalingGroupName="web-b", ScalingProcesses=["Terminate"]
    )
    (found,) = failed(prepared(fleeted).findings)
    assert (found.group, found.rule) == (f"{ACCOUNT}/us-east-1/web-b", "processes")


def test_a_held_digest_is_not_planned(fleeted: Fleeted) -> None:
    held(fleeted.site, fleeted.digest, "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .* it burns"):
        prepared(fleeted)


def test_a_held_image_before_means_no_way_back(fleeted: Fleeted) -> None:
    held(fleeted.site, fleeted.before, "it burned")
    found = prepared(fleeted)
    assert failed(found.findings) == ()
    assert not found.plan.group(KEY).preferences.auto_rollback
    told = next(r for r in found.findings if r.rule == "way-back" and r.group == KEY)
    assert f"{fleeted.ami('a')}, which it launches now, is held" in told.why


def test_a_channel_that_nothing_was_promoted_to_has_no_plan(site: Site) -> None:
    folder = site.ws.project / f"images/{site.name}/channels"
    folder.mkdir(exist_ok=True)
    (folder / "staging.yaml").write_bytes(site.file("staging"))
    channel = planning.channel_of(site.ws, "staging")
    with pytest.raises(MissingError, match="nothing was promoted to it"):
        planning.prepare(site.ws, channel)


def test_a_group_that_is_not_there_is_told(fleeted: Fleeted) -> None:
    path = fleeted.site.ws.project / fleeted.channel.path
    path.write_text(path.read_text().replace("web-b", "web-z"))
    with pytest.raises(MissingError, match="us-east-1 has no Auto Scaling group 'web-z'"):
        prepared(fleeted)


def test_aws_does_not_roll_what_was_promoted_in_an_embedded_cloud(
    fleeted: Fleeted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldpress.aws.client.Access.emulated", property(lambda _: False))
    with pytest.raises(TrustError, match="was promoted in the embedded cloud, not in AWS"):
        planning.prepare(fleeted.site.ws, fleeted.channel)


def test_a_channel_of_several_images_has_to_be_named(fleeted: Fleeted) -> None:
    ws = fleeted.site.ws
    other = ws.project / "images" / "other" / "channels"
    other.mkdir(parents=True)
    (other / "staging.yaml").write_text("image: none\nregions: [us-east-1]\nevidence: [trial]\n")
    with pytest.raises(MissingError, match="have a channel 'staging'"):
        planning.channel_of(ws, "staging")
    assert planning.channel_of(ws, "staging", "other").image == "other"
    with pytest.raises(MissingError, match="no image has a channel 'nowhere'"):
        planning.channel_of(ws, "nowhere")


def test_the_embedded_cloud_answers_every_question(site: Site) -> None:
    """Over HTTP, as `--sandbox` asks it: what it cannot tell would keep every roll from it."""
    site.emulator.ask("settings", {"driver": "virtual", "pending_seconds": 0.1})
    before, digest = site.image("a"), site.image("b")
    account = site.account("us-east-1")
    subnet = account.ec2.describe_subnets()["Subnets"][0]
    target = account.client("elbv2").create_target_group(
        Name=f"t{site.name}", Protocol="HTTP", Port=80, VpcId=subnet["VpcId"],
        TargetType="instance", HealthCheckPath="/healthz",
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    template = account.ec2.create_launch_template(
        LaunchTemplateName=site.name,
        LaunchTemplateData={"ImageId": site.ami("a").ami, "InstanceType": "t3.small"},
    )["LaunchTemplate"]["LaunchTemplateId"]
    account.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=site.name, MinSize=0, MaxSize=2, DesiredCapacity=0,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        VPCZoneIdentifier=subnet["SubnetId"], TargetGroupARNs=[target],
        HealthCheckType="ELB", HealthCheckGracePeriod=600,
    )  # fmt: skip
    site.policy(staging=STAGING + FLEETS.replace("[web-a, web-b]", f"[{site.name}]"))
    site.in_force("staging", before)
    site.in_force("staging", digest)
    write_definition(site)
    (site.ws.project / site.path("staging")).write_bytes(site.file("staging"))
    channel = planning.channel_of(site.ws, "staging")
    found = planning.prepare(site.ws, channel, endpoint=site.emulator.url)
    told = {row.rule: row.why for row in failed(found.findings)}
    assert told == {}
