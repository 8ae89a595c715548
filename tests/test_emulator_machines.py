"""Instances that are QEMU: EC2's answers follow the machine. `test_real_publish` boots an image."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

import pytest
from clouds import BLOCK, Account, qemu_of, refused, waited
from emulated import Emulator

from goldpress import cloud
from goldpress.machine import process
from goldpress.workspace import workspace

pytestmark = pytest.mark.real


def test_ec2_follows_the_machine(account: Account, emulator: Emulator) -> None:
    """A disk that cannot boot: never ok, impaired in the end; when QEMU ends, it has stopped."""
    emulator.ask("settings", {"driver": "qemu", "most_machines": 2})
    image_id = account.register(account.made({0: b"x" * BLOCK}))
    first, second = (account.run(image_id)["InstanceId"] for _ in range(2))
    assert len({account.instance(name)["PrivateIpAddress"] for name in (first, second)}) == 2
    waited("running", lambda: account.status(first) == "initializing", 10)
    refused("UnsupportedOperation", account.ec2.reboot_instances, InstanceIds=[first])
    qemus = {m["instance"]: qemu_of(m) for m in emulator.ask("instances") if m["running"]}
    os.kill(qemus[first].pid, signal.SIGKILL)
    ended = waited(
        "stopped", lambda: account.instance(first)["State"]["Name"] == "stopped" and first, 10
    )
    reason = account.instance(ended)["StateReason"]
    assert reason["Code"] == "Client.InstanceInitiatedShutdown"
    emulator.ask("clock", {"advance": 601})
    assert account.status(second) == "impaired"
    # Nothing there listens to the power button: shutting down until the bound, then without power.
    emulator.ask("settings", {"power_off_seconds": 4.0})
    account.ec2.terminate_instances(InstanceIds=[first, second])
    emulator.ask("clock", {"advance": 60})
    assert account.instance(second)["State"]["Name"] == "shutting-down"
    assert process.is_running(qemus[second])
    waited("its end", lambda: account.instance(second)["State"]["Name"] == "terminated", 20)
    assert not process.is_running(qemus[second])
    graceful = {m["instance"]: m["graceful"] for m in emulator.ask("instances")}
    assert graceful[second] is False


def test_who_skips_the_shutdown_waits_for_nothing(account: Account, emulator: Emulator) -> None:
    """[M] TerminateInstances: SkipOsShutdown bypasses the graceful shutdown."""
    emulator.ask("settings", {"driver": "qemu", "most_machines": 1})
    image_id = account.register(account.made({0: b"x" * BLOCK}))
    instance = account.run(image_id)["InstanceId"]
    (machine,) = [m for m in emulator.ask("instances") if m["instance"] == instance]
    qemu = qemu_of(machine)
    account.ec2.terminate_instances(InstanceIds=[instance])
    assert process.is_running(qemu)
    # What shuts down has given its place back.
    other = account.run(image_id)["InstanceId"]
    account.ec2.terminate_instances(InstanceIds=[instance, other], SkipOsShutdown=True)
    assert not process.is_running(qemu)
    assert [m["running"] for m in emulator.ask("instances") if m["instance"] == other] == [False]


def test_a_cloud_ends_its_machines(tmp_path: Path, emulator: Emulator) -> None:
    ws = dataclasses.replace(workspace({}), build=tmp_path)
    one = cloud.up(ws, settings={"driver": "qemu"})
    try:
        account = Account(emulator=dataclasses.replace(emulator, url=one.url), id=cloud.ACCOUNT)
        account.run(account.register(account.made({0: b"x" * BLOCK})))
        (machine,) = one.ask("instances")
        assert cloud.status(ws)["machines"] == 1
        qemu = qemu_of(machine)
        assert process.is_running(qemu)
    finally:
        lost = cloud.down(ws)
    assert (lost["machines"], lost["places"][0]["instances"]) == (1, 1)
    assert not process.is_running(qemu)


def test_a_killed_clouds_machines_are_ended_by_the_next(tmp_path: Path, emulator: Emulator) -> None:
    ws = dataclasses.replace(workspace({}), build=tmp_path)
    one = cloud.up(ws, settings={"driver": "qemu"})
    try:
        account = Account(emulator=dataclasses.replace(emulator, url=one.url), id=cloud.ACCOUNT)
        account.run(account.register(account.made({0: b"x" * BLOCK})))
        (machine,) = one.ask("instances")
        os.kill(one.process.pid, signal.SIGKILL)
        waited("its end", lambda: cloud.running(ws) is None, 10)
        qemu = qemu_of(machine)
        assert process.is_running(qemu)
        cloud.up(ws)
        assert not process.is_running(qemu)
    finally:
        cloud.down(ws)


def test_a_machine_that_cannot_start_is_the_instances_fate(
    account: Account, emulator: Emulator
) -> None:
    """As on EC2, where RunInstances succeeds and the instance is terminated right away."""
    emulator.ask("settings", {"driver": "qemu", "memory_mib": 10**9})
    image_id = account.register(account.made({0: b"x" * BLOCK}))
    found = account.instance(account.run(image_id)["InstanceId"])
    assert found["State"]["Name"] == "terminated"
    assert found["StateReason"]["Code"] == "Server.InternalError"
    assert "QEMU did not start" in found["StateReason"]["Message"]
