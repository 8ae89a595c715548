from __future__ import annotations

from pathlib import Path

import pytest
from machine_doubles import FINGERPRINT, fake_tools, machine_in

from goldpress.errors import CommandError, MachineError
from goldpress.machine import ssh


def scan_line(public_line: str) -> str:
    return f"[127.0.0.1]:2222 {' '.join(public_line.split()[:2])}"


def test_a_login_key_is_made(tmp_path: Path) -> None:
    line = ssh.make_login_key(tmp_path / "key", comment="goldpress-1")
    assert line.startswith("ssh-ed25519 ")
    assert line.endswith(" goldpress-1")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_cannot_be_written_says_which(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"making the login key .*/absent/key: exit status"):
        ssh.make_login_key(tmp_path / "absent" / "key", comment="x")


def test_the_machine_is_pinned_by_the_announced_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_in(tmp_path / "m")
    line = ssh.make_login_key(tmp_path / "host", comment="host")
    fake_tools(tmp_path, monkeypatch)("ssh-keyscan", f"echo '# banner'; echo '{scan_line(line)}'")
    assert ssh.pin(machine, ssh.fingerprint(line.split()[1])) is True
    assert machine.known_hosts.read_text() == scan_line(line) + "\n"


def test_another_host_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_in(tmp_path / "m")
    line = ssh.make_login_key(tmp_path / "host", comment="host")
    fake_tools(tmp_path, monkeypatch)("ssh-keyscan", f"echo '{scan_line(line)}'")
    with pytest.raises(MachineError) as caught:
        ssh.pin(machine, FINGERPRINT)
    found = ssh.fingerprint(line.split()[1])
    assert caught.value.message == (
        f"127.0.0.1:2222 answers with the host key {found}, but the console announced {FINGERPRINT}"
    )
    assert "is not the machine that was started" in caught.value.hint
    assert not machine.known_hosts.exists()


def test_a_second_key_beside_the_right_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_in(tmp_path / "m")
    lines = [ssh.make_login_key(tmp_path / name, comment=name) for name in ("one", "two")]
    script = "; ".join(f"echo '{scan_line(line)}'" for line in lines)
    fake_tools(tmp_path, monkeypatch)("ssh-keyscan", script)
    with pytest.raises(MachineError, match="but the console announced"):
        ssh.pin(machine, ssh.fingerprint(lines[0].split()[1]))


def test_silence_is_no_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_in(tmp_path / "m")
    calls = fake_tools(tmp_path, monkeypatch)("ssh-keyscan", "exit 1")
    assert ssh.pin(machine, FINGERPRINT) is False
    assert not machine.known_hosts.exists()
    assert calls.read_text().strip() == "-T 5 -t ed25519 -p 2222 127.0.0.1"


def test_the_fingerprint_is_what_ssh_keygen_prints() -> None:
    # Reference from `ssh-keygen -l` on this very key.
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIKUKHZ+WzE1Y5JxLz5eIPVH2ddflIu9p9l/paRgTwY31"
    assert ssh.fingerprint(blob) == "SHA256:vI73S8jxpaMkTZCvYb1nsYOZUgV5P9lxB/jQhMKaFjA"


def test_a_damaged_key_has_no_fingerprint() -> None:
    with pytest.raises(MachineError, match=r"not a public key: \?\?\?"):
        ssh.fingerprint("???")


def test_the_configuration_trusts_the_pinned_key_only(tmp_path: Path) -> None:
    text = ssh.configuration(machine_in(tmp_path / "m"))
    rows = [row.strip() for row in text.splitlines()]
    for wanted in (
        "StrictHostKeyChecking yes",
        "IdentitiesOnly yes",
        "IdentityAgent none",
        "GlobalKnownHostsFile none",
        "User ec2-user",
        "Port 2222",
        f'UserKnownHostsFile "{tmp_path}/m/known_hosts"',
    ):
        assert wanted in rows


def test_a_command_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_in(tmp_path / "m")
    calls = fake_tools(tmp_path, monkeypatch)("ssh", "echo hello")
    assert ssh.execute(machine, "uname", "-a").text == "hello\n"
    assert calls.read_text().strip() == f"-F {machine.ssh_config} machine -- uname -a"


def test_a_failing_command_names_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_in(tmp_path / "m")
    fake_tools(tmp_path, monkeypatch)("ssh", "echo no route >&2; exit 255")
    with pytest.raises(CommandError, match=r"`id` on 127\.0\.0\.1: exit status 255\n.*no route"):
        ssh.execute(machine, "id")
