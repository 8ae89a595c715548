"""Owns the offline level: the controls that can be checked on the tree, before a disk is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goldpress.controls import Controls
from goldpress.digest import canonical_json
from goldpress.errors import CommandError, VerifyError
from goldpress.host.confine import USER_NAMESPACE, Confinement
from goldpress.store import write_atomically
from goldpress.verify.evidence import Check
from goldpress.verify.junit import Judgement, judge
from goldpress.verify.level import run_level

PLACE_VARIABLE = "GOLDPRESS_VERIFY_TREE"
LOG_LINES = 5


def place(rootfs: Path) -> dict[str, Any]:
    """How the suite gets at the trees below `rootfs`, a product of that stage.

    Nothing of the image can be written, and its programs run confined.
    """
    inside = Confinement(
        root=rootfs / "tree", root_writable=False, readable={"/var": rootfs / "var"}
    )
    return {
        "tree": str(rootfs / "tree"),
        "labels": str(rootfs / "labels.json"),
        "image_argv": list(inside.argv(("env", "SYSTEMD_OFFLINE=1"))),
        "host_argv": list(USER_NAMESPACE),
    }


def examine_tree(
    rootfs: Path, *, suite: Path, facts: Mapping[str, Any], directory: Path
) -> Judgement:
    """Run the level on the trees below `rootfs`; failed checks are in the result.

    Raises VerifyError when the suite does not end.
    """
    given = directory / "verify.place.json"
    write_atomically(given, canonical_json(place(rootfs.absolute())))
    try:
        status, report = run_level(
            suite.absolute(),
            "offline",
            facts=facts,
            directory=directory,
            env={PLACE_VARIABLE: str(given)},
        )
    except CommandError as error:
        raise VerifyError(f"the offline checks did not end: {error.message}") from error
    return judge(report, status)


def check_tree(
    rootfs: Path, *, suite: Path, facts: Mapping[str, Any], directory: Path, controls: Controls
) -> tuple[Check, ...]:
    """All checks of the level, passed.

    Raises VerifyError that names each control that does not hold, and what to do.
    """
    found = examine_tree(rootfs, suite=suite, facts=facts, directory=directory)
    failed = [check for check in found.checks if check.outcome != "passed"]
    if not failed and not found.faults:
        return found.checks
    rows = [f"{len(failed)} of {len(found.checks)} controls do not hold on the tree"]
    rows += [f"  {fault}" for fault in found.faults]
    remedies = controls.remedies(check.control for check in failed)
    for check in failed:
        rows.append(f"  {check.control}: {check.message}")
        rows.append(f"    what to do: {remedies.get(check.control, 'see its check')}")
    if found.faults:
        log = (directory / "verify.log").read_text(errors="replace").splitlines()
        telling = [line for line in log if line.strip() and not line.startswith(("=", "- "))]
        rows += [f"    | {line}" for line in telling[-LOG_LINES:]]
    raise VerifyError("\n".join(rows), hint="no disk was made of it")
