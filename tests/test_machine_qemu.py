from __future__ import annotations

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from machine_doubles import fake_tools, machine_in

from goldpress.errors import CommandError, MachineError, MissingError
from goldpress.host.run import run
from goldpress.machine import process, qemu, record
from goldpress.machine.address import Endpoint
from goldpress.machine.instance import Instance

UUID = "11111111-2222-3333-4444-555555555555"
ENDPOINT = Endpoint(address="127.70.1.2", ssh_port=22, http_port=8080)
# A QEMU that goes to the background, writes its pid file and notes that it runs.
DAEMON = """
while [ $# -gt 0 ]; do [ "$1" = -pidfile ] && pid="$2"; shift; done
sleep 300 </dev/null >/dev/null 2>&1 &
echo $! >"$pid"
"""


def argv(**changes: object) -> list[str]:
    given: dict[str, object] = {
        "directory": Path("/m"),
        "uuid": UUID,
        "endpoint": ENDPOINT,
        "sockets": Path("/run/s"),
        "accelerator": "tcg",
        **changes,
    }
    return qemu.boot_argv(**given)  # type: ignore[arg-type]


def option(line: list[str], name: str) -> list[str]:
    return [line[i + 1] for i, word in enumerate(line) if word == name]


def test_uefi_boots_the_overlay_with_its_own_variables() -> None:
    line = argv()
    drives = option(line, "-drive")
    assert any("file=/m/disk.qcow2" in d and "format=qcow2" in d for d in drives)
    assert any("readonly=on" in d and "OVMF_CODE_4M.fd" in d for d in drives)
    assert any("unit=1,file=/m/efivars.fd" in d for d in drives)
    assert "nvme,drive=root,serial=11111111222233334444,bootindex=0" in line
    assert option(line, "-uuid") == [UUID]
    assert option(line, "-accel") == ["tcg,thread=multi"]
    assert option(line, "-cpu") == ["max"]
    assert option(line, "-serial") == ["file:/m/console.log"]
    assert "-kernel" not in line


def test_direct_boot_needs_no_firmware() -> None:
    kernel = qemu.Kernel(kernel=Path("/k"), initrd=Path("/i"), command_line="root=PARTUUID=1 ro")
    line = argv(kernel=kernel)
    assert option(line, "-kernel") == ["/k"]
    assert option(line, "-initrd") == ["/i"]
    assert option(line, "-append") == ["root=PARTUUID=1 ro"]
    assert not any("OVMF" in word for word in line)
    assert "-initrd" not in argv(kernel=replace(kernel, initrd=None))


def test_the_monitor_is_among_the_machines_sockets() -> None:
    assert option(argv(), "-qmp") == ["unix:/run/s/qmp,server=on,wait=off"]


def test_kvm_uses_the_hosts_processor() -> None:
    line = argv(accelerator="kvm")
    assert (option(line, "-accel"), option(line, "-cpu")) == (["kvm"], ["host"])


def test_an_unknown_accelerator_is_refused() -> None:
    with pytest.raises(MachineError, match="unknown accelerator 'hvf': it is `kvm` or `tcg`"):
        argv(accelerator="hvf")


def test_the_network_leads_to_the_metadata_service_and_nowhere_else() -> None:
    (net,) = option(argv(), "-netdev")
    assert net.startswith("user,id=net,restrict=on,ipv6=off,net=169.254.0.0/16,")
    assert "hostfwd=tcp:127.70.1.2:22-:22" in net
    assert "hostfwd=tcp:127.70.1.2:8080-:80" in net
    services = {
        "169.254.169.254": ["imds", "instance.json"],
        "169.254.0.19": ["loghost", "journal.export"],
    }
    assert net.count("guestfwd=") == len(services)
    for address, (module, file) in services.items():
        command = net.partition(f"guestfwd=tcp:{address}:80-cmd:")[2].partition(",")[0]
        assert shlex.split(command)[1:3] == ["-I", "-S"]
        assert shlex.split(command)[3].endswith(f"/goldpress/machine/{module}.py")
        assert shlex.split(command)[4] == f"/m/{file}"


def test_commas_and_spaces_in_a_path_survive() -> None:
    line = argv(directory=Path("/a,b c"))
    (net,) = option(line, "-netdev")
    assert "'/a,,b c/instance.json'" in net
    assert option(line, "-serial") == ["file:/a,,b c/console.log"]


def test_each_machine_has_its_own_hardware_address() -> None:
    assert qemu.mac_address(UUID) == "06:55:55:55:55:55"
    assert qemu.mac_address(UUID[:-1] + "6") == "06:55:55:55:55:56"


@pytest.fixture
def ovmf(tmp_path: Path) -> Path:
    folder = tmp_path / "ovmf"
    folder.mkdir()
    for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"):
        (folder / name).write_bytes(b"firmware")
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


