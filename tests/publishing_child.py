"""Owns publications as processes of their own, to be killed: ``python publishing_child.py``.

A nursery has everything imported and forks a child for each line of JSON on its stdin; it answers
with the child's pid, and with its exit status when it has ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [os.fspath(PROJECT), os.fspath(PROJECT / "tests")]

from publications import publication, settings_of  # noqa: E402 - the path comes first

from goldpress.aws import ec2  # noqa: E402 - as above
from goldpress.aws.client import Access  # noqa: E402 - as above
from goldpress.manifest import parse_manifest  # noqa: E402 - as above
from goldpress.publish.upload import WORKERS  # noqa: E402 - as above

REGIONS = ("us-east-1", "eu-west-1")


def publish(job: dict[str, Any]) -> None:
    """Publish the disk to each region, one after the other."""
    regions: dict[str, Any] = {name: {} for name in job["regions"]}
    for region in job["regions"]:
        publication(
            Path(job["work"]),
            Path(job["raw"]),
            manifest=parse_manifest(job["manifest"]),
            settings=settings_of(regions=regions),
            region=region,
        ).publish()


def main() -> None:
    ec2.POLL_SECONDS = 0.05
    # Each child has them from here: to make them would take longer than all that may be killed.
    for region in REGIONS:
        Access().client("ec2", region)
        Access().client("ebs", region, connections=WORKERS)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                publish(json.loads(line))
            except BaseException:  # noqa: BLE001 - the exit status tells
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
