from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machine_doubles import FINGERPRINT, fake_tools, machine_in

from goldpress.digest import sha256_bytes, sha256_file, sha256_tree
from goldpress.errors import MachineError, VerifyError
from goldpress.machine import process
from goldpress.machine.ready import Ready
from goldpress.machine.record import Machine
from goldpress.store import Store
from goldpress.verify import level
from goldpress.verify.evidence import BOOTS, Boot, Check, Evidence, Subject
from goldpress.verify.suite import Examination, ended

SUITE = Path(__file__).parent.parent / "verify"
FACTS: dict[str, Any] = {
    "image": "web",
    "distribution": "sandbox",
    "stand_in": True,
    "arch": "x86_64",
    "packages": ["bash-0:5.1-9.x86_64"],
    "listen": [{"port": 22, "protocol": "tcp"}],
    "services": ["sshd.service"],
    "masked": [],
    "booleans": {},
    "pools": [],
    "not_exercised": {},
    "parameters": {},
    "root_hash": "1",
}
#: A module whose checks have something to look at.
HEAD = """import pytest
from sections import Facts, Section
from watched import Watched


@pytest.fixture
def facts():
    return Facts(sections=Watched({"x": Section(status=0, text="")}))


"""
OFFLINE = Check(control="os-tree", test="test_x::test_tree", outcome="passed", seconds=0.1)
GOOD = '@pytest.mark.control("os-good")\ndef test_good(facts):\n    facts.good("x")\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = machine_in(tmp_path / "m")
    found.console.write_text("console\n")
    found.ssh_config.write_text("Host machine\n")
    return found


def tiny_suite(tmp_path: Path, body: str) -> Path:
    """A suite with this one booted module, under the real suite's configuration and conftest."""
    folder = tmp_path / "suite"
    (folder / "booted").mkdir(parents=True)
    for path in (SUITE / "pytest.ini", *SUITE.glob("*.py")):
        shutil.copy(path, folder / path.name)
    (folder / "booted/test_tiny.py").write_text(HEAD + body)
    return folder


UP = Ready(
    fingerprint=FINGERPRINT,
    boot_to_identity_seconds=10.0,
    boot_to_ssh_seconds=11.0,
    boot_to_200_seconds=12.5,
)


def expected(suite: Path) -> list[str]:
    """The controls that the suite's booted level names."""
    text = "".join(path.read_text() for path in (suite / "booted").glob("test_*.py"))
    return re.findall(r'mark\.control\("([a-z0-9-]+)"\)', text)


def examination(suite: Path, store: Store) -> Examination:
    return Examination(
        suite=suite,
        facts={**FACTS, "expected": {"booted": expected(suite)}},
        subject=Subject(image_digest=f"sha256:{'1' * 64}", disk_sha256="2" * 64),
        store=store,
        offline=(OFFLINE,),
        remedies={"os-bad": "switch it on"},
    )


def verify(machine: Machine, suite: Path, store: Store) -> Evidence:
    """Examine the machine as often as it has to be booted, as long as it is good."""
    examined = examination(suite, store)
    boots: list[Boot] = []
    while len(boots) < BOOTS and all(boot.good for boot in boots):
        boots.append(examined.examine(machine, UP, earlier=boots))
    return examined.conclude(machine, boots)


def stored(store: Store) -> dict[str, Any]:
    (path,) = (store.root / "documents" / "evidence").glob("*.json")
    return store.get_document("evidence", f"sha256:{path.stem}")


def test_a_suite_that_passes_at_both_boots_gives_evidence(tmp_path: Path, machine: Machine) -> None:
    store = Store(root=tmp_path / "store")
    suite = tiny_suite(tmp_path, GOOD)
    before = sha256_tree(suite)
    evidence = verify(machine, suite, store)
    assert evidence.outcome == "passed"
    for number, boot in enumerate(evidence.boots, start=1):
        assert boot.number == number
        assert [(c.control, c.test) for c in boot.checks] == [
            ("os-good", "booted/test_tiny::test_good")
        ]
        assert boot.console_sha256 == sha256_bytes(b"console\n")
        (report,) = (store.root / "documents" / "evidence").glob(f"*.{number}.junit.xml")
        assert sha256_bytes(report.read_bytes()) == boot.junit_sha256
    assert evidence.suite_sha256 == before == sha256_tree(suite)
    assert (evidence.distribution, evidence.stand_in) == ("sandbox", True)
    assert stored(store) == evidence.to_document()


