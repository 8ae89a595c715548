"""Owns the main job: lock, press, boot, verify; and what is said at its end."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.definition import Definition
from goldpress.digest import digest_of, sha256_file, sha256_tree, short
from goldpress.distribution import Distribution
from goldpress.errors import BuildError, MissingError
from goldpress.host import tools, trees
from goldpress.host.confine import remove_tree
from goldpress.locking import locked
from goldpress.machine import accel, qemu, ready
from goldpress.machine.record import Machine
from goldpress.press import Press, Pressed, code_digest
from goldpress.progress import Step
from goldpress.stage import Product, Stage
from goldpress.verify.suite import verify_machine
from goldpress.workspace import Workspace, sandbox_said, workspace


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


def boot(ws: Workspace, pressed: Pressed, *, name: str = "") -> Machine:
    """Start a machine from a copy of the image's disk; it runs until `qemu.halt`."""
    chosen_accelerator = accel.choose(pressed.disk.kernel, cache=ws.build / "accelerator.json")
    progress.note(f"accelerator: {chosen_accelerator.name} ({chosen_accelerator.reason})")
    directory = ws.machines / (name or f"{pressed.definition.name}-{secrets.token_hex(4)}")
    ws.machines.mkdir(parents=True, exist_ok=True)
    return qemu.boot(pressed.disk.raw, directory=directory, accelerator=chosen_accelerator.name)


def promises(pressed: Pressed) -> dict[str, Any]:
    """What the suite compares the machine with: its one input file."""
    definition = pressed.definition
    return {
        "image": definition.name,
        "distribution": pressed.distribution.id,
        "stand_in": pressed.lock.stand_in,
        "arch": definition.arch,
        "packages": sorted(p.nevra for p in pressed.lock.packages),
        "listen": [
            {"port": row.port, "protocol": row.protocol, "address": row.address or "any"}
            for row in definition.verify.listen
        ],
        "services": list(definition.services.enable),
        "booleans": dict(definition.selinux.booleans),
        "root_uuid": pressed.disk.root_uuid,
    }


def verify(ws: Workspace, pressed: Pressed) -> Product:
    """Boot a copy of the image and run its suite; evidence of an earlier, equal run is kept."""
    suite = ws.project / pressed.definition.verify.suite
    if not suite.is_dir():
        raise MissingError(f"verify.suite: there is no folder {suite.name}/ in the project")
    facts = promises(pressed)
    stage = Stage(
        root=ws.build,
        name="evidence",
        scope=f"{pressed.definition.name}.{pressed.distribution.id}",
        title="boot and verify",
        inputs={
            "image": pressed.digest,
            "suite": sha256_tree(suite),
            "promises": digest_of(facts),
            "code": code_digest("verify", "machine"),
        },
    )

    def make(directory: Path, step: Step) -> Mapping[str, Any]:
        machine = boot(ws, pressed)
        with qemu.halting(machine):
            step.update(f"booting at {machine.address}")
            up = ready.wait_ready(machine, pressed.definition.verify.boot_seconds)
            step.update(f"up after {up.boot_to_ssh_seconds:.0f} s, checking")
            evidence = verify_machine(
                machine,
                suite=suite,
                facts=facts,
                image_digest=pressed.digest,
                disk_sha256=pressed.disk.sha256,
                boot_to_200_seconds=up.boot_to_200_seconds,
                store=ws.store,
            )
            step.update(f"{evidence.passed} checks passed")
        for kept in (machine.console, machine.directory / "verify.log"):
            shutil.copyfile(kept, directory / kept.name)
        return {
            "evidence": digest_of(evidence.to_document()),
            "passed": evidence.passed,
            "failed": evidence.failed,
            "accelerator": machine.accelerator,
            "boot_to_200_seconds": up.boot_to_200_seconds,
            "boot_to_ssh_seconds": up.boot_to_ssh_seconds,
        }

    return stage.run(make)


