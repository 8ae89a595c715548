from __future__ import annotations

import pytest
from rich.status import Status
from rich.table import Table
from rich.text import Text

from goldpress import progress
from goldpress.progress import Step, Transfers, transfer_text, transfers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 182, 0, 358_000_000, 0.0), "0 of 182 files, 0.0 of 358.0 MB"),
        (
            (12, 182, 34_500_000, 358_000_000, 11_200_000.0),
            "12 of 182 files, 34.5 of 358.0 MB, 11.2 MB/s, 0:29 left",
        ),
        (
            (1, 2, 0, 72_610_000, 10_000.0),
            "1 of 2 files, 0.0 of 72.6 MB, 0.0 MB/s, 2:01:01 left",
        ),
        # Upstream may promise less than it sends; then nothing is left.
        ((1, 2, 20, 10, 10.0), "1 of 2 files, 0.0 of 0.0 MB, 0.0 MB/s, 0:00 left"),
    ],
)
def test_transfers_tell_files_bytes_rate_and_time_left(
    values: tuple[int, int, int, int, float], expected: str
) -> None:
    assert transfer_text(*values) == expected


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown(Status):
    """A live line that only remembers."""

    def __init__(self) -> None:
        super().__init__("")
        self.lines: list[object] = []

    def update(self, status: object = None, **_: object) -> None:
        self.lines.append(status)


def test_a_rate_is_of_the_last_seconds() -> None:
    clock, shown = Clock(), Shown()
    running = Transfers(step=Step(name="files", status=shown), files=2, size=1000, clock=clock)
    running.bytes(100)
    assert shown.lines == []
    for _ in range(10):
        clock.now += 1
        running.bytes(10)
    assert str(shown.lines[-1]).endswith("0 of 2 files, 0.0 of 0.0 MB, 0.0 MB/s, 1:20 left[/dim]")
    clock.now += 1
    running.bytes(-200)
    running.file()
    assert (running.received, running.here) == (0, 1)


def test_off_a_terminal_there_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    running = Transfers(step=Step(name="packages"), files=2, size=100_000_000, clock=clock)
    for _ in range(61):
        clock.now += 1
        running.bytes(1_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "  …  packages  0 of 2 files, 30.0 of 100.0 MB, 1.0 MB/s, 1:10 left",
        "  …  packages  0 of 2 files, 60.0 of 100.0 MB, 1.0 MB/s, 0:40 left",
    ]


def test_in_the_end_it_says_what_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "RECORDS", [])
    with transfers("packages", files=1, size=2_000_000) as running:
        running.bytes(2_000_000)
        running.file()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "  …  packages  (1 to bring, 2.0 MB)"
    assert last.startswith("    ok  packages  0.0 s  1 files, 2.0 MB, ")
    assert last.endswith(" MB/s")
    assert [record.name for record in progress.RECORDS] == ["packages"]


def test_a_result_goes_to_stdout_and_is_wide_where_no_terminal_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table("name", "text")
    table.add_row(Text("x" * 120), Text("[y]"))
    progress.result(table)
    out, errors = capsys.readouterr()
    assert errors == ""
    assert "x" * 120 in out
    assert "[y]" in out
    assert "\x1b" not in out
