"""Owns examining a booted machine: its level of the suite, over ssh, at each of its boots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldpress.digest import digest_of, sha256_file, sha256_tree
from goldpress.errors import CommandError, MachineError, VerifyError
from goldpress.machine import process, ssh
from goldpress.machine.console import Console
from goldpress.machine.ready import Ready
from goldpress.machine.record import Machine
from goldpress.store import Store, write_atomically
from goldpress.verify.evidence import (
    EVIDENCE_KIND,
    Boot,
    Check,
    Evidence,
    Subject,
    VerifiedMachine,
    boots_of,
)
from goldpress.verify.junit import judge
from goldpress.verify.level import run_level

MESSAGE_SHOWN = 300
FAULT_LINES = 5


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def has_process(machine: Machine) -> bool:
    """Whether a local machine runs: its QEMU does."""
    return process.is_running(machine.process)


def refuse_unprovable(machine: Machine, *, runs: Callable[[Machine], bool]) -> None:
    """Raises VerifyError for a machine whose boot proves nothing; MachineError for a dead one."""
    if machine.firmware != "uefi":
        raise VerifyError(
            f"the machine {machine.uuid} was booted with firmware {machine.firmware!r}: "
            "a kernel that QEMU loads itself says nothing about the image's own boot path",
            hint="boot it through UEFI (no kernel argument) to get evidence",
        )
    if not runs(machine):
        raise MachineError(
            f"the machine {machine.uuid} at {machine.address} does not run any more",
            hint=f"its console: {machine.console}",
        )


def run_suite(machine: Machine, *, suite: Path, facts: Mapping[str, Any]) -> tuple[int, Path]:
    """Run the booted level; returns pytest's exit status and the report's path.

    The report, pytest's output and the input stay in the machine's directory.
    """
    return run_level(
        suite,
        "booted",
        facts=facts,
        directory=machine.directory,
        words=("--hosts", f"ssh://{ssh.ALIAS}", "--ssh-config", str(machine.ssh_config)),
    )


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What all boots of one copy are held against: the suite, its input, the store's place.

    `facts` is the suite's input (see ``verify/conftest.py``); its distribution, its stand-in mark
    and what it says is not exercised are copied into the evidence. Each boot's input has
    `host_key` beside them, the first boot's. `offline` are the checks of the tree, passed; an AMI
    has none, and `rests_on` the evidence of a local copy (its digest). `remedies` tell what to do
    when a control does not hold, and `runs` asks whoever knows whether the machine still does.
    """

    suite: Path
    facts: Mapping[str, Any]
    subject: Subject
    store: Store
    offline: tuple[Check, ...] = ()
    rests_on: str = ""
    remedies: Mapping[str, str] = field(default_factory=dict)
    runs: Callable[[Machine], bool] = has_process

    def examine(self, machine: Machine, up: Ready, *, earlier: Sequence[Boot] = ()) -> Boot:
        """Run the suite against a machine that is up; `earlier` are the same copy's boots before.

        Raises VerifyError when this machine cannot give evidence at all, when the suite does not
        end, or is changed while it runs. Failed checks are in the result.
        """
        refuse_unprovable(machine, runs=self.runs)
        started = now()
        suite = self.suite.resolve()
        suite_sha256 = sha256_tree(suite)
        first_key = earlier[0].host_key if earlier else up.fingerprint
        try:
            status, report = run_suite(
                machine, suite=suite, facts={**self.facts, "host_key": first_key}
            )
        except CommandError as error:
            raise VerifyError(f"the verify suite did not end: {error.message}") from error
        if sha256_tree(suite) != suite_sha256:
            raise VerifyError(f"{suite} was changed while it ran", hint="run it again, undisturbed")
        found = judge(report, status)
        faults = found.faults
        if not self.runs(machine):
            faults = (*faults, "the machine ended while the suite ran")
        boot = Boot(
            number=len(earlier) + 1,
            host_key=up.fingerprint,
            checks=found.checks,
            faults=faults,
            started=started,
            ended=now(),
            boot_to_200_seconds=up.boot_to_200_seconds,
            console_sha256=sha256_file(machine.console),
            junit_sha256=sha256_file(report) if report.exists() else "",
        )
        for path in (report, machine.directory / "verify.log"):
            if path.exists():
                path.rename(kept(path, boot.number))
        return boot

    def conclude(self, machine: Machine, boots: Sequence[Boot]) -> Evidence:
        """Store the evidence of these boots, also of a failure, the JUnit reports beside it.

        Raises VerifyError when a check failed, was skipped or could not run, or a boot is missing.
        """
        evidence = Evidence(
            subject=self.subject,
            distribution=str(self.facts["distribution"]),
            stand_in=bool(self.facts["stand_in"]),
            machine=VerifiedMachine(
                kind=machine.kind,
                firmware=machine.firmware,
                accelerator=machine.accelerator,
                uuid=machine.uuid,
            ),
            suite_sha256=sha256_tree(self.suite.resolve()),
            input_digest=digest_of(dict(self.facts)),
            not_exercised=dict(self.facts.get("not_exercised", {})),
            offline=self.offline,
            boots=tuple(boots),
            rests_on=self.rests_on,
        )
        digest = self.store.put_document(EVIDENCE_KIND, evidence.to_document())
        last = self.subject.reference(str(self.facts["image"]), evidence.distribution)
        self.store.enter(EVIDENCE_KIND, last, digest)
        document = self.store.document_path(EVIDENCE_KIND, digest)
        for boot in boots:
            report = kept(machine.directory / "verify.junit.xml", boot.number)
            if report.exists():
                beside = document.with_suffix(f".{boot.number}.junit.xml")
                write_atomically(beside, report.read_bytes())
        if evidence.outcome != "passed":
            raise VerifyError(
                failure_text(evidence, machine, self.remedies), hint=f"evidence: {digest}"
            )
        return evidence


