"""Owns a whole run in the embedded cloud, recorded: every call of publishing and of a store.

``python tests/recording.py`` writes the policies of iam/ from it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess  # noqa: TID251 - the cloud is a process of its own
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.fspath(PROJECT)]

from emulated import ENVIRONMENT, Emulator  # noqa: E402 - the path comes first
from fleeted import make_fleeted  # noqa: E402 - as above
from github_server import serving  # noqa: E402 - as above
from policies import IAM, actions, implied, policy, text  # noqa: E402 - as above
from promotable import STAGING, Site, make_site  # noqa: E402 - as above
from publications import ACCOUNT, REGION, block, make_disk, manifest_of, publication, settings_of  # noqa: E402 - as above
from rolled import Named, Rolled, wave  # noqa: E402 - as above
from stores import kept  # noqa: E402 - as above

from goldpress import adoption, auditing, drifting, planning, quarantining  # noqa: E402 - as above
from goldpress.aws.client import Access  # noqa: E402 - as above
from goldpress.aws.instances import Instances  # noqa: E402 - as above
from goldpress.aws.trail import DELAY  # noqa: E402 - as above
from goldpress.digest import sha256_bytes  # noqa: E402 - as above
from goldpress.emulator.inprocess import Call  # noqa: E402 - as above
from goldpress.emulator.settings import Model  # noqa: E402 - as above
from goldpress.errors import CloudError  # noqa: E402 - as above
from goldpress.machine import launch  # noqa: E402 - as above
from goldpress.publish.audit import audit  # noqa: E402 - as above
from goldpress.rehearsal.site import Hub  # noqa: E402 - as above
from goldpress.store import Store  # noqa: E402 - as above

OTHER = "111122223333"
STATEMENTS = [
    {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{account}:root"]},
        "Action": "kms:*",
        "Resource": "*",
    }
    for account in (ACCOUNT, OTHER)
]


def counted(cloud: Emulator) -> set[str]:
    return set(cloud.ask("calls"))


def publishing_calls(cloud: Emulator, work: Path) -> tuple[set[str], set[str]]:
    """What publishing, its audit, a launch and its end call; and the launch alone."""
    cloud.ask("settings", {"driver": "virtual", "pending_seconds": 0.1, "complete_seconds": 0.1})
    kms = Access().client("kms", REGION)
    document = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})
    key = kms.create_key(Policy=document)["KeyMetadata"]["Arn"]
    wishes = settings_of(
        regions={REGION: {"kms_key": key}},
        share_with=(OTHER,),
        deprecate_after_days=9,
        protect=True,
    )
    cloud.ask("calls", {})
    first = make_disk(work / "one", {0: block("0"), 1: block("1")}, count=4)
    made = publication(work, first, settings=wishes)
    made.publish()
    plain = dataclasses.replace(
        publication(work, first), settings=settings_of(), target=publication(work, first).target
    )
    plain.publish()
    second = make_disk(work / "two", {0: block("0"), 1: block("x")}, count=4)
    manifest = manifest_of(second, name=made.manifest.name)
    published = publication(work, second, settings=wishes, manifest=manifest).publish()
    audit(made.blocks, published.ami.snapshot, publication(work, second).index)
    publishing = counted(cloud)
    cloud.ask("calls", {})
    instances = Instances.at(Access(), REGION)
    plan = launch.Plan(
        ami=published.ami.ami, image=published.ami.image, account=ACCOUNT, region=REGION,
        root_device="/dev/xvda", volume_gib=2, instance_type="t3.small", subnet="",
        reach="direct", from_cidr="", boot_seconds=30, keep_hours=1, emulated=True,
    )  # fmt: skip
    launched = launch.begin(
        instances, plan, objects=made.store.objects, directory=work / "machine",
        caller_cidr=lambda: "127.0.0.1/32",
    )  # fmt: skip
    found = instances.instance(launched.instance)
    while found is None or found.state != "running":
        time.sleep(0.1)
        found = instances.instance(launched.instance)
    instances.checks(launched.instance)
    instances.console(launched.instance)
    subnet = instances.client.describe_subnets()["Subnets"][0]["SubnetId"]
    instances.network(subnet)
    launch.end(instances, launched.journal)
    launching = counted(cloud)
    return publishing | launching, launching


def store_calls(cloud: Emulator, work: Path) -> set[str]:
    """What a store in S3 calls: packages small and large, documents, names, a deletion."""
    objects = cloud.objects()
    calls: set[str] = set()
    objects.client.meta.events.register(
        "before-call.s3", lambda model, **_: calls.add(f"s3:{model.name}")
    )
    store = Store(root=work / "cache", shared=objects)
    kept(store, b"one")
    large = work / "large"
    large.write_bytes(bytes(65 << 20))
    sha256 = sha256_bytes(bytes(65 << 20))
    objects.add("pool/large", large, sha256)
    assert store.get_document("x", store.put_document("x", {"a": 1})) == {"a": 1}
    store.enter("x", "name", f"sha256:{sha256}")
    assert list(objects.listed("pool/"))
    objects.delete(["pool/large"])
    objects.sweep(next(iter(objects.listed("pool/"))).written)
    cloud.fail({"method": "PUT", "path": "pool/large", "status": 403, "code": "AccessDenied"})
    try:
        objects.add("pool/large", large, sha256)
    except CloudError:  # what was begun is given up
        cloud.fail()
    return calls


def promotion_calls(cloud: Emulator, work: Path) -> dict[str, set[str]]:
    """What the check of a proposal calls, and what its promotion does."""
    hub = Hub(bare=work / "images.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    document = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})
    key = Access().client("kms", REGION).create_key(Policy=document)["KeyMetadata"]["Arn"]
    with serving(hub) as github:
        site = make_site(work / "promotion", github, cloud)
        site.kms_key = key
        site.policy(staging=STAGING + f'accounts: ["{OTHER}"]\n')
        site.in_force("staging", site.image("a"))
        pull = site.propose("staging", site.image("b"))
        cloud.ask("calls", {})
        site.check(pull).refuse_failed()
        checking = counted(cloud)
        site.merge(pull, "ann")
        cloud.ask("calls", {})
        site.promote("staging")
        promoting = counted(cloud)
        looking = audit_calls(cloud, site)
    return {"check": checking, "promote": promoting, "audit": looking, "read": looking}


def audit_calls(cloud: Emulator, site: Site) -> set[str]:
    """What an audit calls in an account, its own or another that it may look at."""
    folder = site.ws.project / f"images/{site.name}/channels"
    folder.mkdir()
    (folder / "staging.yaml").write_bytes(site.file("staging"))
    cloud.ask("calls", {})
    end = datetime.now(UTC)
    found = auditing.audit(site.ws, end - timedelta(hours=1), end, now=end + 2 * DELAY)
    # The embedded cloud is looked at as one account only.
    assert found.seen == (f"{ACCOUNT}/{REGION}",)
    return counted(cloud)


def fleet_calls(cloud: Emulator, work: Path) -> dict[str, set[str]]:
    """What is called to roll fleets, to look for drift, and to quarantine an instance."""
    hub = Hub(bare=work / "fleets.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    with serving(hub) as github:
        made = make_fleeted(make_site(work / "fleets", github, cloud))
        ws, calls = made.site.ws, made.cloud.calls
        now = datetime.fromtimestamp(made.cloud.clock.at, UTC)
        calls.clear()
        drifting.drift(ws, "staging", reach=made.reach, now=now)
        drift = named(calls)
        calls.clear()
        for way in ("standby", "detached"):
            one = made.members("web-a")[0]
            given = {"why": "a look", "reach": made.reach, "detach": way == "detached"}
            quarantining.quarantine(ws, one, **given)  # type: ignore[arg-type]
            made.settle()
            quarantining.release(ws, one, reach=made.reach)
            made.settle()
        quarantine = named(calls)
        calls.clear()
        planning.planned(ws, made.channel, reach=made.reach)
        latest = {
            "LaunchTemplateId": made.group("web-a")["LaunchTemplate"]["LaunchTemplateId"],
            "Version": "$Latest",
        }
        made.scaling("UpdateAutoScalingGroup", AutoScalingGroupName="web-a", LaunchTemplate=latest)
        adoption.adopt(ws, "web-a", confirmed=True, reach=made.reach)
        rolling = named(calls) | drift
    return {
        "drift": drift,
        "quarantine": quarantine,
        "roll": rolling | roll_calls(work / "good") | roll_calls(work / "bad", serves=500),
    }


def roll_calls(root: Path, *, serves: int = 200) -> set[str]:
    """What a whole roll calls, to an image that serves with this status."""
    first, second = Named(name="one", desired=2), Named(name="two")
    waves = (
        wave("first", second, share=50, gates=("healthy", "errors", "latency")),
        wave("rest", first, second),
    )
    good = serves == HTTPStatus.OK
    fleet = Rolled(
        root=root, groups=(first, second), waves=waves, canary=good, model=Model(serves=serves)
    )
    fleet.run()
    return named(fleet.cloud.calls)


def named(calls: Iterable[Call]) -> set[str]:
    """Recorded calls of a cloud inside this process."""
    return {f"{call.service}:{call.operation}" for call in calls}


def documents(cloud: Emulator, work: Path) -> dict[str, str]:
    """The text of each policy, by its file's name."""
    publishing, launching = publishing_calls(cloud, work)
    fleets = fleet_calls(cloud, work)
    recorded = {
        "publish": publishing,
        "build": store_calls(cloud, work),
        **promotion_calls(cloud, work),
        **fleets,
        "roll": fleets["roll"] | launching,
        # Nothing of these is recorded: see implied.yaml.
        "keys": set(),
        "operate": set(),
    }
    return {
        f"{role}.json": text(policy(actions(calls) | implied(role), role))
        for role, calls in recorded.items()
    }


def main() -> None:
    """Write the policies anew."""
    os.environ.update(ENVIRONMENT)
    argv = [sys.executable, "-m", "goldpress.emulator", "--until-eof"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, cwd=PROJECT, text=True) as process:
        assert process.stdout is not None
        os.environ["AWS_ENDPOINT_URL"] = url = process.stdout.readline().strip()
        with tempfile.TemporaryDirectory(prefix="recording-") as work:
            for name, content in documents(Emulator(url=url), Path(work)).items():
                (IAM / name).write_text(content)
        process.terminate()


if __name__ == "__main__":
    main()
