"""Owns running a verify suite: pytest in a child, over ssh, against one booted machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldpress.digest import canonical_json, digest_of, sha256_file, sha256_tree
from goldpress.errors import CommandError, MachineError, VerifyError
from goldpress.host.run import run
from goldpress.machine import process, ssh
from goldpress.machine.record import Machine
from goldpress.store import Store, write_atomically
from goldpress.verify.evidence import (
    EVIDENCE_KIND,
    Check,
    Evidence,
    Subject,
    VerifiedMachine,
)
from goldpress.verify.junit import judge

SUITE_SECONDS = 600
INPUT_VARIABLE = "GOLDPRESS_VERIFY_INPUT"
MESSAGE_SHOWN = 300
FAULT_LINES = 5


def pytest_argv(suite: Path, machine: Machine, report: Path) -> list[str]:
    """The command that runs the suite: its own configuration, no plug-in but testinfra."""
    # fmt: off
    return [
        sys.executable, "-m", "pytest", "-c", str(suite / "pytest.ini"),
        "--rootdir", str(suite), "--confcutdir", str(suite),
        "-p", "testinfra.plugin", "-p", "no:cacheprovider",
        "--hosts", f"ssh://{ssh.ALIAS}", "--ssh-config", str(machine.ssh_config),
        "--junitxml", str(report), "--tb", "short", "-vv", str(suite),
    ]
    # fmt: on


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def refuse_unprovable(machine: Machine) -> None:
    """Raises VerifyError for a machine whose boot proves nothing; MachineError for a dead one."""
    if machine.firmware != "uefi":
        raise VerifyError(
            f"the machine {machine.uuid} was booted with firmware {machine.firmware!r}: "
            "a kernel that QEMU loads itself says nothing about the image's own boot path",
            hint="boot it through UEFI (no kernel argument) to get evidence",
        )
    if not process.is_running(machine.process):
        raise MachineError(
            f"the machine {machine.uuid} at {machine.address} does not run any more",
            hint=f"its console: {machine.console}",
        )


def run_suite(machine: Machine, *, suite: Path, facts: Mapping[str, Any]) -> tuple[int, Path]:
    """Run the suite; returns pytest's exit status and the report's path.

    The report, pytest's output and the input stay in the machine's directory.
    """
    report = machine.directory / "verify.junit.xml"
    report.unlink(missing_ok=True)
    given = machine.directory / "verify.input.json"
    write_atomically(given, canonical_json(dict(facts)))
    done = run(
        pytest_argv(suite, machine, report),
        env={
            INPUT_VARIABLE: str(given),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd=machine.directory,
        timeout=SUITE_SECONDS,
        check=False,
        merge=True,
        what="the verify suite",
    )
    write_atomically(machine.directory / "verify.log", done.stdout)
    return done.returncode, report


def verify_machine(
    machine: Machine,
    *,
    suite: Path,
    facts: Mapping[str, Any],
    image_digest: str,
    disk_sha256: str,
    boot_to_200_seconds: float,
    store: Store,
) -> Evidence:
    """Run `suite` against `machine` and store the evidence, also of a failure.

    `facts` is the suite's input (see ``verify/conftest.py``); its distribution and stand-in mark
    are copied into the evidence. Raises VerifyError when a check failed, was skipped or could not
    run (the evidence is stored before), and when this machine cannot give evidence at all.
    """
    refuse_unprovable(machine)
    suite = suite.resolve()
    started = now()
    suite_sha256 = sha256_tree(suite)
    try:
        status, report = run_suite(machine, suite=suite, facts=facts)
    except CommandError as error:
        raise VerifyError(f"the verify suite did not end: {error.message}") from error
    if sha256_tree(suite) != suite_sha256:
        raise VerifyError(f"{suite} was changed while it ran", hint="run it again, undisturbed")
    found = judge(report, status)
    faults = found.faults
    if not process.is_running(machine.process):
        faults = (*faults, "the machine ended while the suite ran")
    evidence = Evidence(
        subject=Subject(image_digest=image_digest, disk_sha256=disk_sha256),
        distribution=str(facts["distribution"]),
        stand_in=bool(facts["stand_in"]),
        machine=VerifiedMachine(
            kind=machine.kind,
            firmware=machine.firmware,
            accelerator=machine.accelerator,
            uuid=machine.uuid,
        ),
        suite_sha256=suite_sha256,
        input_digest=digest_of(dict(facts)),
        checks=found.checks,
        faults=faults,
        started=started,
        ended=now(),
        boot_to_200_seconds=boot_to_200_seconds,
        console_sha256=sha256_file(machine.console),
        junit_sha256=sha256_file(report) if report.exists() else "",
    )
    digest = keep(evidence, report, store)
    if evidence.outcome != "passed":
        raise VerifyError(failure_text(evidence, machine), hint=f"evidence: {digest}")
    return evidence


def keep(evidence: Evidence, report: Path, store: Store) -> str:
    """Store the evidence, its JUnit report beside it; returns the evidence's digest."""
    digest = store.put_document(EVIDENCE_KIND, evidence.to_document())
    if report.exists():
        beside = store.document_path(EVIDENCE_KIND, digest).with_suffix(".junit.xml")
        write_atomically(beside, report.read_bytes())
    return digest


def failure_text(evidence: Evidence, machine: Machine) -> str:
    """What failed, a line for each control, and where to look."""
    total = len(evidence.checks)
    rows = [f"{evidence.failed} of {total} checks failed on {machine.address}"]
    rows += [f"  {fault}" for fault in evidence.faults]
    rows += [f"  {row(check)}" for check in evidence.checks if check.outcome != "passed"]
    log = machine.directory / "verify.log"
    if evidence.faults and log.exists():
        said = log.read_text(errors="replace").splitlines()
        telling = [line for line in said if line.strip() and not line.startswith(("=", "- "))]
        rows += [f"    | {line}" for line in telling[-FAULT_LINES:]]
    rows.append(f"  pytest's output: {log}")
    return "\n".join(rows)


def row(check: Check) -> str:
    """One failed check in one line, with the test to read or to run."""
    message = check.message
    if len(message) > MESSAGE_SHOWN:
        message = f"{message[:MESSAGE_SHOWN]} ..."
    return f"{check.control}: {message}  [verify/{check.test}]"