def test_one_boot_proves_nothing(tmp_path: Path, machine: Machine) -> None:
    store = Store(root=tmp_path / "store")
    examined = examination(tiny_suite(tmp_path, GOOD), store)
    boots = [examined.examine(machine, UP)]
    with pytest.raises(VerifyError, match="it was booted 1 times, not 2: that proves nothing"):
        examined.conclude(machine, boots)
    assert stored(store)["outcome"] == "failed"


def test_a_check_that_fails_at_the_second_boot_only(tmp_path: Path, machine: Machine) -> None:
    store = Store(root=tmp_path / "store")
    body = (
        'import pathlib\n@pytest.mark.control("os-again")\ndef test_again(facts):\n'
        '    facts.good("x")\n    seen = pathlib.Path("seen")\n'
        '    assert not seen.exists(), "been here before"\n    seen.touch()\n'
    )
    with pytest.raises(VerifyError) as caught:
        verify(machine, tiny_suite(tmp_path, body), store)
    assert "boot 2 of 2:\n  os-again: been here before" in caught.value.message
    assert "boot 1 of 2" not in caught.value.message
    assert str(machine.directory / "verify.2.log") in caught.value.message


def test_what_is_denied_while_powering_off_spoils_the_boot(
    tmp_path: Path, machine: Machine
) -> None:
    examined = examination(tiny_suite(tmp_path, GOOD), Store(root=tmp_path / "store"))
    boot = examined.examine(machine, UP)
    assert ended(boot, machine.console).good
    denied = "avc:  denied  { unmount } for  pid=1 scontext=u:r:init_t:s0"
    with machine.console.open("a") as console:
        console.write(f"[   92.3] audit: type=1400 audit(1:2): {denied}\n")
    over = ended(boot, machine.console)
    assert not over.good
    assert over.console_sha256 == sha256_file(machine.console) != boot.console_sha256
    second = examined.examine(machine, UP, earlier=[over])
    with pytest.raises(VerifyError) as caught:
        examined.conclude(machine, [over, second])
    assert f"boot 1 of 2:\n  denied while powering off: {denied}" in caught.value.message


def test_both_boots_are_held_against_the_first_host_key(tmp_path: Path, machine: Machine) -> None:
    examined = examination(tiny_suite(tmp_path, GOOD), Store(root=tmp_path / "store"))
    first = examined.examine(machine, UP)
    other = f"SHA256:{'B' * 43}"
    second = examined.examine(machine, replace(UP, fingerprint=other), earlier=[first])
    assert (first.host_key, second.host_key) == (FINGERPRINT, other)
    given = json.loads((machine.directory / "verify.input.json").read_bytes())
    assert given["host_key"] == FINGERPRINT


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '@pytest.mark.control("os-bad")\ndef test_bad():\n    assert 0, "it is off"\n',
            "os-bad: it is off  [verify/booted/test_tiny::test_bad]\n    what to do: switch it on",
        ),
        (
            '@pytest.mark.control("os-skip")\ndef test_skip():\n    pytest.skip("later")\n',
            "os-skip: was skipped: later",
        ),
        (
            '@pytest.mark.xfail\n@pytest.mark.control("os-x")\ndef test_x():\n    assert 0\n',
            "os-x: is expected to fail, which is no pass",
        ),
        (
            f"@pytest.mark.xfail\n{GOOD.replace('good(f', 'x(f').replace('os-good', 'os-x')}",
            "os-x: [XPASS(strict)]",
        ),
        (
            '@pytest.mark.control("os-error")\ndef test_error(nothing):\n    pass\n',
            "os-error: could not run: failed on setup",
        ),
        (
            '@pytest.mark.control("os-vain")\ndef test_vain(facts):\n    assert facts\n',
            "os-vain: the check looked at nothing: it would pass on any image",
        ),
        (
            '@pytest.mark.control("os-good")\ndef test_again(facts):\n    facts.good("x")\n',
            "os-good: 2 checks, not one",
        ),
        (
            "def test_anonymous():\n    pass\n",
            "test_anonymous: a check names exactly one control",
        ),
        ("import absent\n", "pytest ended with 2: the run was interrupted, or the suite could"),
        (
            'import os\n@pytest.mark.control("os-x")\ndef test_x():\n    os._exit(0)\n',
            "pytest wrote no report",
        ),
    ],
)
def test_anything_but_a_pass_fails_and_is_recorded(
    tmp_path: Path, machine: Machine, body: str, message: str
) -> None:
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError) as caught:
        verify(machine, tiny_suite(tmp_path, GOOD + body), store)
    assert message in caught.value.message
    document = stored(store)
    assert document["outcome"] == "failed"
    assert caught.value.hint.startswith("evidence: sha256:")


