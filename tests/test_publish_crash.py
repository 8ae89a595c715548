"""A publication, killed at any moment and run again: one AMI, one EBS snapshot, its disk."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess  # noqa: TID251 - what is killed is a process of its own
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from emulated import Emulator
from publications import block, make_disk, manifest_of, publication, settings_of
from publishing_child import REGIONS

from goldpress.aws.client import Access
from goldpress.manifest import ImageManifest
from goldpress.publish.audit import audit

CHILD = Path(__file__).with_name("publishing_child.py")
KILLS = 40
#: Blocks of a disk of 64 MiB, and of one for every run; three of four hold data.
WHOLE, SMALL = 128, 32


class Nursery:
    """Publications, one after the other, each a process that can be killed."""

    def __init__(self, process: subprocess.Popen[bytes], cloud: Emulator) -> None:
        self.process = process
        self.cloud = cloud

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def run(self, job: dict[str, Any], *, kill_after: float | None) -> tuple[int, float]:
        """(exit status, seconds); killed after so many seconds if it still runs then."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        began = time.monotonic()
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        pid = int(self.line())
        # Nothing is buffered: what can be read is the status of a child that has ended.
        if (
            kill_after is not None
            and not select.select([self.process.stdout], [], [], kill_after)[0]
        ):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return int(self.line()), time.monotonic() - began


@pytest.fixture
def nursery(emulator: Emulator) -> Iterator[Nursery]:
    settings = json.dumps({"complete_seconds": 0.1}).encode()
    urllib3.request("POST", f"{emulator.url}/_goldpress/settings", body=settings)
    with subprocess.Popen(
        [sys.executable, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
        bufsize=0,
    ) as process:
        made = Nursery(process, emulator)
        assert made.line() == "ready"
        yield made
        process.kill()


def job_of(work: Path, number: int, count: int) -> tuple[dict[str, Any], ImageManifest, Path]:
    work.mkdir()
    filled = {i: block(f"{number} {i}") for i in range(count) if i % 4}
    raw = make_disk(work / "raw", filled, count=count)
    manifest = manifest_of(raw)
    job = {
        "work": str(work),
        "raw": str(raw),
        "manifest": manifest.to_document(),
        "regions": list(REGIONS),
    }
    return job, manifest, raw


def check(work: Path, manifest: ImageManifest, raw: Path) -> None:
    """In each region one AMI and one EBS snapshot of this image, which hold the disk."""
    settings = settings_of(regions={name: {} for name in REGIONS})
    for region in REGIONS:
        client = Access().client("ec2", region)
        named = [{"Name": "name", "Values": [f"{manifest.name}/*"]}]
        (image,) = client.describe_images(Owners=["self"], Filters=named)["Images"]
        tagged = [{"Name": "tag:goldpress:name", "Values": [manifest.name]}]
        (snapshot,) = client.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]
        disk = image["BlockDeviceMappings"][0]["Ebs"]
        assert disk["SnapshotId"] == snapshot["SnapshotId"]
        assert (image["State"], snapshot["State"]) == ("available", "completed")
        made = publication(work, raw, manifest=manifest, settings=settings, region=region)
        audit(made.blocks, snapshot["SnapshotId"], made.index)


def killed(nursery: Nursery, tmp_path: Path, kills: int, *, blocks: int = WHOLE) -> int:
    """Publish and kill at random moments, several times a disk; how often it was really killed."""
    chance = random.Random(20)  # noqa: S311 - moments of a test
    job, manifest, raw = job_of(tmp_path / "whole", 0, blocks)
    status, whole = nursery.run(job, kill_after=None)
    assert status == 0
    check(tmp_path / "whole", manifest, raw)
    count, number = 0, 0
    while count < kills:
        number += 1
        job, manifest, raw = job_of(tmp_path / str(number), number, blocks)
        # Each time it goes on from there: moments from its whole length, until it is done.
        for attempt in range(4):
            status, seconds = nursery.run(job, kill_after=chance.uniform(0, whole))
            if status == 0:
                # The first one of all took longer: everything was new to the cloud.
                whole = min(whole, seconds) if attempt == 0 else whole
                break
            assert status == -signal.SIGKILL
            count += 1
        status, _ = nursery.run(job, kill_after=None)
        assert status == 0
        check(tmp_path / str(number), manifest, raw)
    return count


def test_killed_at_some_moments(nursery: Nursery, tmp_path: Path) -> None:
    assert killed(nursery, tmp_path, 4, blocks=SMALL) >= 4


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_killed_at_forty_moments(nursery: Nursery, tmp_path: Path) -> None:
    assert killed(nursery, tmp_path, KILLS) >= KILLS


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (400, {"ebs": "RequestThrottledException", "ec2": "RequestLimitExceeded"}),
        (500, {"ebs": "InternalServerException", "ec2": "InternalError"}),
    ],
)
def test_killed_while_a_fifth_of_all_calls_fails(
    nursery: Nursery, tmp_path: Path, status: int, codes: dict[str, str]
) -> None:
    nursery.cloud.fail(
        *(
            {"service": name, "status": status, "code": code, "rate": 0.2, "times": 0}
            for name, code in codes.items()
        )
    )
    assert killed(nursery, tmp_path, 6) >= 6
    assert min(nursery.cloud.used()) > 10
