"""Two real images into a channel and back to the first, on one machine, with nobody's cloud.

A bare git repository stands for the hosting site, a server on this machine plays its API, and each
AMI is launched once in the embedded cloud: its own suite says that it may be promoted.
`test_promotion_whole.py` goes the same way in seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from github_server import serving
from journey import CHANNEL, IMAGE, Journey, local_evidence, make_project, push
from pressing import inv, sandbox_press, twin

from goldpress import build, cloud, proof, reproducing, standing, tracing
from goldpress.definition import load_definition
from goldpress.host.run import run
from goldpress.press import Pressed
from goldpress.rehearsal.project import forget
from goldpress.rehearsal.site import Hub
from goldpress.statements.verification import parse_evidence
from goldpress.verify import promises

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(1800)]

TEMPLATE = "images/web/files/etc/nginx/goldpress/headers.conf.j2"


@pytest.fixture
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journey]:
    """A project with the products of the real one, and a store and a cloud of its own."""
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    done = inv("build-image", "--sandbox")
    assert done.returncode == 0, done.stderr.decode()
    hub = Hub(bare=tmp_path / "images.git")
    hub.commit("main", {"README.md": "images\n"}, by="ann", message="begin")
    with serving(hub) as github:
        project = make_project(tmp_path / "project", github)
        ws = dataclasses.replace(twin(tmp_path / "build"), project=project)
        forget(ws)
        try:
            yield Journey(ws=ws, github=github, endpoint=cloud.up(ws).url)
        finally:
            cloud.down(ws)


def press(journey: Journey) -> Pressed:
    """The image as the project defines it now."""
    definition = load_definition(journey.ws.project / "images/web")
    return dataclasses.replace(sandbox_press(), workspace=journey.ws, definition=definition).press()


def reproduced(journey: Journey) -> str:
    """The image in force, pressed once more at the commit that its provenance names."""
    commit = reproducing.find(journey.ws, IMAGE, CHANNEL)["commit"]
    run(("git", "-C", journey.ws.project, "checkout", "-q", commit), timeout=60)
    told = reproducing.reproduce_channel(journey.ws, IMAGE, CHANNEL, sandbox=True)
    run(("git", "-C", journey.ws.project, "checkout", "-q", "-"), timeout=60)
    assert told["identical"] is True
    return str(told["image_digest"])


def test_one_image_follows_another_and_goes_back(journey: Journey) -> None:
    ws, store = journey.ws, journey.ws.store
    first = press(journey)
    promised = store.put_document(promises.KIND, build.promises(first))
    local = proof.evidence_of(store, first.manifest, promised)
    before = journey.went_public(first, local)
    assert journey.pointer() == ""
    journey.promoted(first.digest)
    assert journey.pointer() == journey.versioned(first.digest) == before.ami

    path = ws.project / TEMPLATE
    path.write_text(f"{path.read_text()}add_header X-Goldpress-Line new always;\n")
    push(ws.project, journey.github, "one more line")
    second = press(journey)
    assert second.digest != first.digest
    # It is another test's business to boot it here first; what EC2 boots is looked at below.
    like = parse_evidence(store.get_document("evidence", local))
    after = journey.went_public(second, local_evidence(ws, second, like))
    assert journey.pointer() == before.ami
    assert journey.promoted(second.digest).previous == first.digest
    assert journey.pointer() == journey.versioned(second.digest) == after.ami
    assert reproduced(journey) == second.digest

    back = journey.promoted(first.digest)
    assert (back.previous, journey.pointer()) == (second.digest, before.ami)
    expected = [first.digest, second.digest, first.digest]
    assert [row.digest for row in journey.history()] == expected

    for ami in (before, after):
        found = tracing.audit(ws, ami.ami, endpoint=journey.endpoint)
        found.refuse_unproven()
        (trial,) = found.chain.trials
        assert trial.evidence.machine.kind == "ec2-emulated"
        assert len({row.host_key for row in trial.evidence.boots}) == 1
    keys = {journey.chain(i.digest).trials[0].evidence.boots[0].host_key for i in (first, second)}
    assert len(keys) == 2
    states = standing.standing(ws, endpoint=journey.endpoint)
    assert standing.failure(states) is None
