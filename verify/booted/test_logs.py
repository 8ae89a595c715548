"""Owns the checks of logs that leave the machine."""

from __future__ import annotations

import pytest
from sections import Facts

UNITS = {"goldpress-logs.service", "goldpress-logs-last.service"}
DOMAIN = ":gp_logs_t:"
SKIPPED = {
    "LoadState": "loaded",
    "ActiveState": "inactive",
    "ConditionResult": "no",
    "Result": "success",
}


@pytest.mark.control("os-logs-shipped")
def test_logs_are_sent(facts: Facts) -> None:
    """With a log host in the user data the journal arrives there; without one nothing is sent."""
    said = facts.good("logs").text
    shown = {}
    for block in said.split("\n\n"):
        row = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in row:
            shown[row.pop("Id")] = row
    assert shown.keys() == UNITS, f"systemd knows {sorted(shown)}"
    absent = sorted(unit for unit, row in shown.items() if row["LoadState"] != "loaded")
    assert not absent, f"the image has no {' and no '.join(absent)}"
    running = [row for row in facts.good("processes").lines if DOMAIN in row]
    if said.startswith("named"):
        states = [f"{unit} is {row['ActiveState']}" for unit, row in shown.items()]
        wrong = [state for state in states if not state.endswith(" active")]
        assert not wrong, f"the user data names a log host, but {', '.join(wrong)}"
        assert "LAST_CURSOR=" in said, "the log host has not acknowledged a line"
        assert running, "no process runs in gp_logs_t"
    else:
        wrong = [unit for unit, row in shown.items() if row != SKIPPED]
        assert not wrong, f"the user data names no log host: {', '.join(wrong)} is not skipped"
        assert not running, f"the user data names no log host, but there is {running[0]}"