def test_a_suite_without_checks_fails(tmp_path: Path, machine: Machine) -> None:
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError, match="pytest ended with 5: no check was collected"):
        verify(machine, tiny_suite(tmp_path, ""), store)
    assert stored(store)["outcome"] == "failed"


def test_an_unreachable_machine_fails_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    fake_tools(tmp_path, monkeypatch)("ssh", "echo 'Connection refused' >&2; exit 255")
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError, match=r"\d+ of \d+ checks failed"):
        verify(machine, SUITE, store)
    document = stored(store)
    (boot,) = document["boots"]
    checks = boot["checks"]
    assert document["passed"] == 1  # the tree's
    assert document["failed"] == len(checks) > 50
    assert all(c["message"].startswith("could not run") for c in checks)
    wanted = "RuntimeError: the machine cannot be reached over ssh: Connection refused"
    assert all(wanted in c["message"] for c in checks)


def test_a_direct_boot_gives_no_evidence(tmp_path: Path) -> None:
    machine = machine_in(tmp_path / "m", firmware="direct")
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError, match=r"booted with firmware 'direct'.*\n.*through UEFI"):
        verify(machine, SUITE, store)
    assert not store.root.exists()


def test_a_machine_that_ended_gives_no_evidence(tmp_path: Path) -> None:
    gone = process.Process(pid=999999999, start_ticks=1, boot_id=process.boot_id())
    machine = machine_in(tmp_path / "m", owner=gone)
    with pytest.raises(MachineError, match=r"does not run any more\n.*console\.log"):
        verify(machine, SUITE, Store(root=tmp_path / "store"))


def test_a_machine_that_ends_meanwhile_gives_no_passing_evidence(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(process, "is_running", lambda _process: next(answers))
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError, match="the machine ended while the suite ran"):
        verify(machine, tiny_suite(tmp_path, GOOD), store)
    assert stored(store)["outcome"] == "failed"


def test_who_launched_it_is_asked_whether_it_runs(tmp_path: Path, machine: Machine) -> None:
    """An instance has no process here; one boot of it is enough."""
    store = Store(root=tmp_path / "store")
    launched = replace(machine, kind="ec2")
    answers = [True, True, True, False]
    base = examination(tiny_suite(tmp_path, GOOD), store)
    examined = replace(
        base, offline=(), rests_on="sha256:1", runs=lambda _machine: answers.pop(0),
        subject=replace(base.subject, ami="ami-0123456789abcdef0"),
    )  # fmt: skip
    good = examined.examine(launched, UP)
    assert examined.conclude(launched, [good]).outcome == "passed"
    assert store.names("evidence") == ("ami-0123456789abcdef0",)
    bad = examined.examine(launched, UP)
    with pytest.raises(VerifyError) as caught:
        examined.conclude(launched, [bad])
    assert "boot 1 of 1:\n  the machine ended while the suite ran" in caught.value.message


def test_a_suite_that_hangs_is_ended(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(level, "SUITE_SECONDS", 3)
    body = 'import time\n@pytest.mark.control("os-x")\ndef test_x():\n    time.sleep(60)\n'
    with pytest.raises(VerifyError, match=r"the verify suite did not end: .*: no end after 3 s"):
        verify(machine, tiny_suite(tmp_path, body), Store(root=tmp_path / "store"))


def test_a_suite_that_changes_while_it_runs_is_refused(tmp_path: Path, machine: Machine) -> None:
    body = (
        'import pathlib\n@pytest.mark.control("os-x")\ndef test_x():\n'
        '    pathlib.Path(__file__).with_name("new.py").touch()\n'
    )
    with pytest.raises(VerifyError, match=r"was changed while it ran\n.*undisturbed"):
        verify(machine, tiny_suite(tmp_path, body), Store(root=tmp_path / "store"))
