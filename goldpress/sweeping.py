"""Owns the sweep: what killed commands have left in the cloud is found by journals, and removed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from goldpress import progress
from goldpress.aws.client import Access
from goldpress.aws.ec2 import Images
from goldpress.aws.instances import Instances
from goldpress.aws.sts import caller
from goldpress.errors import CloudError
from goldpress.machine import launch
from goldpress.publish.region import PREFIX
from goldpress.store.journal import Journal, journals
from goldpress.workspace import Workspace

#: An upload that nobody went on with for so long is given up.
UPLOAD_SECONDS = 24 * 3600


def sweep(
    ws: Workspace, *, endpoint: str = "", every: bool = False, now: float | None = None
) -> list[dict[str, Any]]:
    """End instances and delete EBS snapshots that nobody waits for; returns what was removed.

    With `every`, kept instances and uploads of today too. Raises CloudError after the last one
    when something could not be removed.
    """
    moment = time.time() if now is None else now
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for journal in launch.left(ws.store.objects, every=every, now=moment):
        account, region = launch.place_of(journal)
        access = _access(journal, endpoint)
        if not _is_here(access, journal, account, region):
            continue
        try:
            ended = launch.end(Instances.at(access, region), journal)
            rows.append({"region": region, "removed": ended})
        except CloudError as error:
            failed.append(f"{journal.key}: {error}")
    for journal in _uploads(ws, every=every, now=moment):
        account, region, _ = journal.key.removeprefix(PREFIX).split("/")
        access = _access(journal, endpoint)
        if not _is_here(access, journal, account, region):
            continue
        try:
            snapshot = journal.values["snapshot"]
            Images.at(access, region).delete_snapshot(snapshot)
            journal.write(
                generation=journal.values["generation"] + 1,
                request=None, snapshot=None, begun=None, sealing=None, sealed=None,
            )  # fmt: skip
            rows.append({"region": region, "removed": [snapshot]})
        except CloudError as error:
            failed.append(f"{journal.key}: {error}")
    if failed:
        raise CloudError("not everything could be removed:\n  " + "\n  ".join(failed))
    return rows


def _uploads(ws: Workspace, *, every: bool, now: float) -> Iterator[Journal]:
    """The publications with an EBS snapshot, but without an AMI, that nobody went on with."""
    for journal in journals(ws.store.objects, PREFIX):
        values = journal.values
        if "snapshot" not in values or "ami" in values:
            continue
        if every or now - values.get("begun", 0) > UPLOAD_SECONDS:
            yield journal


def _access(journal: Journal, endpoint: str) -> Access:
    return Access(endpoint=endpoint) if endpoint else Access(role=journal.values.get("role", ""))


def _is_here(access: Access, journal: Journal, account: str, region: str) -> bool:
    """Whether it is in the cloud and account that is called now."""
    if bool(journal.values.get("emulated")) != access.emulated:
        return False
    found = caller(access, region).account
    if found != account:
        progress.note(f"{journal.key} is of account {account}; the credentials are of {found}")
    return found == account
