"""Owns launches: an instance of an AMI with its key and its security group, and their end.

The journal of a launch is written before anything is made and removed after everything has ended,
so whatever a killed command leaves is known: `sweep` ends it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.aws.instances import Instances, Launch, Launchable
from goldpress.errors import CloudError, MachineError
from goldpress.machine import process, ssh
from goldpress.machine.process import Process
from goldpress.store import Objects
from goldpress.store.journal import Journal, journals

PREFIX = "journals/launch/"
HOUR = 3600
#: After so long, a launch whose owner cannot be asked (on another machine) is taken for dead.
FORGOTTEN_SECONDS = 3 * HOUR


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to launch, and how it is reached: `direct`, `in-vpc` or `eice` (see publish.yaml)."""

    ami: str
    image: str
    account: str
    region: str
    root_device: str
    volume_gib: int
    instance_type: str
    subnet: str
    reach: str
    from_cidr: str
    boot_seconds: int
    keep_hours: int
    emulated: bool
    role: str = ""


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A launch that began: its journal, the instance's id, and when it was asked for."""

    plan: Plan
    journal: Journal
    instance: str
    started: float


def begin(
    instances: Instances,
    plan: Plan,
    *,
    objects: Objects,
    directory: Path,
    caller_cidr: Callable[[], str],
    now: Callable[[], float] = time.time,
    name: str = "",
    wanted: Callable[[str, str], Launchable] | None = None,
) -> Launched:
    """Launch an instance with a key of its own in `directory`. Raises CloudError, CommandError.

    `name` is what everything of it is called; `wanted` makes of that name and the id of its
    security group what to launch, where that is not the plan's AMI. What was made until an error is
    ended again; what cannot be ended stays in the journal.
    """
    name = name or f"goldpress-{secrets.token_hex(6)}"
    directory.mkdir(mode=0o700, parents=True)
    public = ssh.make_login_key(directory / "login_key", comment=name)
    journal = Journal(objects=objects, key=journal_key(plan.account, plan.region, name))
    owner = asdict(process.identify(os.getpid()))
    journal.write(
        name=name, ami=plan.ami, begun=int(now()), owner=owner, emulated=plan.emulated,
        role=plan.role,
    )  # fmt: skip
    try:
        vpc, own_range = instances.network(plan.subnet)
        cidr = plan.from_cidr or (caller_cidr() if plan.reach == "direct" else own_range)
        instances.add_key(name, public)
        group = instances.add_group(name, vpc=vpc, cidr=cidr)
        launch: Launchable = (
            wanted(name, group)
            if wanted
            else Launch(
                token=name,
                ami=plan.ami,
                instance_type=plan.instance_type,
                key=name,
                group=group,
                subnet=plan.subnet,
                root_device=plan.root_device,
                volume_gib=plan.volume_gib,
                public=plan.reach == "direct" and not plan.emulated,
                tags={"Name": name, "goldpress:image": plan.image},
            )
        )
        started = now()
        instance = instances.launch(launch)
        journal.write(instance=instance)
    except BaseException as error:
        abandon(instances, journal, error)
        raise
    return Launched(plan=plan, journal=journal, instance=instance, started=started)


def journal_key(account: str, region: str, name: str) -> str:
    """The key of a launch's journal."""
    return f"{PREFIX}{account}/{region}/{name}.json"


def end(instances: Instances, journal: Journal) -> list[str]:
    """Terminate what a launch made, and remove its key and group; returns what was ended.

    Raises CloudError; the journal then stays.
    """
    values = journal.values
    name = str(values["name"])
    running = {row.id for row in instances.of_token(name)}
    ended = sorted(running | ({values["instance"]} if "instance" in values else set()))
    for instance in ended:
        instances.terminate(instance)
    instances.remove_group(name)
    instances.remove_key(name)
    journal.clear()
    return [*ended, name]


def abandon(instances: Instances, journal: Journal, error: BaseException) -> None:
    """End a launch because of `error`, which stays the one to be told."""
    try:
        end(instances, journal)
    except CloudError as second:
        error.add_note(f"{journal.values.get('instance', 'its key')} stays: {second}")
        option = " --sandbox" if journal.values.get("emulated") else ""
        name = journal.values["name"]
        progress.note(f"{name} is not ended: {second}; run `./inv sweep{option}`")


def keep(launched: Launched, *, now: Callable[[], float] = time.time) -> None:
    """Leave the instance running for the plan's hours; a sweep then ends it."""
    hours = launched.plan.keep_hours
    option = " --sandbox" if launched.plan.emulated else ""
    launched.journal.write(kept_until=int(now()) + hours * HOUR)
    progress.note(
        f"{launched.instance} in {launched.plan.region} is kept for {hours} hours; "
        f"`./inv sweep --all{option}` ends it now, `./inv sweep{option}` when they are over"
    )


def left(objects: Objects, *, every: bool, now: float) -> Iterator[Journal]:
    """The launches that nobody waits for any more; with `every`, the kept ones too."""
    for journal in journals(objects, PREFIX):
        if is_left(journal.values, every=every, now=now):
            yield journal


def is_left(values: Mapping[str, Any], *, every: bool, now: float) -> bool:
    """Whether a launch is over: its time, or the process that began it, has ended."""
    if "kept_until" in values:
        return every or now >= values["kept_until"]
    owner = Process(**values["owner"])
    if owner.boot_id == process.boot_id():
        return not process.is_running(owner)
    return bool(now - values["begun"] > FORGOTTEN_SECONDS)


def place_of(journal: Journal) -> tuple[str, str]:
    """(account, region) of a launch. Raises MachineError for a journal of another form."""
    parts = journal.key.removeprefix(PREFIX).split("/")
    if len(parts) != 3:  # noqa: PLR2004
        raise MachineError(f"{journal.key}: not the journal of a launch")
    return parts[0], parts[1]
