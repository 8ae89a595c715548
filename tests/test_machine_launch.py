"""Launches in the embedded cloud: key, group and instance come and go, whatever happens between."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3
from emulated import Emulator
from publications import ACCOUNT, REGION, block, make_disk, publication

from goldpress.aws import ec2, instances
from goldpress.aws.client import Access
from goldpress.aws.instances import Instances, Launch
from goldpress.errors import CloudError, MachineError
from goldpress.machine import launch
from goldpress.machine.ec2 import Watch
from goldpress.progress import Step
from goldpress.store import Objects, Store
from goldpress.store.directory import DirectoryObjects
from goldpress.store.journal import Journal, journals

HERE = "127.0.0.1/32"


@pytest.fixture(autouse=True)
def _virtual(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(instances, "POLL_SECONDS", 0.02)
    values = {"driver": "virtual", "pending_seconds": 0.1, "shutting_down_seconds": 0.1}
    data = json.dumps({**values, "complete_seconds": 0.1}).encode()
    answer = urllib3.request("POST", f"{emulator.url}/_goldpress/settings", body=data)
    assert answer.status == 200


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return DirectoryObjects(root=tmp_path / "store")


@pytest.fixture
def here() -> Instances:
    return Instances.at(Access(), REGION)


@pytest.fixture
def plan(tmp_path: Path) -> launch.Plan:
    raw = make_disk(tmp_path / "raw", {0: block("a")}, count=4)
    made = publication(tmp_path, raw, store=Store(root=tmp_path / "published")).publish()
    return launch.Plan(
        ami=made.ami.ami, image=made.ami.image, account=ACCOUNT, region=REGION,
        root_device="/dev/xvda", volume_gib=2, instance_type="t3.small", subnet="",
        reach="direct", from_cidr="", boot_seconds=30, keep_hours=4, emulated=True,
    )  # fmt: skip


def begin(
    here: Instances, plan: launch.Plan, objects: Objects, directory: Path, **given: Any
) -> launch.Launched:
    return launch.begin(
        here, plan, objects=objects, directory=directory, caller_cidr=lambda: HERE, **given
    )


def left(here: Instances) -> list[str]:
    """Names of keys, groups and live instances of launches."""
    client = here.client
    keys = [row["KeyName"] for row in client.describe_key_pairs()["KeyPairs"]]
    groups = [row["GroupName"] for row in client.describe_security_groups()["SecurityGroups"]]
    rows = [i for r in client.describe_instances()["Reservations"] for i in r["Instances"]]
    # The cloud is shared: what other tests launched has no key of a launch.
    live = [
        i["InstanceId"]
        for i in rows
        if i["State"]["Name"] != "terminated" and i.get("KeyName", "").startswith("goldpress-")
    ]
    return [name for name in keys + groups if name.startswith("goldpress-")] + live


def test_a_launch_and_its_end(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    name = launched.journal.values["name"]
    assert (tmp_path / "machine/login_key").stat().st_mode & 0o077 == 0
    (group,) = here.client.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [name]}]
    )["SecurityGroups"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (22, 22)
    assert [row["CidrIp"] for row in rule["IpRanges"]] == [HERE]
    assert sorted(left(here)) == sorted([name, name, launched.instance])
    assert launch.end(here, launched.journal) == [launched.instance, name]
    assert left(here) == []
    assert list(journals(objects, launch.PREFIX)) == []


@pytest.mark.parametrize(
    "action",
    ["ImportKeyPair", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"],
)
def test_a_launch_that_fails_leaves_nothing(
    emulator: Emulator, plan: launch.Plan, tmp_path: Path, action: str
) -> None:
    here, objects = Instances.at(Access(), REGION), DirectoryObjects(root=tmp_path / "store")
    fault = {"service": "ec2", "action": action, "status": 403, "times": 0}
    emulator.fail({**fault, "code": "UnauthorizedOperation"})
    with pytest.raises(CloudError, match=f"AWS denies ec2:{action}"):
        begin(here, plan, objects, tmp_path / "machine")
    emulator.fail()
    assert left(here) == []
    assert list(journals(objects, launch.PREFIX)) == []


def test_no_capacity_is_told_and_leaves_nothing(
    emulator: Emulator, here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    fault = {"service": "ec2", "action": "RunInstances", "status": 400, "times": 0}
    emulator.fail({**fault, "code": "InsufficientInstanceCapacity"})
    with pytest.raises(CloudError, match="AWS has no capacity for this instance type now"):
        begin(here, plan, objects, tmp_path / "machine")
    emulator.fail()
    assert left(here) == []


def test_what_cannot_be_ended_stays_in_the_journal_for_a_sweep(
    emulator: Emulator, here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    fault = {"service": "ec2", "action": "TerminateInstances", "status": 403, "times": 0}
    emulator.fail({**fault, "code": "UnauthorizedOperation"})
    first = MachineError("it did not boot")
    launch.abandon(here, launched.journal, first)
    assert "stays: terminating" in first.__notes__[0] or "AWS denies" in first.__notes__[0]
    emulator.fail()
    (journal,) = journals(objects, launch.PREFIX)
    assert launch.end(here, journal)[0] == launched.instance
    assert left(here) == []


def test_an_instance_that_the_journal_does_not_know_is_found_by_its_token(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    # As after a kill between RunInstances and the journal.
    launched.journal.write(instance=None)
    assert launch.end(here, launched.journal)[0] == launched.instance
    assert left(here) == []


def test_only_what_nobody_waits_for_is_left(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    now = time.time()
    assert list(launch.left(objects, every=True, now=now)) == []
    owner = dict(launched.journal.values["owner"])
    launched.journal.write(owner={**owner, "start_ticks": 1})
    assert len(list(launch.left(objects, every=False, now=now))) == 1
    launched.journal.write(owner={**owner, "boot_id": "another machine"})
    assert list(launch.left(objects, every=False, now=now)) == []
    later = now + launch.FORGOTTEN_SECONDS + 60
    assert len(list(launch.left(objects, every=False, now=later))) == 1
    launch.keep(launched)
    assert list(launch.left(objects, every=False, now=now + 3 * 3600)) == []
    assert len(list(launch.left(objects, every=True, now=now))) == 1
    (journal,) = launch.left(objects, every=False, now=now + 5 * 3600)
    assert launch.place_of(journal) == (ACCOUNT, REGION)
    launch.end(here, journal)


def watch(here: Instances, launched: launch.Launched, directory: Path) -> Watch:
    return Watch(instances=here, launched=launched, directory=directory, step=Step(name="x"))


def test_an_instance_that_ends_by_itself_is_told_with_its_reason(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    here.terminate(launched.instance)
    with pytest.raises(MachineError, match=f"{launched.instance} of {plan.ami} in {REGION} is"):
        watch(here, launched, tmp_path / "machine").running()
    launch.end(here, launched.journal)


def test_an_instance_that_does_not_run_in_time_is_told(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    late = dataclasses.replace(launched, started=launched.started - 31)
    seen = watch(here, late, tmp_path / "machine")
    with pytest.raises(MachineError, match=r"printed no .* line within 30 s") as caught:
        seen.fingerprint()
    assert "the whole console: " in caught.value.hint
    launch.end(here, launched.journal)


def test_the_journal_of_a_launch_has_no_secret(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    launched = begin(here, plan, objects, tmp_path / "machine")
    private = (tmp_path / "machine/login_key").read_text().splitlines()[1]
    held = objects.get(launched.journal.key)
    assert held is not None
    assert private not in held.data.decode()
    launch.end(here, Journal.read(objects, launched.journal.key))


def test_what_is_launched_and_by_which_name_may_be_said(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    asked: list[tuple[str, str]] = []

    def wanted(name: str, group: str) -> Launch:
        asked.append((name, group))
        return Launch(
            token=name, ami=plan.ami, instance_type="t3.nano", key=name, group=group, subnet="",
            root_device="/dev/xvda", volume_gib=2, public=False, tags={},
        )  # fmt: skip

    made = begin(here, plan, objects, tmp_path / "m", name="goldpress-canary", wanted=wanted)
    assert made.journal.key == launch.journal_key(ACCOUNT, REGION, "goldpress-canary")
    found = here.instance(made.instance)
    assert found is not None
    assert (found.type, found.token) == ("t3.nano", "goldpress-canary")
    assert [name for name, _ in asked] == ["goldpress-canary"]
    launch.end(here, made.journal)
    assert left(here) == []


def test_where_what_is_to_be_launched_cannot_be_said_nothing_stays(
    here: Instances, plan: launch.Plan, objects: Objects, tmp_path: Path
) -> None:
    def wanted(name: str, group: str) -> Launch:
        raise CloudError(f"{name} {group}: no such template")

    with pytest.raises(CloudError, match="no such template"):
        begin(here, plan, objects, tmp_path / "m", name="goldpress-canary", wanted=wanted)
    assert left(here) == []
    assert list(journals(objects, launch.PREFIX)) == []
