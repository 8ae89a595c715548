"""What is wrong stops the press, with a clear message and nothing half-made; on real products."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import pytest
from pressing import PROJECT, booted_directly, sandbox_press, variant

from goldpress.build import promises
from goldpress.errors import BuildError, GoldpressError, MachineError, TrustError
from goldpress.lock import Lock
from goldpress.machine import accel, qemu, ready
from goldpress.press import Press
from goldpress.verify.junit import judge
from goldpress.verify.suite import run_suite

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def press() -> Press:
    """The sandbox's press; its lock and pool are made if this is the first test."""
    return sandbox_press()


def with_pool_of_its_own(press: Press, build: Path) -> Press:
    """The same press on a copy of the pool, to spoil."""
    store = press.workspace.store.root
    shutil.copytree(store / "pool", build / "store/pool")
    return dataclasses.replace(press, workspace=dataclasses.replace(press.workspace, build=build))


def leftovers(build: Path) -> list[str]:
    return [p.name for p in (build / "stages").glob("*/*") if not p.name.startswith(".lock")]


def test_one_flipped_byte_in_the_pool(press: Press, tmp_path: Path) -> None:
    spoiled = with_pool_of_its_own(press, tmp_path / "build")
    package = next(p for p in press.lock.packages if p.name == "nginx-core")
    path = spoiled.workspace.store.package_path(package.sha256)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrustError, match=rf"{re.escape(package.nevra)}: sha256 is"):
        spoiled.press()
    assert leftovers(tmp_path / "build") == []


def test_a_package_that_is_not_in_the_pool(press: Press, tmp_path: Path) -> None:
    spoiled = with_pool_of_its_own(press, tmp_path / "build")
    package = press.lock.packages[3]
    spoiled.workspace.store.package_path(package.sha256).unlink()
    with pytest.raises(GoldpressError, match=r"not in the pool\n.*mirror.sync"):
        spoiled.press()
    assert leftovers(tmp_path / "build") == []


def test_a_lock_edited_by_hand(press: Press, tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    data = press.lock.to_json()
    path.write_bytes(data.replace(b'"name":"nginx-core"', b'"name":"nginx-kore"'))
    with pytest.raises(GoldpressError, match="edited by hand"):
        Lock.read(path)


def test_an_undefined_template_variable(press: Press, tmp_path: Path) -> None:
    text = "one\n{{ not_defined }}\n"
    broken = variant(press, tmp_path / "web", {"files/etc/motd.j2": text})
    with pytest.raises(BuildError, match=r"files/etc/motd\.j2:2: 'not_defined' is undefined"):
        broken.press()


def test_an_enabled_service_that_is_nowhere(press: Press, tmp_path: Path) -> None:
    text = (PROJECT / "images/web/image.yaml").read_text()
    text = text.replace("- nginx.service", "- ngnix.service")
    broken = variant(press, tmp_path / "web", {"image.yaml": text})
    with pytest.raises(BuildError, match=r"services\.enable: ngnix\.service is in no package"):
        broken.press()


def test_a_label_of_a_type_that_the_policy_lacks(press: Press, tmp_path: Path) -> None:
    text = '(filecon "/srv/x" any (system_u object_r no_such_t ((s0) (s0))))\n'
    broken = variant(press, tmp_path / "web", {"selinux/wrong.cil": text})
    with pytest.raises(GoldpressError, match=r"compile the SELinux policy: (.|\n)*wrong"):
        broken.press()


def test_a_baked_host_key(press: Press, tmp_path: Path) -> None:
    broken = variant(press, tmp_path / "web", {"files/opt/ssh_host_rsa_key": "secret"})
    with pytest.raises(BuildError, match="identity-no-baked-host-key: /opt/ssh_host_rsa_key"):
        broken.press()


UNIT = """\
[Unit]
Description=Fails on purpose
[Service]
Type=oneshot
ExecStart=/usr/bin/false
[Install]
WantedBy=multi-user.target
"""


def test_a_unit_that_fails_at_boot_fails_the_verification(press: Press, tmp_path: Path) -> None:
    text = (PROJECT / "images/web/image.yaml").read_text()
    text = text.replace("    - nginx.service", "    - broken.service\n    - nginx.service")
    files = {"image.yaml": text, "files/usr/lib/systemd/system/broken.service": UNIT}
    pressed = variant(press, tmp_path / "web", files).press()
    with booted_directly(pressed, tmp_path / "machine") as machine:
        status, report = run_suite(machine, suite=PROJECT / "verify", facts=promises(pressed))
    found = {c.control: c.message for c in judge(report, status).checks if c.outcome != "passed"}
    assert "broken.service" in found["boot-no-failed-unit"]
    assert "boot-state-running" in found
    assert "boot-uefi" in found  # and a direct boot is told from a real one


def test_a_kernel_that_never_comes_up(press: Press, tmp_path: Path) -> None:
    disk = press.press().disk
    empty = tmp_path / "initrd"
    empty.write_bytes(bytes(512))
    elsewhere = disk.command_line.replace(disk.root_hash, "0" * 64)
    kernel = qemu.Kernel(kernel=disk.kernel, initrd=empty, command_line=elsewhere)
    found = accel.choose(disk.kernel, cache=tmp_path / "accelerator.json")
    machine = qemu.boot(
        disk.raw, directory=tmp_path / "machine", accelerator=found.name, kernel=kernel
    )
    with qemu.halting(machine), pytest.raises(MachineError) as caught:
        ready.wait_ready(machine, 120)
    assert "Kernel panic" in str(caught.value)
    assert "VFS: Unable to mount root fs" in str(caught.value)
