"""Owns the main job: lock, press, boot, verify, attest; and what is said at its end."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress import progress, proof
from goldpress.attesting import attest_build
from goldpress.controls import load_controls
from goldpress.definition import Definition, Verify
from goldpress.digest import digest_of, sha256_tree, short
from goldpress.distribution import Distribution
from goldpress.errors import MissingError
from goldpress.holds import refuse_launch
from goldpress.host import tools
from goldpress.locking import locked
from goldpress.machine import accel, loghost, power, qemu, ready
from goldpress.machine.record import Machine
from goldpress.press import Press, Pressed, code_digest
from goldpress.progress import Step
from goldpress.stage import Product, Stage
from goldpress.store import write_atomically
from goldpress.verify.evidence import EVIDENCE_KIND, Boot, Check, boots_of
from goldpress.verify.promises import promises as pressed_promises
from goldpress.verify.report import Report, read_report
from goldpress.verify.suite import Examination, ended
from goldpress.workspace import Workspace, sandbox_said, workspace

#: Volumes on EC2 are larger than the image: /var has to grow there, so it has to grow here.
VERIFIED_ROOM = 1 << 30


def chosen(image: str, *, sandbox: bool) -> tuple[Workspace, Definition, Distribution]:
    """The workspace, the image's definition, and the distribution that was said."""
    ws = workspace()
    definition = ws.definition(image)
    return ws, definition, ws.distribution(definition, sandbox=sandbox_said(flag=sandbox))


def press(ws: Workspace, definition: Definition, distribution: Distribution) -> Pressed:
    """Press the image from its lock, every stage that is not there yet."""
    named = plainly(distribution.name, stand_in=distribution.stand_in)
    progress.note(f"image {definition.name}, distribution: {named}")
    if not distribution.made:  # say what is missing before installing anything
        locked(ws, definition, distribution)
    tools.ensure()
    lock, signers = locked(ws, definition, distribution)
    return Press(
        workspace=ws, definition=definition, distribution=distribution, lock=lock, signers=signers
    ).press()


def boot(ws: Workspace, pressed: Pressed, *, name: str = "", room: int = 0) -> Machine:
    """Start a machine from a copy of the image's disk; it runs until `qemu.halt`.

    `room` makes its disk that many bytes larger than the image. Its journal goes to its log host.
    Raises PromotionError for one that is held.
    """
    refuse_launch(ws, pressed.digest)
    chosen_accelerator = accel.choose(pressed.disk.kernel, cache=ws.build / "accelerator.json")
    progress.note(f"accelerator: {chosen_accelerator.name} ({chosen_accelerator.reason})")
    directory = ws.machines / (name or f"{pressed.definition.name}-{secrets.token_hex(4)}")
    ws.machines.mkdir(parents=True, exist_ok=True)
    return qemu.boot(
        pressed.disk.raw,
        directory=directory,
        accelerator=chosen_accelerator.name,
        size_bytes=pressed.disk.raw.stat().st_size + room,
        user_data=loghost.USER_DATA,
    )


def promises(pressed: Pressed) -> dict[str, Any]:
    """What the suite compares a machine with: its one input file."""
    promised = pressed_promises(pressed.definition, pressed.lock, pressed.controls)
    return {**promised, "root_hash": pressed.disk.root_hash}


def verify(ws: Workspace, pressed: Pressed) -> Product:
    """Boot a copy of the image and run its suite; evidence of an earlier, equal run is kept."""
    facts = promises(pressed)
    offline = pressed.stages["controls"]
    stage = Stage(
        root=ws.build,
        name="evidence",
        scope=f"{pressed.definition.name}.{pressed.distribution.id}",
        title="boot and verify",
        inputs={
            "image": pressed.digest,
            "suite": sha256_tree(ws.suite(pressed.definition)),
            "promises": digest_of(facts),
            "controls": offline.key,
            "code": code_digest("verify", "machine"),
            # What has failed since is not outweighed by what passed before: it is booted anew.
            "failed since": proof.last_failure(ws.store, pressed.manifest),
        },
    )
    examination = proof.examination(
        ws,
        pressed.definition,
        pressed.controls,
        pressed.manifest,
        facts,
        offline=tuple(Check(**row) for row in offline.facts["checks"]),
    )

    def make(directory: Path, step: Step) -> Mapping[str, Any]:
        machine = boot(ws, pressed, room=VERIFIED_ROOM)
        with qemu.halting(machine):
            boots = examine_boots(machine, examination, pressed.definition.verify, step)
            evidence = examination.conclude(machine, boots)
            step.update(f"{evidence.passed} checks passed")
        for name in kept_files(machine.directory):
            shutil.copyfile(name, directory / name.name)
        return {
            "evidence": digest_of(evidence.to_document()),
            "passed": evidence.passed,
            "failed": evidence.failed,
            "not_exercised": dict(evidence.not_exercised),
            "accelerator": machine.accelerator,
            "boot_to_200_seconds": [found.boot_to_200_seconds for found in boots],
            "suite_seconds": [found.seconds for found in boots],
        }

    def lacks(facts: Mapping[str, Any]) -> str:
        # A build directory may be used with another store than the one it was proven for.
        try:
            ws.store.document(EVIDENCE_KIND, facts["evidence"])
        except MissingError:
            return "the store has no evidence of it"
        return ""

    return stage.run(make, lacks=lacks)


