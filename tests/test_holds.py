"""Holds: signed records, in force at once, and never mistaken for their absence."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attested import world
from signed import signer, stored, trust
from stores import Place
from test_ami import AMI

from goldpress import ami as amis
from goldpress import build, holds, publishing, trial
from goldpress.digest import canonical_json, sha256_bytes
from goldpress.errors import (
    ConflictError,
    DocumentError,
    GoldpressError,
    MissingError,
    PromotionError,
    TrustError,
)
from goldpress.sampling import Sampler
from goldpress.statements.envelope import sign
from goldpress.statements.statement import HOLD, PUBLICATION, Statement
from goldpress.store import Store
from goldpress.workspace import Workspace

KEY = signer()
TRUST = trust(KEY)
MUTATIONS = 500


def hold(store: Store, digest: str, why: str = "bad kernel", **changes: Any) -> holds.Hold:
    return holds.hold(store, TRUST, digest, **{"why": why, "signer": KEY, **changes})


def release(store: Store, digest: str) -> holds.Hold:
    return holds.release(store, TRUST, digest, why="it was the switch", signer=KEY)


def enter(store: Store, digest: str, **predicate: Any) -> str:
    """Put a record into the ledger as somebody would who is not goldpress."""
    value = {"act": "hold", "why": "x", "at": "2026-11-23T00:00:00Z", "after": "", **predicate}
    envelope = sign(Statement(image=digest, predicate_type=HOLD, predicate=value), KEY)
    document = store.put_document(holds.KIND, envelope.to_document())
    store.enter(holds.KIND, digest, document)
    return document


def test_a_hold_is_in_force_for_everyone_at_once_and_ends_with_its_release(place: Place) -> None:
    one, other = place.store(), place.store()
    digest = stored(one)
    assert holds.held(other, TRUST, digest) is None
    made = hold(one, digest)
    assert (made.by, made.why, made.act) == ("tests", "bad kernel", "hold")
    found = holds.held(other, TRUST, digest)
    assert found == made
    release(other, digest)
    assert holds.held(one, TRUST, digest) is None
    assert [row.act for row in holds.history(one, TRUST, digest)] == ["hold", "release"]


def test_a_held_digest_is_refused_with_the_rule_s_name(store: Store) -> None:
    digest = stored(store)
    holds.refuse_held(store, TRUST, digest)
    hold(store, digest, "  it\n eats   data ")
    with pytest.raises(PromotionError) as caught:
        holds.refuse_held(store, TRUST, digest)
    assert caught.value.rule == "not-held"
    assert f"not-held: {digest} is held since 20" in str(caught.value)
    assert "by tests: it eats data" in str(caught.value)
    assert f"`./inv release {digest} --why=...`" in str(caught.value)


def test_another_digest_is_not_held_with_it(store: Store) -> None:
    held, free = stored(store), stored(store, command_line="rw")
    hold(store, held)
    holds.refuse_held(store, TRUST, free)
    assert [row.image for row in holds.all_held(store, TRUST)] == [held]


def test_a_second_hold_changes_nothing_and_a_later_one_begins_anew(store: Store) -> None:
    digest = stored(store)
    first = hold(store, digest)
    assert hold(store, digest, "another reason") == first
    release(store, digest)
    again = hold(store, digest, "it was not the switch")
    assert holds.held(store, TRUST, digest) == again
    assert len(holds.history(store, TRUST, digest)) == 3


def test_what_is_not_held_cannot_be_released(store: Store) -> None:
    digest = stored(store)
    with pytest.raises(ConflictError, match="is not held: there is nothing to release"):
        release(store, digest)


@pytest.mark.parametrize("why", ["", " \n ", "x" * 301, "a\x1b[2Jb", "a\u202eb"])
def test_a_hold_needs_a_reason_that_can_be_read(store: Store, why: str) -> None:
    with pytest.raises(DocumentError, match="--why: a reason of 1 to 300 characters is needed"):
        hold(store, stored(store), why)


@pytest.mark.parametrize("digest", ["", "sha256:12", "../x", "ami-0123456789abcdef0"])
def test_only_an_image_digest_can_be_held_or_asked_for(store: Store, digest: str) -> None:
    with pytest.raises(DocumentError, match="is not an image digest"):
        hold(store, digest)
    with pytest.raises(DocumentError, match="is not an image digest"):
        holds.refuse_held(store, TRUST, digest)


def test_an_image_that_the_store_does_not_know_cannot_be_held(store: Store) -> None:
    with pytest.raises(MissingError, match="the store has no manifest sha256:111"):
        hold(store, f"sha256:{'1' * 64}")


def test_a_key_without_the_role_holds_nothing(store: Store) -> None:
    digest = stored(store)
    builder = signer("builder", "build")
    with pytest.raises(TrustError, match="the key builder may not sign hold statements"):
        holds.hold(store, trust(KEY, builder), digest, why="x", signer=builder)
    assert holds.held(store, TRUST, digest) is None


def test_a_stand_in_s_key_neither_holds_nor_frees_a_real_image(store: Store) -> None:
    digest = stored(store, stand_in=False)
    with pytest.raises(TrustError, match="vouches for stand-ins, never for images of real"):
        hold(store, digest)
    assert store.history(holds.KIND, digest) == ()


def test_a_record_of_a_stranger_stops_everyone_and_frees_nothing(store: Store) -> None:
    digest = stored(store)
    hold(store, digest)
    stranger = signer("stranger")
    with pytest.raises(ConflictError, match="is not held"):
        holds.release(store, trust(stranger), stored(store, arch="x"), why="x", signer=stranger)
    value = holds.history(store, TRUST, digest)[0]
    lie = replace(value, act="release", after=store.history(holds.KIND, digest)[-1].digest)
    statement = Statement(image=digest, predicate_type=HOLD, predicate=lie.predicate())
    document = store.put_document(holds.KIND, sign(statement, stranger).to_document())
    store.enter(holds.KIND, digest, document)
    with pytest.raises(TrustError, match="which is not trusted"):
        holds.refuse_held(store, TRUST, digest)


def test_a_release_that_was_put_in_out_of_order_is_noticed(store: Store) -> None:
    digest = stored(store)
    hold(store, digest)
    enter(store, digest, act="release")
    with pytest.raises(TrustError) as caught:
        holds.refuse_held(store, TRUST, digest)
    first = store.history(holds.KIND, digest)[0].digest
    assert f"follows none, not {first[7:19]}" in str(caught.value)
    assert "restore it" in str(caught.value)


def test_a_record_that_was_taken_out_of_the_middle_is_noticed(store: Store) -> None:
    digest = stored(store)
    hold(store, digest)
    release(store, digest)
    hold(store, digest)
    store.forget(holds.KIND, digest, store.history(holds.KIND, digest)[1].digest)
    with pytest.raises(TrustError, match=r"not-held: record .* follows"):
        holds.held(store, TRUST, digest)


def test_a_record_about_another_image_is_noticed(store: Store) -> None:
    one, other = stored(store), stored(store, command_line="rw")
    hold(store, one)
    store.enter(holds.KIND, other, store.history(holds.KIND, one)[0].digest)
    with pytest.raises(TrustError, match="it is about another image"):
        holds.held(store, TRUST, other)


def test_a_statement_of_another_kind_is_no_hold(store: Store) -> None:
    digest = stored(store)
    statement = Statement(image=digest, predicate_type=PUBLICATION, predicate={"act": "hold"})
    document = store.put_document(holds.KIND, sign(statement, KEY).to_document())
    store.enter(holds.KIND, digest, document)
    with pytest.raises(TrustError, match="signed something of the role publish"):
        holds.held(store, TRUST, digest)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"act": "maybe"}, "act: expected hold or release"),
        ({"at": "yesterday"}, "at: expected a time in UTC"),
        ({"at": 5}, "at: expected a time in UTC"),
        ({"after": "x"}, "after: expected a digest or nothing"),
        ({"after": 0}, "after: expected a digest or nothing"),
        ({"why": ""}, "a reason of 1 to 300"),
        ({"why": None}, "a reason of 1 to 300"),
        ({"more": 1}, "expected act, why, at and after"),
    ],
)
def test_a_signed_record_in_another_form_is_refused(
    store: Store, changes: dict[str, Any], message: str
) -> None:
    digest = stored(store)
    enter(store, digest, **changes)
    with pytest.raises(DocumentError, match=message):
        holds.refuse_held(store, TRUST, digest)


def test_of_two_who_hold_at_once_one_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = stored(store)
    original = Store.put_document

    def put_document(self: Store, kind: str, value: Any) -> str:
        made = original(self, kind, value)
        if kind == holds.KIND:
            monkeypatch.setattr(Store, "put_document", original)
            hold(store, digest, "somebody was faster")
        return made

    monkeypatch.setattr(Store, "put_document", put_document)
    with pytest.raises(ConflictError, match="by now, not for nothing"):
        hold(store, digest)
    found = holds.held(store, TRUST, digest)
    assert found
    assert found.why == "somebody was faster"


def test_of_many_mutated_records_none_is_believed(store: Store) -> None:
    digest = stored(store)
    hold(store, digest)
    document = store.history(holds.KIND, digest)[0].digest
    data = store.document(holds.KIND, document)
    chance = random.Random(6)  # noqa: S311 - a test
    for _ in range(MUTATIONS):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path = store.document_path(holds.KIND, f"sha256:{sha256_bytes(bytes(changed))}")
        path.write_bytes(changed)
        other = Store(root=store.root)
        name = f"sha256:{path.stem}"
        for entry in other.history(holds.KIND, digest):
            other.forget(holds.KIND, digest, entry.digest)
        other.enter(holds.KIND, digest, name)
        with pytest.raises(GoldpressError) as caught:
            holds.refuse_held(other, TRUST, digest)
        assert not isinstance(caught.value, PromotionError)


def test_a_spoiled_file_is_an_error_and_no_absence(store: Store) -> None:
    digest = stored(store)
    hold(store, digest)
    path = store.document_path(holds.KIND, store.history(holds.KIND, digest)[0].digest)
    value = json.loads(path.read_bytes())
    path.write_bytes(canonical_json({**value, "payloadType": "text/plain"}))
    with pytest.raises(DocumentError, match="its bytes do not match its name"):
        holds.refuse_held(store, TRUST, digest)
    path.unlink()
    with pytest.raises(MissingError, match="the store has no hold"):
        holds.refuse_held(store, TRUST, digest)


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/trust.yaml").write_text("keys: {}\n")
    return Workspace(project=tmp_path / "project", build=tmp_path / "build")


def test_here_the_key_of_this_machine_holds_and_releases_stand_ins(ws: Workspace) -> None:
    digest = stored(ws.store)
    holds.refuse_launch(ws, digest)
    made = holds.hold_here(ws, digest, "it burns")
    assert (made.by, made.document()["why"]) == ("(this machine)", "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .*: it burns"):
        holds.refuse_launch(ws, digest)
    holds.release_here(ws, digest, "it does not")
    holds.refuse_launch(ws, digest)


def test_here_nobody_holds_a_real_image_without_a_key(ws: Workspace) -> None:
    with pytest.raises(MissingError, match="nobody signs: GOLDPRESS_SIGNER is not set"):
        holds.hold_here(ws, stored(ws.store, stand_in=False), "it burns")


def test_without_trust_yaml_a_hold_still_stops_a_launch(ws: Workspace) -> None:
    digest = stored(ws.store)
    holds.hold_here(ws, digest, "it burns")
    (ws.project / "trust.yaml").unlink()
    with pytest.raises(MissingError, match=r"trust\.yaml: there is no such file"):
        holds.refuse_launch(ws, digest)


@pytest.mark.parametrize(
    "task", ["publish", "verify --ami", "the trial of publish", "boot", "build-image"]
)
def test_no_task_launches_a_held_image(
    ws: Workspace, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says so before it asks for anything else: nothing of a cloud is there, nor a disk."""
    made = world(ws.store)
    ami = made.ami()
    amis.keep(ws.store, ami)
    holds.hold_here(ws, made.image, "it burns")
    pressed: Any = SimpleNamespace(digest=made.image)
    anything: Any = None
    started: list[str] = []
    monkeypatch.setattr("goldpress.machine.qemu.boot", lambda *_, **__: started.append("local"))
    monkeypatch.setattr("goldpress.machine.launch.begin", lambda *_, **__: started.append("ec2"))
    tasks: dict[str, Callable[[], object]] = {
        "publish": lambda: publishing.publish(ws, pressed),
        "verify --ami": lambda: publishing.verify_ami(ws, ami.ami),
        "the trial of publish": lambda: trial.try_ami(ws, ami, anything, rests_on=""),
        "boot": lambda: build.boot(ws, pressed),
        # What `verify` does first where there is no evidence yet: see the next test.
        "build-image": lambda: build.boot(ws, pressed, room=build.VERIFIED_ROOM),
    }
    with pytest.raises(PromotionError, match=r"not-held: .* is held since .*: it burns") as caught:
        tasks[task]()
    assert caught.value.rule == "not-held"
    assert started == []


