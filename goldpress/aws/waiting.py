"""Owns waiting for AWS: bounded, told, and ended by what cannot get better."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from goldpress.errors import CloudError

Found = TypeVar("Found")


def wait_until(
    what: str,
    probe: Callable[[], tuple[Found | None, str]],
    *,
    seconds: float,
    poll: float,
    times: int = 1,
    told: Callable[[str], None] = lambda _: None,
) -> Found:
    """What `probe` finds, once it found it `times` times in a row.

    `probe` returns (what it found or None, the state in a word); the state is told each time.
    Raises CloudError when `seconds` have passed; what `probe` raises passes through.
    """
    began = time.monotonic()
    row = 0
    while True:
        found, state = probe()
        passed = time.monotonic() - began
        row = row + 1 if found is not None else 0
        if found is not None and row >= times:
            return found
        if passed > seconds:
            raise CloudError(
                f"{what}: still {state or 'nothing'} after {passed:.0f} s",
                hint="AWS's health dashboard may tell why; run the command again to go on waiting",
            )
        told(f"{state}, {passed:.0f} s")
        time.sleep(poll)
