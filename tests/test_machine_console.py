from __future__ import annotations

from pathlib import Path

import pytest
from machine_doubles import FINGERPRINT

from goldpress.machine.console import Console, report

LINE = f"goldpress-identity: ssh-host-key ssh-ed25519 {FINGERPRINT}\r\n"


def console_of(tmp_path: Path, text: str) -> Console:
    path = tmp_path / "console.log"
    path.write_bytes(text.encode())
    console = Console(path=path)
    console.update()
    return console


def test_the_fingerprint_is_found_behind_terminal_codes(tmp_path: Path) -> None:
    console = console_of(tmp_path, f"\x1b[2J\x1b[0;1;31mnoise\x1b[0m\n[   3.1] sh[1]: {LINE}more\n")
    assert console.fingerprint() == FINGERPRINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        LINE.rstrip(),
        LINE.replace("A\r", "\r"),
        LINE.replace("ed25519", "rsa"),
        LINE.replace("A\r", "AA\r"),
    ],
)
def test_a_line_that_is_unfinished_or_damaged_is_no_fingerprint(tmp_path: Path, text: str) -> None:
    assert console_of(tmp_path, text).fingerprint() is None


def test_it_is_read_as_it_grows(tmp_path: Path) -> None:
    console = console_of(tmp_path, LINE[:30])
    assert console.fingerprint() is None
    with console.path.open("a") as stream:
        stream.write(LINE[30:])
    console.update()
    assert console.fingerprint() == FINGERPRINT


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            "[    2.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n",
            "the kernel panicked: [    2.0] Kernel panic - not syncing: VFS: Unable to",
        ),
        ("UEFI Interactive Shell v2.2\n\x1b[1mShell> ", "the firmware found nothing to boot and"),
        ("BdsDxe: No bootable option or device was found.\n", "the firmware found nothing to boot"),
        (
            "dracut-initqueue[262]: Warning: dracut-initqueue timeout - starting timeout scripts\n",
            "the initrd did not find the root file system",
        ),
        (
            "[   14.7] device-mapper: verity: 259:2: metadata block 1 is corrupted\n",
            "the root's hash tree does not match its root hash: [   14.7] device-mapper",
        ),
        (
            "[DEPEND] Dependency failed for \x1b[0;1;39msysroot.mount\x1b[0m - /sysroot.\n",
            "the root cannot be mounted: [DEPEND] Dependency failed for sysroot.mount - /sysroot.",
        ),
        ("Entering emergency mode. Exit the shell to continue.\n", "it is in emergency mode"),
        ("You are in emergency mode. After logging in\n", "it is in emergency mode"),
    ],
)
def test_a_failed_boot_is_recognised(tmp_path: Path, text: str, meaning: str) -> None:
    reason = console_of(tmp_path, text).fatal()
    assert reason is not None
    assert reason.startswith(meaning)


def test_a_good_boot_is_not_fatal(tmp_path: Path) -> None:
    text = "device-mapper: verity: 259:2: data block 7 is corrupted\n"
    text += "Linux version 5.14\n[  OK  ] Reached target Multi-User System.\n" + LINE + "login: "
    assert console_of(tmp_path, text).fatal() is None


def test_failed_units_are_named_once(tmp_path: Path) -> None:
    text = (
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mnginx.service\x1b[0m - Nginx.\n"
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mnginx.service\x1b[0m - Nginx.\n"
        "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mThe PHP Manager\x1b[0m.\r\n"
        "[  OK  ] Started sshd.service\n"
    )
    assert console_of(tmp_path, text).failed_units() == ["nginx.service", "The PHP Manager"]


def test_the_report_shows_units_last_lines_and_the_log(tmp_path: Path) -> None:
    rows = "".join(f"line {i}\n\n" for i in range(30))
    text = report(console_of(tmp_path, f"[FAILED] Failed to start nginx.service - x.\n{rows}"))
    assert text.startswith("failed units: nginx.service\n")
    assert "| line 29" in text
    assert "| line 15\n" in text
    assert "| line 14\n" not in text
    assert text.endswith(f"the whole console: {tmp_path / 'console.log'}")


def test_an_empty_console_says_so(tmp_path: Path) -> None:
    console = Console(path=tmp_path / "absent.log")
    console.update()
    assert "(the console is empty)" in report(console)


SHORTENED = (
    "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mgoldpress-…fingerprint on it.\n"
    "See 'systemctl status goldpress-hostkeys.service' for details.\n"
)


def test_a_shortened_unit_name_is_made_whole(tmp_path: Path) -> None:
    assert console_of(tmp_path, SHORTENED).failed_units() == ["goldpress-hostkeys.service"]


def test_without_identity_the_end_of_the_start_up_ends_the_wait(tmp_path: Path) -> None:
    console = console_of(tmp_path, f"{SHORTENED}localhost login: ")
    assert console.fatal() == "it has no identity: goldpress-hostkeys.service failed"
    assert console_of(tmp_path, SHORTENED).fatal() is None


def test_another_failed_unit_does_not_end_the_wait(tmp_path: Path) -> None:
    text = SHORTENED.replace("goldpress-", "nginx-")
    assert console_of(tmp_path, f"{text}localhost login: ").fatal() is None


def test_the_report_shows_denials(tmp_path: Path) -> None:
    rows = "".join(f"[ 4] audit: type=1400: avc:  denied  {{ x{i} }} for pid=1\n" for i in range(7))
    text = report(console_of(tmp_path, rows))
    assert "SELinux denials on the console: 7, the last:\n    | avc:  denied  { x2 } for" in text
