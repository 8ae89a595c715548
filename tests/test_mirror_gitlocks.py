"""Locks on every live ref are found; what cannot be seen stops gc."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gits import Checkout, lock_text, make_checkout

from goldpress.digest import sha256_bytes
from goldpress.errors import DocumentError, MissingError
from goldpress.mirror.gitlocks import committed, git_locks, parse_root

A, B, C, D, E = (sha256_bytes(name) for name in (b"a", b"b", b"c", b"d", b"e"))
SNAPSHOT = f"sha256:{sha256_bytes(b'snapshot')}"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path / "project")


def packages(checkout: Checkout) -> set[str]:
    return {sha256 for root in git_locks(checkout.root) for sha256 in root.packages}


def test_branches_tags_and_the_work_tree_are_live(checkout: Checkout) -> None:
    checkout.commit(lock_text([A]))
    checkout.git("tag", "-a", "-m", "one", "v1")
    checkout.commit(lock_text([B]))
    checkout.git("checkout", "-q", "-b", "topic")
    checkout.commit(lock_text([C]))
    checkout.git("checkout", "-q", "main")
    checkout.git("checkout", "-q", "--detach")
    checkout.commit(lock_text([D]))
    checkout.write(lock_text([E]))
    assert packages(checkout) == {A, B, C, D, E}


def test_what_only_history_has_is_not_live(checkout: Checkout) -> None:
    checkout.commit(lock_text([A]))
    checkout.commit(lock_text([B]))
    checkout.git("branch", "gone")
    checkout.git("branch", "-D", "gone")
    assert packages(checkout) == {B}


def test_a_lock_tells_its_snapshots(checkout: Checkout) -> None:
    checkout.commit(lock_text([A, B], SNAPSHOT))
    (root, same) = git_locks(checkout.root)
    assert root.packages == same.packages == {A, B}
    assert root.snapshots == {SNAPSHOT}
    assert root.where.endswith(":images/web/locks/test-9.x86_64.json")


def test_other_files_are_no_locks(checkout: Checkout) -> None:
    for name in ("web/image.yaml", "web/locks/README", "web/files/locks/x.json", "locks/x.json"):
        checkout.commit("no lock at all", name)
    checkout.commit(lock_text([A]), "web/locks/test-9.aarch64.json")
    assert packages(checkout) == {A}


def test_another_work_tree_is_live(checkout: Checkout, tmp_path: Path) -> None:
    checkout.git("worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    Checkout(root=tmp_path / "other").write(lock_text([A]))
    assert packages(checkout) == {A}
    shutil.rmtree(tmp_path / "other")
    assert packages(checkout) == set()


def test_a_project_in_a_folder_of_a_repository(tmp_path: Path) -> None:
    outer = make_checkout(tmp_path / "outer")
    inner = Checkout(root=outer.root / "golden")
    inner.root.mkdir()
    inner.commit(lock_text([A]))
    inner.git("branch", "topic")
    inner.commit(lock_text([B]))
    outer.commit(lock_text([C]))
    assert packages(inner) == {A, B}


def test_a_tag_of_a_blob_has_no_locks(checkout: Checkout) -> None:
    checkout.commit(lock_text([A]))
    blob = checkout.git("hash-object", "-w", "README")
    checkout.git("tag", "-a", "-m", "a key", "key", blob)
    assert packages(checkout) == {A}


def test_a_remote_branch_that_was_not_fetched_stops(checkout: Checkout, tmp_path: Path) -> None:
    """What a fresh clone of one branch has, as in CI, is not all that is live."""
    checkout.commit(lock_text([A]))
    checkout.git("clone", "-q", "--single-branch", ".", str(tmp_path / "clone"))
    clone = Checkout(root=tmp_path / "clone")
    assert packages(clone) == {A}
    checkout.git("checkout", "-q", "-b", "topic")
    checkout.commit(lock_text([B]))
    with pytest.raises(MissingError) as caught:
        git_locks(clone.root)
    assert caught.value.message == (
        "origin refs/heads/topic is not in this checkout, so its locks cannot be read"
    )
    assert caught.value.hint == "run `git fetch --all --tags`"
    clone.git("fetch", "-q", "origin", "topic")
    assert packages(clone) == {A, B}


def test_a_remote_that_does_not_answer_stops(checkout: Checkout, tmp_path: Path) -> None:
    checkout.commit(lock_text([A]))
    checkout.git("remote", "add", "away", str(tmp_path / "nowhere"))
    with pytest.raises(MissingError) as caught:
        git_locks(checkout.root)
    assert caught.value.message.startswith("away: its branches cannot be read: git ls-remote")
    assert "git remote remove away" in caught.value.hint


def test_what_is_no_checkout_stops(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        git_locks(tmp_path)
    assert "the locks on its branches cannot be read" in caught.value.message
    assert "not a git repository" in caught.value.message


def test_a_branch_whose_objects_are_gone_stops(checkout: Checkout) -> None:
    head = checkout.commit(lock_text([A]))
    checkout.git("branch", "broken")
    checkout.commit(lock_text([B]))
    (checkout.root / ".git/objects" / head[:2] / head[2:]).unlink()
    with pytest.raises(MissingError, match="refs/heads/broken is not in this checkout"):
        git_locks(checkout.root)


def test_a_lock_that_cannot_be_read_stops(checkout: Checkout) -> None:
    checkout.commit("<<<<<<< HEAD")
    checkout.git("branch", "conflict")
    checkout.commit(lock_text([A]))
    with pytest.raises(DocumentError) as caught:
        git_locks(checkout.root)
    assert caught.value.message == (
        "refs/heads/conflict:images/web/locks/test-9.x86_64.json: not a lock that can be read"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"packages": [], "snapshots": {"a": "sha256:@"}}',
        '{"packages": [{"name": "a"}], "snapshots": {}}',
        '{"packages": [{"sha256": "@"}]}',
        '{"packages": [{"sha256": "@"}], "snapshot": "sha256:12"}',
        '{"packages": [{"sha256": "12"}], "snapshot": "sha256:@"}',
        '{"packages": [{"sha256": "@"}], "snapshots": {"a": null}}',
    ],
)
def test_half_a_lock_is_none(text: str) -> None:
    with pytest.raises(DocumentError, match="here: not a lock that can be read"):
        parse_root(text.replace("@", A).encode(), where="here")


def test_an_older_lock_is_read_too() -> None:
    text = json.dumps({"packages": [{"sha256": A}], "snapshot": SNAPSHOT})
    root = parse_root(text.encode(), where="here")
    assert root.packages == {A}
    assert root.snapshots == {SNAPSHOT}


def test_a_file_is_read_as_it_was_committed(checkout: Checkout) -> None:
    path = checkout.write("one")
    checkout.commit("one")
    checkout.git("tag", "v1")
    checkout.commit("two")
    checkout.write("three")
    found = {ref: committed(checkout.root, path, ref) for ref in ("v1", "HEAD", "main", "HEAD~1")}
    assert found == {"v1": b"one", "HEAD": b"two", "main": b"two", "HEAD~1": b"one"}


def test_a_file_that_was_not_committed_or_a_commit_that_is_none_is_told(
    checkout: Checkout,
) -> None:
    path = checkout.write("one")
    with pytest.raises(MissingError, match=r"^HEAD has no images/web/locks/test-9\.x86_64\.json"):
        committed(checkout.root, path, "HEAD")
    checkout.commit("one")
    blob = checkout.git("rev-parse", f"HEAD:{path.relative_to(checkout.root)}")
    for ref in ("nowhere", "-h", "HEAD:images", blob):
        with pytest.raises(MissingError) as caught:
            committed(checkout.root, path, ref)
        assert caught.value.message == f"git knows no commit {ref!r}"


def test_what_is_no_checkout_has_nothing_committed(tmp_path: Path) -> None:
    path = tmp_path / "images" / "lock.json"
    with pytest.raises(MissingError) as caught:
        committed(tmp_path, path, "HEAD")
    assert "what images/lock.json was before cannot be read" in caught.value.message
    assert caught.value.hint == "run it in a checkout of the project"