def ended(boot: Boot, console: Path) -> Boot:
    """The boot once it is over: what its console showed until the very end counts as well.

    The audit daemon has ended by then; what SELinux denies during the last seconds of a shutdown
    is on the console and nowhere else.
    """
    shown = Console(path=console)
    shown.update()
    faults = [f"denied while powering off: {row}" for row in shown.denials()]
    return replace(
        boot, faults=(*boot.faults, *faults), console_sha256=sha256_file(console), ended=now()
    )


def kept(path: Path, number: int) -> Path:
    """Where a file of boot `number` stays: ``verify.log`` becomes ``verify.1.log``."""
    stem, dot, rest = path.name.partition(".")
    return path.with_name(f"{stem}.{number}{dot}{rest}")


def failure_text(evidence: Evidence, machine: Machine, remedies: Mapping[str, str]) -> str:
    """What failed, a line for each control and one for what to do, and where to look."""
    total, needed = evidence.passed + evidence.failed, boots_of(machine.kind)
    rows = [f"{evidence.failed} of {total} checks failed on {machine.address}"]
    for boot in evidence.boots:
        if boot.good:
            continue
        rows += [f"boot {boot.number} of {needed}:"]
        rows += [f"  {fault}" for fault in boot.faults]
        for check in boot.checks:
            if check.outcome != "passed":
                rows.append(f"  {row(check)}")
                if check.control in remedies:
                    rows.append(f"    what to do: {remedies[check.control]}")
        log = kept(machine.directory / "verify.log", boot.number)
        if boot.faults and log.exists():
            said = log.read_text(errors="replace").splitlines()
            telling = [line for line in said if line.strip() and not line.startswith(("=", "- "))]
            rows += [f"    | {line}" for line in telling[-FAULT_LINES:]]
        rows.append(f"  pytest's output: {log}")
    if all(boot.good for boot in evidence.boots):
        rows.append(f"it was booted {len(evidence.boots)} times, not {needed}: that proves nothing")
    return "\n".join(rows)


def row(check: Check) -> str:
    """One failed check in one line, with the test to read or to run."""
    message = check.message
    if len(message) > MESSAGE_SHOWN:
        message = f"{message[:MESSAGE_SHOWN]} ..."
    return f"{check.control}: {message}  [verify/{check.test}]"
