from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from machine_doubles import fake_tools, machine_in

from goldpress.digest import sha256_bytes, sha256_tree
from goldpress.errors import MachineError, VerifyError
from goldpress.machine import process
from goldpress.machine.record import Machine
from goldpress.store import Store
from goldpress.verify import suite as suites
from goldpress.verify.evidence import Evidence

SUITE = Path(__file__).parent.parent / "verify"
FACTS: dict[str, Any] = {
    "image": "web",
    "distribution": "sandbox",
    "stand_in": True,
    "arch": "x86_64",
    "packages": ["bash-0:5.1-9.x86_64"],
    "listen": [{"port": 22, "protocol": "tcp"}],
    "services": ["sshd.service"],
    "booleans": {},
    "root_uuid": "1",
}
HEAD = "import pytest\n"
GOOD = '@pytest.mark.control("os-good")\ndef test_good():\n    pass\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = machine_in(tmp_path / "m")
    found.console.write_text("console\n")
    found.ssh_config.write_text("Host machine\n")
    return found


def tiny_suite(tmp_path: Path, body: str) -> Path:
    """A suite with this one module, under the real suite's configuration and conftest."""
    folder = tmp_path / "suite"
    folder.mkdir()
    for name in ("pytest.ini", "conftest.py", "facts.py", "promise.py"):
        shutil.copy(SUITE / name, folder / name)
    (folder / "test_tiny.py").write_text(HEAD + body)
    return folder


def verify(machine: Machine, suite: Path, store: Store) -> Evidence:
    return suites.verify_machine(
        machine,
        suite=suite,
        facts=FACTS,
        image_digest=f"sha256:{'1' * 64}",
        disk_sha256="2" * 64,
        boot_to_200_seconds=12.5,
        store=store,
    )


def stored(store: Store) -> dict[str, Any]:
    (path,) = (store.root / "documents" / "evidence").glob("*.json")
    return store.get_document("evidence", f"sha256:{path.stem}")


def test_a_suite_that_passes_gives_evidence(tmp_path: Path, machine: Machine) -> None:
    store = Store(root=tmp_path / "store")
    suite = tiny_suite(tmp_path, GOOD)
    before = sha256_tree(suite)
    evidence = verify(machine, suite, store)
    assert evidence.outcome == "passed"
    assert [(c.control, c.test) for c in evidence.checks] == [("os-good", "test_tiny::test_good")]
    assert evidence.suite_sha256 == before == sha256_tree(suite)
    assert evidence.console_sha256 == sha256_bytes(b"console\n")
    assert (evidence.distribution, evidence.stand_in) == ("sandbox", True)
    assert stored(store) == evidence.to_document()
    (report,) = (store.root / "documents" / "evidence").glob("*.junit.xml")
    assert sha256_bytes(report.read_bytes()) == evidence.junit_sha256


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '@pytest.mark.control("os-bad")\ndef test_bad():\n    assert 0, "it is off"\n',
            "1 of 2 checks failed on 127.0.0.1\n  os-bad: it is off  [verify/test_tiny::test_bad]",
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
            '@pytest.mark.xfail\n@pytest.mark.control("os-x")\ndef test_x():\n    pass\n',
            "os-x: [XPASS(strict)]",
        ),
        (
            '@pytest.mark.control("os-error")\ndef test_error(nothing):\n    pass\n',
            "os-error: could not run: failed on setup",
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
    with pytest.raises(VerifyError, match=r"(\d+) of \1 checks failed"):
        verify(machine, SUITE, store)
    document = stored(store)
    assert document["passed"] == 0
    assert document["failed"] > 20
    assert all(c["message"].startswith("could not run") for c in document["checks"])
    wanted = "RuntimeError: the machine cannot be reached over ssh: Connection refused"
    assert all(wanted in c["message"] for c in document["checks"])


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


def test_a_suite_that_hangs_is_ended(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "SUITE_SECONDS", 3)
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


def test_every_check_of_the_real_suite_names_a_control_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    fake_tools(tmp_path, monkeypatch)("ssh", "exit 255")
    store = Store(root=tmp_path / "store")
    with pytest.raises(VerifyError, match="checks failed"):
        verify(machine, SUITE, store)
    controls = [c["control"] for c in stored(store)["checks"]]
    assert len(set(controls)) == len(controls)
