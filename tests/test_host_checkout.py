"""What git says of a checkout: its commit, and whether it was changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gits import Checkout, make_checkout

from goldpress.errors import CommandError
from goldpress.host.checkout import state
from goldpress.host.run import CLEAN_ENVIRONMENT


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = make_checkout(tmp_path / "project")
    made.commit("image: none\n", "web/channels/prod.yaml")
    return made


def test_a_clean_checkout_is_its_commit(checkout: Checkout) -> None:
    assert state(checkout.root) == (checkout.git("rev-parse", "HEAD"), True)


def test_a_change_is_seen_also_of_a_file_that_git_does_not_know(checkout: Checkout) -> None:
    head = checkout.git("rev-parse", "HEAD")
    (checkout.root / "new").write_text("x")
    assert state(checkout.root) == (head, False)
    (checkout.root / "new").unlink()
    (checkout.root / "README").write_text("changed\n")
    assert state(checkout.root) == (head, False)
    checkout.git("add", "-A")
    assert state(checkout.root) == (head, False)


def test_a_new_lock_is_no_change(checkout: Checkout) -> None:
    """What is built at night is of a lock that is not committed yet; its digest is said."""
    head = checkout.git("rev-parse", "HEAD")
    checkout.write("{}")
    assert state(checkout.root) == (head, True)
    checkout.git("add", "-A")
    assert state(checkout.root) == (head, True)
    checkout.write("x", "web/locks/deep/x.json")
    assert state(checkout.root) == (head, False)


def test_without_git_there_is_no_commit(tmp_path: Path) -> None:
    assert state(tmp_path) == ("", False)
    (tmp_path / "empty").mkdir()
    Checkout(root=tmp_path / "empty").git("init", "-q")
    assert state(tmp_path / "empty") == ("", False)


def test_what_only_this_person_ignores_is_a_change(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[core]\n\texcludesFile = {home / 'ignored'}\n")
    (home / "ignored").write_text("*.local\n")
    monkeypatch.setenv("HOME", str(home))
    (checkout.root / "x.local").write_text("x")
    assert not state(checkout.root)[1]


def test_what_the_project_ignores_is_none(checkout: Checkout) -> None:
    (checkout.root / ".gitignore").write_text("/build/\n")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "ignore")
    (checkout.root / "build").mkdir()
    (checkout.root / "build/x").write_text("x")
    assert state(checkout.root)[1]


def test_a_checkout_that_cannot_be_looked_at_is_told(checkout: Checkout) -> None:
    (checkout.root / ".git/index").write_bytes(b"spoiled")
    with pytest.raises(CommandError, match="index file"):
        state(checkout.root)


def test_a_checkout_that_another_user_made_is_one(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job's container runs as root on what the runner made: git alone refuses to look."""
    head = checkout.git("rev-parse", "HEAD")
    another = {**CLEAN_ENVIRONMENT, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    monkeypatch.setattr("goldpress.host.run.CLEAN_ENVIRONMENT", another)
    assert state(checkout.root) == (head, True)
    monkeypatch.setattr("goldpress.host.git.TRUSTED", ())
    assert state(checkout.root) == ("", False)