def examine_boots(
    machine: Machine, examination: Examination, settings: Verify, step: Step
) -> list[Boot]:
    """Examine the started machine, and again after it powered itself off and was started anew.

    A boot with a failed check is the last: it has failed already. Raises MachineError,
    VerifyError.
    """
    boots: list[Boot] = []
    needed = boots_of(machine.kind)
    while True:
        named = f"boot {len(boots) + 1} of {needed}"
        step.update(f"{named}: booting at {machine.address}")
        up = ready.wait_ready(machine, settings.boot_seconds)
        step.update(f"{named}: up after {up.boot_to_ssh_seconds:.0f} s, checking")
        boots.append(examination.examine(machine, up, earlier=boots))
        if len(boots) == needed or not boots[-1].good:
            return boots
        step.update(f"{named}: powering off")
        power.shut_down(machine)
        boots[-1] = ended(boots[-1], machine.console)
        machine = power.start_again(machine)


def kept_files(directory: Path) -> list[Path]:
    """The consoles and pytest's outputs of a machine, to keep beside the evidence."""
    return sorted([*directory.glob("console*.log"), *directory.glob("verify.*.log")])


def build(image: str, *, sandbox: bool) -> dict[str, Any]:
    """Lock, press, boot, verify and attest an image; returns the result document."""
    ws, definition, distribution = chosen(image, sandbox=sandbox)
    pressed = press(ws, definition, distribution)
    proven = verify(ws, pressed)
    fresh = [name for name, product in pressed.stages.items() if product.fresh]
    if not fresh and not proven.fresh:
        progress.note("nothing changed: every product and the evidence are there")
    evidence = proven.facts["evidence"]
    statements = attest_build(ws, pressed, evidence)
    result = {
        **summary(ws, pressed, proven),
        **reported(ws, pressed, evidence),
        "statements": list(statements),
    }
    tell(result)
    return result


def reported(ws: Workspace, pressed: Pressed, evidence: str) -> dict[str, str]:
    """The report on the controls, written beside the evidence, as the result document names it.

    What was found on the bare image may be newer than the evidence: it is written each time.
    """
    report = report_on(ws, pressed.definition, pressed.distribution, evidence=evidence)
    path = ws.store.document_path("evidence", evidence).with_suffix(".controls.md")
    write_atomically(path, report.markdown().encode())
    return {"bare_image": report.without, "controls": str(path)}


def summary(ws: Workspace, pressed: Pressed, proven: Product) -> dict[str, Any]:
    """The result document of the main job."""
    evidence = proven.facts["evidence"]
    offline = sum(check["seconds"] for check in pressed.stages["controls"].facts["checks"])
    return {
        "image": pressed.definition.name,
        "image_digest": pressed.digest,
        "distribution": pressed.distribution.id,
        "distribution_name": pressed.distribution.name,
        "stand_in": pressed.lock.stand_in,
        "disk": str(pressed.disk.raw),
        "disk_sha256": pressed.disk.sha256,
        "root_hash": pressed.disk.root_hash,
        "sizes": dict(pressed.disk.sizes),
        "packages": len(pressed.lock.packages),
        "largest_packages": pressed.stages["packages"].facts["largest"],
        "boot_to_200_seconds": [round(s, 1) for s in proven.facts["boot_to_200_seconds"]],
        "suite_seconds": {
            "offline": round(offline, 1),
            "booted": proven.facts["suite_seconds"],
        },
        "accelerator": proven.facts["accelerator"],
        "checks": {"passed": proven.facts["passed"], "failed": proven.facts["failed"]},
        "not_exercised": proven.facts["not_exercised"],
        "evidence": str(ws.store.document_path("evidence", evidence)),
        "evidence_digest": evidence,
        "rebuilt": [name for name, product in pressed.stages.items() if product.fresh],
        "seconds": {r.name: round(r.seconds, 1) for r in progress.RECORDS},
    }


def report_on(
    ws: Workspace, definition: Definition, distribution: Distribution, *, evidence: str = ""
) -> Report:
    """An image's controls with the results of this verification, or of its last."""
    return read_report(
        ws.store,
        load_controls(definition),
        image=definition.name,
        distribution=distribution.id,
        suite=ws.suite(definition),
        evidence=evidence,
    )


def controls(image: str, *, sandbox: bool, markdown: bool) -> str:
    """The report on an image's controls: for a terminal, or the whole of it as Markdown."""
    report = report_on(*chosen(image, sandbox=sandbox))
    return report.markdown() if markdown else report.text()


def plainly(name: str, *, stand_in: bool) -> str:
    """The distribution's name, and that it is a rehearsal if it is one."""
    return f"{name} -- NOT CentOS: a rehearsal" if stand_in else name


def tell(result: Mapping[str, Any]) -> None:
    """The end of the main job, for people."""
    mib = {name: f"{size / (1 << 20):.0f} MiB" for name, size in result["sizes"].items()}
    named = plainly(result["distribution_name"], stand_in=result["stand_in"])
    largest = [
        f"{n.rpartition('-')[0].rpartition('-')[0]} {b / (1 << 20):.0f}"
        for n, b in result["largest_packages"].items()
    ]
    times = ", then ".join(str(seconds) for seconds in result["boot_to_200_seconds"])
    suite = result["suite_seconds"]
    booted = ", then ".join(str(seconds) for seconds in suite["booted"])
    rows = (
        ("image", f"{result['image']}  {short(result['image_digest'])}"),
        ("distribution", named),
        ("sizes", ", ".join(f"{name} {size}" for name, size in mib.items())),
        ("largest, MiB", ", ".join(largest)),
        ("boot to 200", f"{times} s ({result['accelerator']})"),
        ("checks", "{passed} passed, {failed} failed".format(**result["checks"])),
        ("suite", f"offline {suite['offline']} s, booted {booted} s"),
        ("not exercised", ", ".join(result["not_exercised"]) or "nothing"),
        ("bare image", result["bare_image"]),
        ("controls", result["controls"]),
        ("evidence", result["evidence"]),
    )
    for name, value in rows:
        progress.note(f"{name:>14}  {value}")