def test_boot_and_halt_from_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", DAEMON)
    instance = Instance(instance_id="i-1", public_keys={"mine": "ssh-ed25519 AAAA me"})
    folder = tmp_path / "m"
    machine = qemu.boot(
        disk, directory=folder, accelerator="tcg", instance=instance, size_bytes=2 << 20, ovmf=ovmf
    )
    assert process.is_running(machine.process)
    assert record.load(folder) == machine
    assert machine.firmware == "uefi"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "efivars.fd").read_bytes() == b"firmware"
    info = run(["qemu-img", "info", "--output", "json", str(folder / "disk.qcow2")]).text
    assert f'"full-backing-filename": "{disk}"' in info
    assert '"virtual-size": 2097152' in info
    served = machine.instance.read_text()
    assert served.index("goldpress-") < served.index("ssh-ed25519 AAAA me")

    assert qemu.halt(record.load(folder)) is True
    assert not process.is_running(machine.process)
    assert not machine.sockets.exists()
    assert not (folder / "disk.qcow2").exists()
    assert qemu.halt(machine) is False
    assert disk.read_bytes() == bytes(1 << 20)


def test_only_the_instances_own_key_lets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    """An EC2 instance has its key pair's key at index 0, and no other."""
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", DAEMON)
    instance = Instance(instance_id="i-1", public_keys={"mine": "ssh-ed25519 AAAA me"})
    machine = qemu.boot(
        disk, directory=tmp_path / "m", accelerator="tcg", instance=instance, own_key=False,
        ovmf=ovmf,
    )  # fmt: skip
    with qemu.halting(machine):
        keys = json.loads(machine.instance.read_text())["tree"]["latest"]["meta-data"][
            "public-keys"
        ]
        assert keys == {"0": {"name": "mine", "openssh-key": "ssh-ed25519 AAAA me"}}


def test_machines_side_by_side_have_different_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", DAEMON)
    machines = [
        qemu.boot(disk, directory=tmp_path / name, accelerator="tcg", ovmf=ovmf) for name in "abc"
    ]
    try:
        assert len({m.address for m in machines}) == 3
        assert len({m.uuid for m in machines}) == 3
    finally:
        for machine in machines:
            qemu.halt(machine)


def test_the_machine_is_halted_whatever_ends_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", DAEMON)
    machine = qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)
    with pytest.raises(KeyboardInterrupt), qemu.halting(machine):
        raise KeyboardInterrupt
    assert not process.is_running(machine.process)


def test_a_qemu_that_does_not_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", "echo Could not set up >&2; exit 1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(MachineError, match=r"QEMU did not start in .*/m: .*\n.*Could not set up"):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)
    assert not list(tmp_path.glob("goldpress-????????"))


def test_what_was_started_is_ended_when_its_record_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    # The command line names the pid file, as QEMU's does: that is how it is recognised.
    script = DAEMON.replace("sleep 300", "sh -c 'sleep 300; :' sh -pidfile \"$pid\"")
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", script)

    def interrupted(_machine: record.Machine) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)
    pid = int((tmp_path / "m" / "qemu.pid").read_text())
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_foreign_process_under_the_noted_pid_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "qemu.pid").write_text(str(os.getpid()))
    qemu.abandon(tmp_path)
    assert process.is_running(process.identify(os.getpid()))


@pytest.mark.parametrize("gone", ["disk.raw", "ovmf/OVMF_CODE_4M.fd", "ovmf/OVMF_VARS_4M.fd"])
def test_a_missing_file_is_named(tmp_path: Path, disk: Path, ovmf: Path, gone: str) -> None:
    (tmp_path / gone).unlink()
    with pytest.raises(MissingError, match=rf"there is no .*/{gone}\n.*inv setup"):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)
    assert not (tmp_path / "m").exists()


def test_a_missing_kernel_is_named(tmp_path: Path, disk: Path) -> None:
    kernel = qemu.Kernel(kernel=tmp_path / "vmlinuz", initrd=None, command_line="")
    with pytest.raises(MissingError, match=r"there is no .*/vmlinuz"):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", kernel=kernel)


def test_a_directory_is_used_once(tmp_path: Path, disk: Path, ovmf: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(MachineError, match=r"/m is there already\n.*new for each boot"):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)


def test_halt_spares_a_process_that_took_over_the_pid(tmp_path: Path) -> None:
    mine = process.identify(os.getpid())
    machine = machine_in(tmp_path / "m", owner=replace(mine, start_ticks=mine.start_ticks - 1))
    assert qemu.halt(machine) is False
    assert process.is_running(mine)


def test_a_bad_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, ovmf: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-img", "echo no space >&2; exit 1")
    with pytest.raises(CommandError, match=r"making the overlay of .*/disk\.raw: exit status 1"):
        qemu.boot(disk, directory=tmp_path / "m", accelerator="tcg", ovmf=ovmf)
