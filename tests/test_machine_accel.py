from __future__ import annotations

import json
from pathlib import Path

import pytest
from machine_doubles import fake_tools

from goldpress.errors import CommandError
from goldpress.machine import accel

BOOTED = "Linux version 6\nKernel panic - not syncing: VFS: Unable to mount root fs on x\n"
# Answers --version, else writes $1 into the file behind `-serial file:`.
FAKE = """
[ "$1" = --version ] && {{ echo "QEMU emulator version {version}"; exit 0; }}
for a in "$@"; do case "$a" in file:*) out="${{a#file:}}";; esac; done
printf '{text}' >"$out"
{ending}
"""


def script(text: str = BOOTED, *, ending: str = "exit 0", version: str = "7.2") -> str:
    return FAKE.format(text=text.replace("\n", "\\n"), ending=ending, version=version)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    return path


def test_kvm_where_a_kernel_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Path
) -> None:
    calls = fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", script())
    found = accel.probe(tmp_path / "vmlinuz", device=device)
    assert found == accel.Accelerator(name="kvm", reason="a kernel booted under KVM")
    assert "-accel kvm -cpu host" in calls.read_text()
    assert f"-kernel {tmp_path}/vmlinuz" in calls.read_text()


@pytest.mark.parametrize(
    ("text", "ending", "reason"),
    [
        ("", "exit 0", "no kernel message appeared; QEMU ended with 0"),
        (
            "",
            "echo 'error: failed to set MSR 0x10a' >&2; exit 134",
            "no kernel message appeared; QEMU ended with 134 (error: failed to set MSR 0x10a)",
        ),
        (
            "Linux version 6\n",
            "exec sleep 60",
            "the kernel started and stopped halfway; QEMU was stopped after 0.5 s",
        ),
        ("", "exec sleep 60", "no kernel message appeared; QEMU was stopped after 0.5 s"),
    ],
)
def test_tcg_where_none_did(  # noqa: PLR0917 - fixtures and one row of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: Path,
    text: str,
    ending: str,
    reason: str,
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", script(text, ending=ending))
    found = accel.probe(tmp_path / "vmlinuz", device=device, seconds=0.5)
    assert found.name == "tcg"
    assert found.reason == f"KVM does not work here: {reason}"


def test_no_device(tmp_path: Path) -> None:
    found = accel.probe(tmp_path / "vmlinuz", device=tmp_path / "absent")
    assert found.name == "tcg"
    assert found.reason == f"there is no {tmp_path}/absent"


def test_a_device_that_cannot_be_opened(tmp_path: Path) -> None:
    found = accel.probe(tmp_path / "vmlinuz", device=tmp_path)
    assert found.name == "tcg"
    assert "cannot be opened: Is a directory" in found.reason


def test_the_verdict_is_kept_for_this_boot_and_this_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Path
) -> None:
    add = fake_tools(tmp_path, monkeypatch)
    cache = tmp_path / "accelerator.json"

    def choose() -> str:
        return accel.choose(tmp_path / "vmlinuz", cache=cache, device=device).name

    add("qemu-system-x86_64", script())
    assert choose() == "kvm"
    add("qemu-system-x86_64", script(""))
    assert choose() == "kvm"
    add("qemu-system-x86_64", script("", version="8.0"))
    assert choose() == "tcg"
    add("qemu-system-x86_64", script(version="8.0"))
    value = json.loads(cache.read_text())
    value["key"]["boot_id"] = "an earlier boot"
    cache.write_text(json.dumps(value))
    assert choose() == "kvm"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 1}'])
def test_a_damaged_verdict_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Path, text: str
) -> None:
    fake_tools(tmp_path, monkeypatch)("qemu-system-x86_64", script())
    cache = tmp_path / "accelerator.json"
    cache.write_text(text)
    assert accel.choose(tmp_path / "vmlinuz", cache=cache, device=device).name == "kvm"


def test_without_qemu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: Path
) -> None:
    fake_tools(tmp_path, monkeypatch)
    monkeypatch.setattr(
        "goldpress.host.run.CLEAN_ENVIRONMENT", {"PATH": str(tmp_path / "fake-bin")}
    )
    with pytest.raises(CommandError, match=r"`qemu-system-x86_64` is not installed\n.*inv setup"):
        accel.choose(tmp_path / "vmlinuz", cache=tmp_path / "c.json", device=device)
