"""What the A/B guard found counts for the suite and the controls that it was made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.controls import Control, Controls
from goldpress.store import Store
from goldpress.verify import guard
from goldpress.verify.evidence import Check

ONE = Control(protects="one", value="1", source=("us",), level="both", files=("/etc/one",))
CONTROLS = Controls(controls={"os-one": ONE})
FAILED = Check(control="os-one", test="t::one", outcome="failed", seconds=0.1, message="it is off")


def latest(
    store: Store,
    controls: Controls = CONTROLS,
    *,
    image: str = "web",
    distribution: str = "sandbox",
    suite_sha256: str = "1" * 64,
) -> guard.Findings:
    return guard.latest(
        store, controls, image=image, distribution=distribution, suite_sha256=suite_sha256
    )


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    """A store with the findings of the offline level."""
    store = Store(root=tmp_path)
    guard.record(
        store,
        CONTROLS,
        [FAILED],
        image="web",
        distribution="sandbox",
        level="offline",
        suite_sha256="1" * 64,
    )
    return store


def test_what_was_found_is_told_by_level(kept: Store) -> None:
    assert latest(kept) == {"offline": {"os-one": "failed"}}


def test_nothing_was_found_yet(tmp_path: Path) -> None:
    assert latest(Store(root=tmp_path)) == {}


def test_of_another_image_distribution_or_suite_it_says_nothing(kept: Store) -> None:
    assert latest(kept, image="db") == {}
    assert latest(kept, distribution="centos-stream-9") == {}
    assert latest(kept, suite_sha256="2" * 64) == {}


def test_of_other_controls_it_says_nothing(kept: Store) -> None:
    changed = Controls(controls={"os-one": ONE.model_copy(update={"value": "2"})})
    assert latest(kept, changed) == {}
