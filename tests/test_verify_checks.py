"""Every check of the verify suite passes on a good machine, and fails on one that is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bad_boots
import bad_logs
import bad_machines
import bad_probes
import bad_sites
import pytest
from good_machine import GOOD, INPUT
from suites import call, given, modules, named_checks

from goldpress.host.run import run


@pytest.fixture(scope="module")
def suite() -> Iterator[dict[str, ModuleType]]:
    """The suite's modules of the booted level."""
    with modules("booted") as found:
        yield found


@pytest.fixture(scope="module")
def checks(suite: dict[str, ModuleType]) -> dict[str, Callable[..., None]]:
    """Control -> the check that proves it."""
    return dict(named_checks(suite))


def make(
    suite: dict[str, ModuleType],
    tmp_path: Path,
    sections: dict[str, tuple[int, str]],
    **changes: Any,
) -> dict[str, Any]:
    return given(suite, tmp_path, sections, {**INPUT, **changes})


def test_every_check_passes_on_a_good_machine(
    suite: dict[str, ModuleType], checks: dict[str, Callable[..., None]], tmp_path: Path
) -> None:
    known = make(suite, tmp_path, GOOD)
    for control, check in checks.items():
        call(suite, control, check, known)


def spoiled(section: str, old: str, new: str) -> tuple[int, str]:
    """The good section with all of `old` replaced; all of it when `old` is empty."""
    status, text = GOOD[section]
    assert old in text
    return status, text.replace(old, new) if old else new


WRONG = [
    *bad_boots.BAD,
    *bad_logs.BAD,
    *bad_machines.BAD,
    *bad_sites.BAD,
    *bad_probes.BAD,
    *(
        (control, section, *spoiled(section, old, new), said)
        for table in (bad_logs, bad_machines, bad_sites, bad_probes)
        for control, section, old, new, said in table.CHANGED
    ),
]


@pytest.mark.parametrize("row", WRONG, ids=lambda row: f"{row[0]}-{row[4][:30]}")
def test_a_check_fails_on_a_bad_machine(
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    row: tuple[str, str, int, str, str],
) -> None:
    control, section, status, text, message = row
    known = make(suite, tmp_path, {**GOOD, section: (status, text)})
    with pytest.raises(AssertionError, match=re.escape(message)):
        call(suite, control, checks[control], known)


def test_every_check_has_a_bad_machine(checks: dict[str, Callable[..., None]]) -> None:
    assert {row[0] for row in WRONG} == set(checks)


@pytest.mark.parametrize(
    ("control", "key", "message"),
    [
        ("packages-none-missing", "packages", "the input promises no package"),
        ("boot-services-active", "services", "the input promises no service"),
        ("web-php-domain", "services", "the input promises no pool"),
        ("web-php-user", "pools", "the input promises no pool"),
        ("web-php-exposure", "pools", "the input promises no pool"),
        ("web-php-places", "pools", "the input promises no pool"),
        ("web-probe-code-denied", "pools", "the input promises no pool"),
        ("web-probe-programs-denied", "pools", "the input promises no pool"),
        ("web-probe-network-denied", "pools", "the input promises no pool"),
        ("web-probe-secrets-denied", "pools", "the input promises no pool"),
        ("web-probe-other-pool-denied", "pools", "the input promises fewer than two pools"),
    ],
)
def test_an_empty_promise_proves_nothing(  # noqa: PLR0917 - fixtures and one row of the table
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    control: str,
    key: str,
    message: str,
) -> None:
    with pytest.raises(AssertionError, match=message):
        call(suite, control, checks[control], make(suite, tmp_path, GOOD, **{key: []}))


def test_an_unknown_key_of_the_input_is_refused(
    suite: dict[str, ModuleType], tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'pakages'"):
        make(suite, tmp_path, GOOD, pakages=[])


def test_sections_carry_output_status_and_complaints(suite: dict[str, ModuleType]) -> None:
    facts = suite["sections"]
    sections = {
        "plain": "printf 'a\\n\\nb'",
        "silent": "true",
        "bad": "echo half; echo no such thing >&2; exit 7",
        "quotes": """sh -c 'echo "it is" '"'"'quoted'"'"; (exit 3)""",
    }
    mark = "goldpress-0011"
    output = run(["sh", "-c", facts.script(sections, mark)]).text
    found = facts.parse(output, sections, mark)
    assert found["plain"] == facts.Section(status=0, text="a\n\nb", error="\n")
    assert found["silent"].lines == []
    assert (found["bad"].status, found["bad"].text) == (7, "half")
    assert found["quotes"] == facts.Section(status=3, text="it is quoted", error="\n")
    with pytest.raises(AssertionError, match="looking at 'bad' failed with 7: no such thing"):
        facts.Facts(sections=suite["watched"].Watched(found)).good("bad")


def test_an_answer_that_breaks_off_is_refused(suite: dict[str, ModuleType]) -> None:
    facts = suite["sections"]
    output = run(["sh", "-c", facts.script({"a": "echo 1"}, "m")]).text
    with pytest.raises(ValueError, match="the machine's answer has no section 'a': "):
        facts.parse(output.replace("m done a", ""), ["a"], "m")


def test_every_section_is_valid_shell(suite: dict[str, ModuleType], tmp_path: Path) -> None:
    promise = make(suite, tmp_path, GOOD)["promise"]
    names: set[str] = set()
    for batch in suite["facts"].batches(promise):
        names |= set(batch)
        for command in batch.values():
            assert run(["sh", "-n", "-c", command]).stderr == b""
    assert names == set(GOOD)
