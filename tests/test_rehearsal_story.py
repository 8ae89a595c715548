"""The story: whatever does not hold is seen, each row for itself.

Fleet, traffic and roll are told here; tests/test_real_roll.py and `./inv demo` have real ones.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_ami import AMI

from goldpress import holds
from goldpress.ami import Ami
from goldpress.errors import PromotionError, RollError
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.rehearsal import story
from goldpress.rehearsal.project import Release
from goldpress.rehearsal.story import LAST_LINE, SETTLED_SECONDS, Story
from goldpress.rehearsal.traffic import Failure, Report

A, B, C = Release(name="A"), Release(name="B"), Release(name="C", broken=True)
GATE = time.time() + 1000
#: After whatever a test begins.
FUTURE = GATE - 5
DONE = Done(told="it is")
FAILED = Person(why="5 errors", hint="merge the revert")


def ami(name: str) -> Ami:
    letter = name.lower()
    return dataclasses.replace(AMI, ami=f"ami-{letter}", image=f"sha256:{letter * 64}")


def failure(began: float = GATE - 5, error: str = "status 500: b'release C'") -> Failure:
    return Failure(began=began, seconds=0.1, path="/release", connection=1, kept=True, error=error)


def report(**given: Any) -> Report:
    values: dict[str, Any] = {
        "requests": 500, "answered": 490, "slow": 12, "reconnected": 0, "failures": (),
        "seconds": 60.0, "latency": {}, "slow_latency": {},
        "answers": {"200 release A": 200, "200 release B": 300},
    }  # fmt: skip
    return Report(**{**values, **given})


class Fleet:
    """Its machines by look: before the roll, and from then on."""

    def __init__(self, *looks: dict[str, str], launched: dict[str, str]) -> None:
        self.looks, self._launched = list(looks), launched
        self.directories: dict[str, Any] = {}

    def members(self) -> dict[str, str]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def launched(self) -> dict[str, str]:
        return self._launched

    def machines(self) -> dict[str, Any]:
        return self.directories


@dataclasses.dataclass(kw_only=True)
class Told(Story):
    """A story whose roll ends as it is told."""

    ending: Ending
    failed: Any = None
    refusing: str = "sha256:ccc is held: it burns"
    healing: str = "it is held"

    @property
    def roller(self) -> Any:
        state = SimpleNamespace(failure=self.failed)
        return SimpleNamespace(
            status=lambda: (None, state, None),
            roll=lambda: Person(why=self.refusing, hint=""),
            rollback=lambda _: DONE,
        )

    def roll(self) -> Ending:
        return self.ending

    def _heal(self) -> None:
        raise RollError(self.healing)


def journal(path: Path, line: str) -> None:
    path.mkdir(parents=True)
    (path / "journal.export").write_bytes(f"__CURSOR=1\nMESSAGE={line}\n\n".encode())


def good(
    tmp_path: Path, *, ending: Ending = DONE, after: dict[str, str] | None = None,
    line: str = LAST_LINE, **given: Any,
) -> Told:  # fmt: skip
    before = {"i-1": "ami-a", "i-2": "ami-a"}
    now = {"i-3": "ami-b", "i-4": "ami-b"} if after is None else after
    fleet = Fleet(before, now, launched={**before, **now})
    for instance in before:
        journal(tmp_path / instance, line)
        fleet.directories[instance] = {"directory": str(tmp_path / instance)}
    return Told(
        source=tmp_path, steps=SimpleNamespace(), fleet=fleet,  # type: ignore[arg-type]
        load=SimpleNamespace(report=lambda: report(**given)),  # type: ignore[arg-type]
        promote=lambda *_: ami("B"), ending=ending,
    )  # fmt: skip


GOOD: dict[str, dict[str, Any]] = {
    "release B is rolled": {"ending": Waiting(until=5.0, why="it soaks")},
    "every machine runs release B": {"after": {"i-3": "ami-b", "i-4": "ami-a"}},
    "no request failed": {"failures": (failure(FUTURE),)},
    "users saw the old release, and then the new one": {"answers": {"200 release A": 500}},
    "the last lines of each replaced machine are at the log host": {"line": "Started nginx"},
}


def test_a_good_release(tmp_path: Path) -> None:
    rows = list(good(tmp_path).good(B))
    assert [row.name for row in rows] == list(GOOD)
    assert [row for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", GOOD)
def test_each_thing_that_a_good_release_has_to_show(tmp_path: Path, name: str) -> None:
    rows = list(good(tmp_path, **GOOD[name]).good(B))
    assert [row.name for row in rows if not row.holds] == [name]


def test_a_machine_that_was_not_replaced_is_seen(tmp_path: Path) -> None:
    rows = list(good(tmp_path, after={"i-1": "ami-b", "i-4": "ami-b"}).good(B))
    assert [row.name for row in rows if not row.holds] == ["every machine runs release B"]


def test_without_slow_requests_nothing_was_shown(tmp_path: Path) -> None:
    rows = list(good(tmp_path, slow=0).good(B))
    assert [row.name for row in rows if not row.holds] == ["no request failed"]


def refusing(text: str) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise PromotionError("rule", text)

    return refuse


HELD = refusing("it is held")


def bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ending: Ending = FAILED,
    by_hand: bool = False, members: dict[str, str] | None = None, exposed: int = 1,
    held: bool = True, pulls: int = 1, healing: str = "it is held", launching: str = "it is held",
    promoted: Callable[..., Any] = HELD, refusing_: str = "c is held",
    **given: Any,
) -> Told:  # fmt: skip
    now = {"i-3": "ami-b", "i-5": "ami-b"} if members is None else members
    gone = {f"i-c{n}": "ami-c" for n in range(exposed)}
    found = SimpleNamespace(why="5 errors") if held else None
    monkeypatch.setattr(holds, "held", lambda *_: found)
    monkeypatch.setattr(holds, "refuse_launch", refusing(launching))
    monkeypatch.setattr(story, "trust_here", lambda _: None)
    opened = [SimpleNamespace(state="open", title="back to B")] * pulls
    hub = SimpleNamespace(notice=lambda: None, pulls=opened)
    steps: Any = SimpleNamespace(
        ws=SimpleNamespace(store=None), github=SimpleNamespace(hub=hub),
        promote=promoted,
    )  # fmt: skip
    values = {"failures": (failure(),), **given}
    return Told(
        source=tmp_path, steps=steps, ending=ending, refusing=refusing_, healing=healing,
        fleet=Fleet(now, launched={**now, **gone}),  # type: ignore[arg-type]
        load=SimpleNamespace(report=lambda: report(**values)),  # type: ignore[arg-type]
        promote=lambda *_: ami("C"), amis={"B": ami("B")},
        failed=SimpleNamespace(at=GATE, why="5 errors", by_hand=by_hand),
    )  # fmt: skip


LATE = failure(GATE + SETTLED_SECONDS + 1)
BAD: dict[str, dict[str, Any]] = {
    "release C goes back by itself": {"ending": Done(told="it is")},
    "every machine runs release B": {"members": {"i-3": "ami-b", "i-5": "ami-a"}},
    "at most one machine of the fleet ever ran release C": {"exposed": 2},
    "no request failed but those that its machine answered": {
        "failures": (failure(), failure(error="ConnectionResetError: 104")),
    },
    "none of them after the gate": {"failures": (failure(), LATE)},
    "its digest is held": {"held": False},
    "the revert is proposed": {"pulls": 0},
    "roll refuses it": {"refusing_": "the network is down"},
    "promote refuses it": {"promoted": lambda: None},
    "drift --heal refuses it": {"healing": "too early"},
    "launch refuses it": {"launching": "too early"},
}


def test_a_bad_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(bad(tmp_path, monkeypatch).bad(C, B))
    assert {row.name for row in rows} == BAD.keys()
    assert [row for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", BAD)
def test_each_thing_that_a_bad_release_has_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = list(bad(tmp_path, monkeypatch, **BAD[name]).bad(C, B))
    assert [row.name for row in rows if not row.holds] == [name]


def test_a_roll_taken_back_by_hand_did_not_go_back_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list(bad(tmp_path, monkeypatch, by_hand=True).bad(C, B))
    assert [row.name for row in rows if not row.holds] == ["release C goes back by itself"]


BACK: dict[str, dict[str, Any]] = {
    "rollback: every machine runs release A again": {"members": {"i-3": "ami-a", "i-5": "ami-b"}},
    "rollback: no request failed": {"later": (failure(FUTURE),)},
    "rollback: release B is held": {"held": False},
    "rollback: the revert is merged, release A is in force": {"promoted": "B"},
}


def back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, members: dict[str, str] | None = None,
    later: tuple[Failure, ...] = (), held: bool = True, promoted: str = "A",
) -> Told:  # fmt: skip
    now = {"i-3": "ami-a", "i-5": "ami-a"} if members is None else members
    found = SimpleNamespace(why="by hand") if held else None
    monkeypatch.setattr(holds, "held", lambda *_: found)
    monkeypatch.setattr(story, "trust_here", lambda _: None)
    monkeypatch.setattr(story, "update", lambda _: None)
    merged: list[Any] = []
    hub = SimpleNamespace(notice=lambda: None, pulls=[SimpleNamespace(state="open")])
    steps: Any = SimpleNamespace(
        ws=SimpleNamespace(store=None, project=tmp_path), github=SimpleNamespace(hub=hub),
        merged=merged.append, promote=lambda: SimpleNamespace(digest=ami(promoted).image),
    )  # fmt: skip
    reports = [report(failures=later)]
    return Told(
        source=tmp_path, steps=steps, ending=DONE,
        fleet=Fleet(now, launched=now),  # type: ignore[arg-type]
        load=SimpleNamespace(report=lambda: reports.pop(0)),  # type: ignore[arg-type]
        promote=lambda *_: ami("B"), amis={"A": ami("A"), "B": ami("B")},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["", *BACK])
def test_each_thing_that_the_way_back_has_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = list(back(tmp_path, monkeypatch, **BACK.get(name, {})).back(B, A))
    assert [row.name for row in rows] == list(BACK)
    assert [row.name for row in rows if not row.holds] == ([name] if name else [])


def test_what_failed_before_a_roll_counts_and_is_told_by_when(tmp_path: Path) -> None:
    row = list(good(tmp_path, failures=(failure(time.time() - 60),)).good(B))[2]
    assert not row.holds
    assert "1 failed, from -60 s to -60 s of the roll's begin: status 500" in row.told


def test_each_failure_counts_once(tmp_path: Path) -> None:
    told = good(tmp_path, failures=(failure(time.time() - 60),))
    told.judged = 1
    assert list(told.good(B))[2].holds
