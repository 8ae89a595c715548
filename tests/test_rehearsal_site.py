"""The hosting site: who pushed what git alone tells of, and its clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from goldpress.host.run import run
from goldpress.rehearsal.site import BOT, WEB, Hub, Person


def pushed(hub: Hub, tmp_path: Path, name: str, email: str) -> None:
    clone = tmp_path / "clone"
    if not clone.exists():
        run(["git", "clone", "-q", hub.bare, clone], timeout=60)
    (clone / "x").write_text(email)
    run(["git", "-C", clone, "add", "-A"], timeout=60)
    who = ("-c", f"user.name={name}", "-c", f"user.email={email}")
    run(["git", "-C", clone, *who, "commit", "-q", "-m", "x"], timeout=60)
    run(["git", "-C", clone, "push", "-q", "origin", "HEAD:main"], timeout=60)
    hub.notice()


def started(tmp_path: Path, pusher: str) -> Hub:
    hub = Hub(bare=tmp_path / "images.git", pusher=pusher)
    hub.commit("main", {"x": "x\n"}, by="ben", message="begin")
    return hub


@pytest.mark.parametrize(
    ("email", "by"),
    [
        (Person(login="ann").email, "ann"),
        ("x@example.org", BOT),
        (WEB["email"], "web-flow"),
    ],
)
def test_a_push_is_of_whoever_committed_last(tmp_path: Path, email: str, by: str) -> None:
    hub = started(tmp_path, "")
    pushed(hub, tmp_path, "somebody", email)
    assert (hub.activity[-1].by, hub.activity[-1].kind) == (by, "push")


def test_or_of_who_is_said_to_push(tmp_path: Path) -> None:
    hub = started(tmp_path, "ben")
    pushed(hub, tmp_path, "ann", Person(login="ann").email)
    assert hub.activity[-1].by == "ben"


def test_a_branch_that_goes_was_somebodys(tmp_path: Path) -> None:
    hub = started(tmp_path, "")
    hub.commit("gone", {"y": "y\n"}, by="ann")
    hub.git("update-ref", "-d", "refs/heads/gone")
    hub.notice()
    assert (hub.activity[-1].by, hub.activity[-1].kind) == ("ann", "branch_deletion")


def test_what_happens_later_has_a_later_second_whatever_the_clock_says(tmp_path: Path) -> None:
    moments = [datetime(2027, 1, 1, second=s, tzinfo=UTC) for s in (5, 5, 3, 30)]
    hub = Hub(bare=tmp_path / "images.git", clock=iter(moments).__next__)
    assert [hub.now()[-3:] for _ in moments] == ["05Z", "06Z", "07Z", "30Z"]
