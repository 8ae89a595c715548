"""Owns what the A/B guard found: how each check ended on the bare image, which has no control.

The guard is tests/test_real_bare.py. Its findings are in the store, one record a level, and count
only for the suite and the controls that they were made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from goldpress.controls import LEVELS, Controls, Level
from goldpress.digest import digest_of
from goldpress.store import Store
from goldpress.verify.evidence import Check, Outcome

GUARD_KIND = "guard"
SCHEMA = 1

#: Level -> control or duty -> how its check ended on the bare image.
Findings = Mapping[Level, Mapping[str, Outcome]]


def reference(image: str, distribution: str, level: Level) -> str:
    """The name in the store of the last findings."""
    return f"{image}.{distribution}.{level}"


def record(
    store: Store,
    controls: Controls,
    checks: Iterable[Check],
    *,
    image: str,
    distribution: str,
    level: Level,
    suite_sha256: str,
) -> None:
    """Keep how the level's checks ended on the bare image, whatever that says of them."""
    document = {
        "schema": SCHEMA,
        "image": image,
        "distribution": distribution,
        "level": level,
        "suite_sha256": suite_sha256,
        "controls": _digest(controls),
        "outcomes": {check.control: check.outcome for check in checks},
    }
    digest = store.put_document(GUARD_KIND, document)
    store.enter(GUARD_KIND, reference(image, distribution, level), digest)


def latest(
    store: Store, controls: Controls, *, image: str, distribution: str, suite_sha256: str
) -> Findings:
    """The last findings with this suite and these controls; a level that has none is left out."""
    found: dict[Level, Mapping[str, Outcome]] = {}
    for level in LEVELS:
        history = store.history(GUARD_KIND, reference(image, distribution, level))
        if not history:
            continue
        document: Mapping[str, Any] = store.get_document(GUARD_KIND, history[-1].digest)
        made_with = (document["schema"], document["suite_sha256"], document["controls"])
        if made_with == (SCHEMA, suite_sha256, _digest(controls)):
            found[level] = document["outcomes"]
    return found


def _digest(controls: Controls) -> str:
    return digest_of(controls.model_dump(mode="json"))
