"""The tasks that people and CI call: `./inv --list`. Each wires stages and prints a result."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke.collection import Collection

sys.path.insert(0, os.fspath(Path(__file__).resolve().parent))

from goldpress.commands import (
    benches,
    building,
    checks,
    cloud,
    demo,
    evidence,
    host,
    locks,
    mirror,
    promotion,
    publishing,
    rehearse,
    roll,
    rolling,
    standing,
)

ns = Collection(
    host.setup,
    host.doctor,
    demo.demo,
    building.build_image,
    building.reproduce,
    building.controls,
    building.boot,
    building.halt,
    locks.lock,
    checks.check,
    evidence.evidence,
    publishing.publish,
    publishing.verify,
    publishing.sweep,
    promotion.propose,
    promotion.promote,
    promotion.hold,
    promotion.release,
    roll.rollback,
    rolling.drift,
    rolling.quarantine,
    standing.status,
    standing.affected,
    standing.audit,
)
for tasks in (
    benches.tasks,
    checks.tasks,
    cloud.tasks,
    evidence.keys,
    mirror.tasks,
    promotion.tasks,
    rehearse.tasks,
    roll.tasks,
):
    ns.add_collection(tasks)
