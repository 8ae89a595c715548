"""The report on an image's controls: results, waivers, what was not shown, and the bare image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from goldpress.controls import Control, Controls, Waiver
from goldpress.digest import sha256_tree
from goldpress.store import Store
from goldpress.verify import guard
from goldpress.verify.evidence import Check
from goldpress.verify.report import Report, read_report

WAIVER = Waiver(rule="CIS 1.2", reason="why", owner="us", expires="2027-01-31")
ONE = Control(
    protects="one", value="1", source=("us",), level="offline", files=("/one",), waivers=(WAIVER,)
)
TWO = Control(
    protects="two",
    value="2",
    source=("us",),
    level="offline",
    files=("/two",),
    not_exercised={"sandbox": "it has none"},
)
CONTROLS = Controls(controls={"os-one": ONE, "os-two": TWO})
FAILED = Check(control="os-one", test="t::one", outcome="failed", seconds=0.1, message="it is off")


def suite(folder: Path) -> Path:
    made = folder / "suite"
    made.mkdir(exist_ok=True)
    (made / "check.py").touch()
    return made


def evidence(folder: Path, digest: str, outcome: str = "passed") -> dict[str, object]:
    return {
        "suite_sha256": sha256_tree(suite(folder)),
        "subject": {"image_digest": digest},
        "passed": int(outcome == "passed"),
        "failed": int(outcome != "passed"),
        "not_exercised": {"os-two": "it has none"},
        "offline": [{"control": "os-one", "outcome": outcome}],
        "boots": [],
    }


def enter(store: Store, document: dict[str, object]) -> str:
    digest = store.put_document("evidence", document)
    store.enter("evidence", "web.sandbox", digest)
    return digest


def report(folder: Path, *, distribution: str = "sandbox", evidence: str = "") -> Report:
    return read_report(
        Store(root=folder / "store"),
        CONTROLS,
        image="web",
        distribution=distribution,
        suite=suite(folder),
        evidence=evidence,
    )


def compared(folder: Path) -> None:
    guard.record(
        Store(root=folder / "store"),
        CONTROLS,
        [FAILED],
        image="web",
        distribution="sandbox",
        level="offline",
        suite_sha256=sha256_tree(suite(folder)),
    )


def test_the_whole_report(tmp_path: Path) -> None:
    enter(Store(root=tmp_path / "store"), evidence(tmp_path, "sha256:1"))
    compared(tmp_path)
    assert (
        report(tmp_path).markdown()
        == """\
# Controls of web on sandbox

Image sha256:1: 1 checks passed, 0 failed. The bare image: 1 of 1 controls fail on it.

| control | offline | booted | bare | value | source | protects |
| --- | --- | --- | --- | --- | --- | --- |
| os-one | passed |  | fails | 1 | us | one |
| os-two | not exercised |  | not exercised | 2 | us | two |

## Waivers

| control | departs from | because | owner | until |
| --- | --- | --- | --- | --- |
| os-one | CIS 1.2 | why | us | 2027-01-31 |

## Not exercised on this distribution

| control | because |
| --- | --- |
| os-two | it has none |
"""
    )


def test_nothing_is_said_to_hold_that_was_not_verified(tmp_path: Path) -> None:
    said = report(tmp_path, distribution="centos-stream-9").markdown()
    assert "Not verified yet. The bare image: not compared with these checks on centos" in said
    assert "| os-one | - |  | - | 1 |" in said
    assert "Not exercised" not in said


def test_a_failure_on_the_bare_image_that_did_not_come_is_told() -> None:
    found = Report(
        image="web",
        distribution="sandbox",
        controls=CONTROLS,
        evidence=None,
        bare={"offline": {"os-one": "passed"}, "booted": {}},
        suite_sha256="",
    )
    assert found.rows[0].bare == "HOLDS"
    assert found.without.startswith("not compared")  # os-two was not
    whole: guard.Findings = {"offline": {"os-one": "passed", "os-two": "failed"}}
    assert replace(found, bare=whole).without == "1 of 2 controls fail on it"


def test_evidence_of_another_suite_is_called_so(tmp_path: Path) -> None:
    enter(Store(root=tmp_path / "store"), evidence(tmp_path, "sha256:1"))
    assert "changed" not in report(tmp_path).text()
    (suite(tmp_path) / "check.py").write_text("more")
    remark = "The suite has changed since: new checks show as FAILED."
    assert report(tmp_path).text().endswith(f"\n{remark}\n")
    assert f"0 failed. {remark} The bare image: " in report(tmp_path).markdown()


def test_the_evidence_is_the_last_one_or_the_one_that_is_named(tmp_path: Path) -> None:
    store = Store(root=tmp_path / "store")
    first = enter(store, evidence(tmp_path, "sha256:1", "failed"))
    enter(store, evidence(tmp_path, "sha256:2"))
    assert "Image sha256:2: 1 checks passed, 0 failed." in report(tmp_path).markdown()
    said = report(tmp_path, evidence=first).markdown()
    assert "Image sha256:1: 0 checks passed, 1 failed." in said
    assert "| os-one | FAILED |" in said
