"""The pressed image in the embedded cloud: published by one command, launched from its own blocks.

Two machines are booted here: one that the command launches, verifies and ends, and one of the
image with one line more, which shows that line and what EC2 tells a machine about itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clouds import ROOT, Account, qemu_of, waited
from emulated import Emulator
from pressing import inv, one_more_line, sandbox_press, twin
from publications import evidence_of, keep

from goldpress import cloud, publishing
from goldpress.cloud import Cloud
from goldpress.host.run import Completed, run
from goldpress.machine import process
from goldpress.workspace import Workspace

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.timeout(1800)]

SECRET = "wJalrXUtnFEMI-not-a-real-secret-9Z"  # noqa: S105 - what is looked for afterwards
#: A person's way to AWS, which the sandbox must not use, and nothing may write down.
PERSON = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREALACCOUNT00000",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """A workspace beside the project's, with a cloud of its own, and what the command said."""

    ws: Workspace
    cloud: Cloud
    built: dict[str, Any]
    row: dict[str, Any]
    said: list[str]

    def inv(self, *words: str, **variables: str) -> Completed:
        """A task, by a person who has a profile of AWS."""
        done = inv(*words, env={**PERSON, "GOLDPRESS_BUILD": str(self.ws.build), **variables})
        self.said.append(done.text + done.stderr.decode())
        return done


def documents(text: str) -> list[Any]:
    """The JSON documents of several tasks' results."""
    found, rest = [], text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    done = inv("build-image", "--sandbox")
    assert done.returncode == 0, done.stderr.decode()
    ws = twin(tmp_path_factory.mktemp("twin") / "build")
    words = ("build-image", "--sandbox", "publish", "--sandbox", "--audit")
    try:
        done = inv(*words, env={**PERSON, "GOLDPRESS_BUILD": str(ws.build)})
        said = done.stderr.decode()
        assert done.returncode == 0, said
        built, (row,) = documents(done.text)
        found = cloud.running(ws)
        assert found is not None
        yield Bench(ws=ws, cloud=found, built=built, row=row, said=[done.text, said])
    finally:
        cloud.down(ws)


def test_one_command_publishes_launches_and_verifies(bench: Bench) -> None:
    said = bench.said[1]
    assert f"started the embedded cloud at {bench.cloud.url}" in said
    assert bench.row["ami"] in said
    assert bench.row["image_digest"] == bench.built["image_digest"]
    assert bench.row["sent_blocks"] == bench.row["blocks"] == bench.row["audited_blocks"] > 500
    assert (bench.row["state"], bench.row["emulated"]) == ("available", True)
    evidence = bench.ws.store.get_document("evidence", bench.row["evidence"])
    assert evidence["outcome"] == "passed"
    assert evidence["machine"]["kind"] == "ec2-emulated"
    assert evidence["machine"]["firmware"] == "uefi"
    assert evidence["subject"]["image_digest"] == bench.built["image_digest"]
    assert evidence["subject"]["ami"] == bench.row["ami"]
    # One boot, on the ground of the two of the local copy; the same checks for the same promises.
    local = bench.ws.store.get_document("evidence", evidence["rests_on"])
    assert (local["outcome"], len(local["boots"])) == ("passed", 2)
    assert local["input_digest"] == evidence["input_digest"]
    first, launched = local["boots"][0], evidence["boots"][0]
    assert len(evidence["boots"]) == 1
    assert [c["control"] for c in launched["checks"]] == [c["control"] for c in first["checks"]]
    assert launched["host_key"] != first["host_key"]
    (machine,) = bench.ws.machines.glob("ec2-*")
    assert "HostName 127." in (machine / "ssh_config").read_text()
    status = bench.cloud.ask("status")
    assert [place["instances"] for place in status["places"]] == [0]
    assert status["machines"] == 0


def test_nothing_is_left_to_be_swept(bench: Bench) -> None:
    done = bench.inv("sweep", "--sandbox", "--all")
    assert (done.returncode, json.loads(done.text)) == (0, [])


def test_the_second_time_nothing_is_sent_or_launched(bench: Bench) -> None:
    bench.cloud.ask("calls", {})
    done = bench.inv("publish", GOLDPRESS_DISTRIBUTION="sandbox")
    assert done.returncode == 0, done.stderr.decode()
    (row,) = json.loads(done.text)
    same = ("ami", "ebs_snapshot", "document", "evidence")
    assert [row[name] for name in same] == [bench.row[name] for name in same]
    assert row["sent_blocks"] == 0
    made = {"ebs:StartSnapshot", "ebs:PutSnapshotBlock", "ec2:RegisterImage", "ec2:RunInstances"}
    assert not made & set(bench.cloud.ask("calls"))