def test_building_boots_only_by_what_asks_for_holds() -> None:
    """The one place of this machine that starts one is `build.boot`, which asks."""
    source = Path(build.__file__).parent
    users = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\bqemu\.boot\(", path.read_text())
    }
    # The embedded cloud is AWS's own part: it launches what it is told to.
    assert users == {"build.py", "emulator/machines.py"}
    launching = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\blaunch\.begin\(", path.read_text())
    }
    # Each asks before, as the next ones show.
    assert launching == {"trial.py", "sampling.py"}


def test_a_held_image_is_not_booted_here(ws: Workspace) -> None:
    digest = stored(ws.store)
    holds.hold_here(ws, digest, "it burns")
    pressed: Any = SimpleNamespace(digest=digest)
    with pytest.raises(PromotionError, match=r"not-held: .*: it burns"):
        build.boot(ws, pressed)
    assert not ws.machines.exists()


def nothing() -> Any:
    """What fails the test when anything is asked of it."""
    return SimpleNamespace()


def test_a_held_image_is_not_tried(ws: Workspace) -> None:
    digest = stored(ws.store)
    holds.hold_here(ws, digest, "it burns")
    with pytest.raises(PromotionError, match=r"not-held: .*: it burns"):
        trial.try_ami(ws, replace(AMI, image=digest), nothing(), rests_on="")


def test_a_held_image_is_no_canary(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = stored(ws.store)
    holds.hold_here(ws, digest, "it burns")
    monkeypatch.setattr(amis, "find", lambda *_: replace(AMI, image=digest))
    sampler = Sampler(ws=ws, place=nothing(), access=nothing(), trying=nothing())
    group: Any = SimpleNamespace(to_ami=AMI.ami)
    with pytest.raises(PromotionError, match=r"not-held: .*: it burns"):
        sampler.prove(group, "2", "goldpress-1")
