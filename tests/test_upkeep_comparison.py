"""What people compare: snapshots by name, and a lock with the one that was committed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from comparing import add, ids, kinds, log, source, update
from gits import Checkout
from mirrored import Mirrored
from rpms import Rpms, make_rpm

from goldpress.distribution import Distribution
from goldpress.errors import DocumentError, MissingError
from goldpress.mirror.difference.change import Difference
from goldpress.upkeep.comparison import compare, compare_locks

LATER = "fix CVE-2026-1111"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, rpms: Rpms) -> tuple[Path, Path]:
    """Two versions of `needed`; the later one's changelog names what it fixes."""
    top = tmp_path_factory.mktemp("versions")
    one = make_rpm(top / "one", "needed", version="1.5", changelog=log("begin"))
    two = make_rpm(top / "two", "needed", version="1.6", changelog=log("begin", LATER))
    for path in (one, two):
        rpms.key.sign(path)
    return one, two


@pytest.fixture
def moved(mirrored: Mirrored, rpms: Rpms, versions: tuple[Path, Path]) -> Mirrored:
    """The lock is committed; since then upstream has a later `needed`, and was synced."""
    older, newer = versions
    mirrored.offer("base", rpms.good, older)
    mirrored.sync()
    mirrored.lock()
    mirrored.commit()
    mirrored.offer("base", rpms.good, newer)
    mirrored.sync()
    return mirrored


def since(project: Mirrored, ref: str = "HEAD") -> Difference:
    return compare_locks(project.ws, *project.both(), since=ref)


def with_errata(project: Mirrored, rpms: Rpms) -> None:
    """Another distribution has the same packages, and advisories about them."""
    project.distribution("alma-9", "alma", more="errata_for: test-9")
    base = project.offer("alma", rpms.needed)
    advisory = update("ALSA-1", "needed", "1.6", "CVE-2026-2222")
    add(base, "updateinfo", f"<updates>{advisory}</updates>")
    project.sync(only=["alma-9"])


def test_two_snapshots_by_their_names(moved: Mirrored) -> None:
    found = compare(moved.ws, "test-9~1", "test-9")
    assert kinds(found) == [("up", "needed")]
    assert ids(source(found, "needed")) == ["CVE-2026-1111"]


def test_errata_of_another_distribution_count(moved: Mirrored, rpms: Rpms) -> None:
    with_errata(moved, rpms)
    found = compare(moved.ws, "test-9~1", "test-9")
    assert ids(source(found, "needed")) == ["CVE-2026-1111", "CVE-2026-2222"]
    moved.lock()
    assert ids(source(since(moved), "needed")) == ["CVE-2026-1111", "CVE-2026-2222"]


def test_errata_that_were_never_synced_are_none(moved: Mirrored) -> None:
    moved.distribution("alma-9", "alma", more="errata_for: test-9")
    assert kinds(compare(moved.ws, "test-9~1", "test-9")) == [("up", "needed")]


def test_an_unknown_snapshot_is_told(moved: Mirrored) -> None:
    with pytest.raises(MissingError) as caught:
        compare(moved.ws, "test-9~1", "test-8")
    assert str(caught.value) == "no snapshot is called 'test-8'\n  there are: test-9.x86_64"


def test_the_lock_is_compared_with_the_committed_one(moved: Mirrored) -> None:
    assert kinds(since(moved)) == []
    moved.lock()
    assert kinds(since(moved)) == [("up", "needed")]
    moved.commit()
    assert kinds(since(moved)) == []
    assert kinds(since(moved, "HEAD~1")) == [("up", "needed")]


def test_a_project_in_a_folder_of_a_checkout(moved: Mirrored) -> None:
    shutil.rmtree(moved.project / ".git")
    outer = Checkout(root=moved.top)
    (outer.root / ".gitignore").write_text("/build/\n/upstream/\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        outer.git(*words)
    moved.lock()
    assert kinds(since(moved)) == [("up", "needed")]


def test_a_lock_that_was_not_committed_is_told(mirrored: Mirrored) -> None:
    mirrored.sync()
    mirrored.lock()
    with pytest.raises(MissingError) as caught:
        since(mirrored)
    assert str(caught.value) == (
        "HEAD has no images/app/locks/test-9.x86_64.json\n"
        "  name a commit that has it: --since=COMMIT"
    )


@pytest.mark.parametrize("ref", ["nowhere", "--upload-pack=x", "HEAD:images", "", "HEAD~99"])
def test_an_unknown_commit_is_told(moved: Mirrored, ref: str) -> None:
    with pytest.raises(MissingError) as caught:
        since(moved, ref)
    assert caught.value.message == f"git knows no commit {ref!r}"


def test_what_is_no_checkout_is_told(moved: Mirrored) -> None:
    shutil.rmtree(moved.project / ".git")
    with pytest.raises(MissingError) as caught:
        since(moved)
    assert "what images/app/locks/test-9.x86_64.json was before cannot be read" in str(caught.value)
    assert "not a git repository" in caught.value.message


def test_an_earlier_lock_that_cannot_be_read_is_named_as_git_does(moved: Mirrored) -> None:
    path = moved.lock_path()
    good = path.read_bytes()
    path.write_text('{"lock_version": 1}')
    moved.commit()
    path.write_bytes(good)
    with pytest.raises(DocumentError) as caught:
        since(moved)
    assert caught.value.message == (
        "HEAD:images/app/locks/test-9.x86_64.json: lock_version: is 1, this goldpress reads 2"
    )


def test_no_lock_in_the_work_tree_is_told(moved: Mirrored) -> None:
    moved.lock_path().unlink()
    with pytest.raises(MissingError, match=r"test-9\.x86_64\.json: there is no lock yet"):
        since(moved)


def test_what_is_made_on_this_machine_has_no_past(moved: Mirrored) -> None:
    definition, real = moved.both()
    made = Distribution.model_copy(real, update={"made": True, "name": "Sandbox"})
    with pytest.raises(MissingError, match="the lock for Sandbox is not in git: it is made on"):
        compare_locks(moved.ws, definition, made)