def test_one_more_line_sends_little_and_is_served(bench: Bench, tmp_path: Path) -> None:
    """On the machine, too: what EC2's metadata tells it, a larger disk, and its end."""
    pressed = one_more_line(sandbox_press(), tmp_path / "web").press()
    assert pressed.digest != bench.built["image_digest"]
    bench.ws.store.put_document("manifest", pressed.manifest.to_document())
    # It is another test's business to boot it here first.
    keep(bench.ws.store, evidence_of(bench.ws, pressed), "web")
    (made,) = publishing.publish(bench.ws, pressed, endpoint=bench.cloud.url, launch=False)
    assert made.error is None
    row = made.document()
    assert 0 < row["sent_blocks"] < 0.03 * row["blocks"]

    account = Account(emulator=Emulator(url=bench.cloud.url), id=cloud.ACCOUNT)
    run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"))
    public = (tmp_path / "key.pub").read_bytes()
    account.ec2.import_key_pair(KeyName="temporary", PublicKeyMaterial=public)
    launched = account.run(
        row["ami"], KeyName="temporary", UserData="GOLDPRESS_TEST=1\n",
        BlockDeviceMappings=[{"DeviceName": ROOT, "Ebs": {"VolumeSize": 3}}],
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a machine"}]}
        ],
    )  # fmt: skip
    instance, address = launched["InstanceId"], launched["PrivateIpAddress"]
    try:
        assert address.startswith("127.")
        assert "PublicIpAddress" not in account.instance(instance)
        (machine,) = [m for m in bench.cloud.ask("instances") if m["instance"] == instance]
        qemu = qemu_of(machine)
        assert account.status(instance) in {"none", "initializing"}
        waited("checks", lambda: account.status(instance) == "ok")
        output = account.ec2.get_console_output(InstanceId=instance, Latest=True)["Output"]
        assert "goldpress-identity: ssh-host-key ssh-ed25519 SHA256:" in output
        login = (
            "ssh", "-i", tmp_path / "key", "-p", str(machine["ssh_port"]), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={os.devnull}",
            f"ec2-user@{address}",
        )  # fmt: skip
        waited("login", lambda: run((*login, "true"), check=False).returncode == 0, 60)
        script = (
            "T=$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "
            "http://169.254.169.254/latest/api/token); "
            "M='curl -sH X-aws-ec2-metadata-token:'$T' http://169.254.169.254/latest'; "
            "$M/meta-data/instance-id; echo; $M/meta-data/ami-id; echo; "
            "$M/meta-data/tags/instance/Name; echo; $M/user-data; "
            "$M/meta-data/public-keys/; echo; cat /sys/block/nvme0n1/size"
        )
        lines = run((*login, script)).text.splitlines()
        assert lines[:5] == [instance, row["ami"], "a machine", "GOLDPRESS_TEST=1", "0=temporary"]
        assert int(lines[-1]) * 512 == 3 * 2**30
        ask = "curl --silent --head --retry 30 --retry-all-errors http://127.0.0.1/healthz"
        answer = run((*login, ask)).text.lower()
        assert answer.startswith("http/1.1 200")
        assert "x-goldpress-line: new" in answer
    finally:
        account.ec2.terminate_instances(InstanceIds=[instance])
    waited("its end", lambda: account.instance(instance)["State"]["Name"] == "terminated", 120)
    assert not process.is_running(qemu)
    # It followed its power button: nothing had to be killed.
    (machine,) = [m for m in bench.cloud.ask("instances") if m["instance"] == instance]
    assert machine["graceful"] is True
    late = account.ec2.get_console_output(InstanceId=instance, Latest=True)["Output"]
    assert "goldpress-identity" in late


def test_a_block_that_changed_in_the_cloud_is_named(bench: Bench) -> None:
    document = bench.ws.store.get_document("ami", bench.row["document"])
    blocks = bench.ws.store.get_document("blocks", document["blocks"])["blocks"]
    index, expected = sorted(blocks)[len(blocks) // 2]
    place = {"snapshot": bench.row["ebs_snapshot"], "index": index}
    bench.cloud.ask("corrupt", place)
    done = bench.inv("publish", "--sandbox", "--audit")
    bench.cloud.ask("corrupt", place)  # as it was
    assert done.returncode == 1
    (row,) = json.loads(done.text)
    assert (row["state"], row["evidence"]) == ("FAILED", "")
    assert f"block {index}: expected {expected}, found " in row["error"]
    assert "error: 1 of 1 regions failed:\n  us-east-1: snap-" in done.stderr.decode()


def test_no_credential_is_written_or_said(bench: Bench) -> None:
    files = [
        Path(folder) / name
        for folder, _, names in os.walk(bench.ws.build)
        for name in names
        if not (Path(folder) / name).is_symlink() and (Path(folder) / name).is_file()
    ]
    kinds = {path.relative_to(bench.ws.build).parts[0] for path in files}
    assert {"cloud", "machines", "publish", "store"} <= kinds
    assert any("journals" in path.parts for path in files)
    for path in files:
        data = path.read_bytes()
        assert SECRET.encode() not in data, path
        assert PERSON["AWS_ACCESS_KEY_ID"].encode() not in data, path
    assert SECRET not in "".join(bench.said)
