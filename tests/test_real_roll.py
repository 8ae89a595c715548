"""Two machines behind a load balancer, under load all the time: to a good image, and back from bad.

The short form: releases are really pressed, published, approved, promoted and rolled, machines and
requests are real; that each image passed its suite before is copied from the plain one's evidence.
`./inv demo` is the long form, without copies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from journey import local_evidence
from pressing import inv, sandbox_press
from test_promotion_whole import launched

from goldpress import build, proof, publishing
from goldpress.ami import Ami
from goldpress.attesting import attest_build
from goldpress.rehearsal import project, scene
from goldpress.rehearsal.project import Release
from goldpress.rehearsal.seen import Seen
from goldpress.rehearsal.steps import Steps
from goldpress.rehearsal.story import Story
from goldpress.statements.verification import parse_evidence
from goldpress.verify import promises
from goldpress.workspace import workspace

pytestmark = [pytest.mark.real, pytest.mark.timeout(2400)]

A, B, C = Release(name="A"), Release(name="B"), Release(name="C", broken=True)


def promote(steps: Steps, source: Path, wanted: Release) -> Ami:
    """`scene.promote`, but for the boots on the way: they are other tests' business."""
    ws = steps.ws
    project.release(ws.project, source, wanted)
    project.push(ws.project, steps.github, f"release {wanted.name}")
    plain = dataclasses.replace(
        sandbox_press(), workspace=dataclasses.replace(ws, project=source)
    ).press()
    promised = ws.store.put_document(promises.KIND, build.promises(plain))
    like = proof.evidence_of(ws.store, plain.manifest, promised)
    pressed = steps.pressed()
    evidence = parse_evidence(ws.store.get_document("evidence", like))
    attest_build(ws, pressed, local_evidence(ws, pressed, evidence))
    ami = steps.published(pressed)
    steps.promoted(pressed.digest)
    project.update(ws.project)
    return ami


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Release A is in force, and two machines of it serve; requests flow until the end."""
    done = inv("build-image", "--sandbox")
    assert done.returncode == 0, done.stderr.decode()
    ws = workspace()
    directory = tmp_path_factory.mktemp("story") / "it"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "try_ami", launched)
        with (
            scene.scene(ws, directory) as steps,
            scene.begun(ws, steps, A, promote, short=True) as found,
        ):
            yield found


def judge(rows: list[Seen], expected: int) -> None:
    assert [row for row in rows if not row.holds] == []
    assert len(rows) == expected


def test_a_good_image_replaces_every_machine_and_nobody_notices(told: Story) -> None:
    judge(list(told.good(B)), 5)


def test_a_bad_image_reaches_one_machine_and_goes_back_by_itself(told: Story) -> None:
    judge(list(told.bad(C, B if B.name in told.amis else A)), 11)