def reproduce(image: str, *, sandbox: bool) -> dict[str, Any]:
    """Press the image twice, the second time from nothing in another place, and compare.

    Raises BuildError that names the first difference.
    """
    ws, definition, distribution = chosen(image, sandbox=sandbox)
    first = press(ws, definition, distribution)
    apart = ws.build / "reproduce"
    remove_tree(apart)
    progress.note("once more, from nothing, in another directory")
    try:
        second = press(dataclasses.replace(ws, apart=apart), definition, distribution)
        compare(first, second)
    finally:
        remove_tree(apart)
    return {
        "image_digest": first.digest,
        "distribution": distribution.id,
        "stand_in": distribution.stand_in,
        "disk_sha256": [first.disk.sha256, second.disk.sha256],
        "identical": True,
    }


def compare(first: Pressed, second: Pressed) -> None:
    """Raises BuildError with the first difference between two presses of the same image."""
    if first.disk.sha256 == second.disk.sha256 and first.digest == second.digest:
        return
    raise BuildError(
        f"two presses of the same inputs differ: {difference(first, second)}",
        hint="find what wrote the time, the host or an order into it",
    )


def difference(first: Pressed, second: Pressed) -> str:
    """The first path whose mode, owner, time or bytes differ, or the part of the disk."""
    for part in ("tree", "var"):
        one, other = (trees.listing(p.stages["rootfs"].directory / part) for p in (first, second))
        for path in sorted({*one, *other}):
            if one.get(path) != other.get(path):
                place = path if part == "tree" else f"/var{path}".rstrip("/")
                return f"{place}: {one.get(path)} and {other.get(path)}"
    for name in ("initrd", "vmlinuz"):
        one_file, other_file = (p.stages["initrd"].directory / name for p in (first, second))
        if sha256_file(one_file) != sha256_file(other_file):
            return f"the {name}"
    return "the file systems or the partition table, though all files are the same"


def build(image: str, *, sandbox: bool) -> dict[str, Any]:
    """Lock, press, boot and verify an image; returns the result document."""
    ws, definition, distribution = chosen(image, sandbox=sandbox)
    pressed = press(ws, definition, distribution)
    proof = verify(ws, pressed)
    fresh = [name for name, product in pressed.stages.items() if product.fresh]
    if not fresh and not proof.fresh:
        progress.note("nothing changed: every product and the evidence are there")
    result = summary(ws, pressed, proof)
    tell(result)
    return result


def summary(ws: Workspace, pressed: Pressed, proof: Product) -> dict[str, Any]:
    """The result document of the main job."""
    evidence = proof.facts["evidence"]
    return {
        "image": pressed.definition.name,
        "image_digest": pressed.digest,
        "distribution": pressed.distribution.id,
        "distribution_name": pressed.distribution.name,
        "stand_in": pressed.lock.stand_in,
        "disk": str(pressed.disk.raw),
        "disk_sha256": pressed.disk.sha256,
        "sizes": dict(pressed.disk.sizes),
        "packages": len(pressed.lock.packages),
        "largest_packages": pressed.stages["packages"].facts["largest"],
        "boot_to_200_seconds": round(proof.facts["boot_to_200_seconds"], 1),
        "accelerator": proof.facts["accelerator"],
        "checks": {"passed": proof.facts["passed"], "failed": proof.facts["failed"]},
        "evidence": str(ws.store.document_path("evidence", evidence)),
        "evidence_digest": evidence,
        "rebuilt": [name for name, product in pressed.stages.items() if product.fresh],
        "seconds": {r.name: round(r.seconds, 1) for r in progress.RECORDS},
    }


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
    rows = (
        ("image", f"{result['image']}  {short(result['image_digest'])}"),
        ("distribution", named),
        ("sizes", ", ".join(f"{name} {size}" for name, size in mib.items())),
        ("largest, MiB", ", ".join(largest)),
        ("boot to 200", f"{result['boot_to_200_seconds']} s ({result['accelerator']})"),
        ("checks", "{passed} passed, {failed} failed".format(**result["checks"])),
        ("evidence", result["evidence"]),
    )
    for name, value in rows:
        progress.note(f"{name:>14}  {value}")
