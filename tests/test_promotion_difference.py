"""What two images differ in, as far as each is known."""

from __future__ import annotations

from dataclasses import replace

import proposals
from channels import ONE, TWO
from signed import manifest

from goldpress.promotion.difference import ImageDifference, compare_parts
from goldpress.promotion.side import Component, components_of, verified_of
from goldpress.statements.sbom import Bill
from goldpress.statements.sbom import Component as Package
from goldpress.verify.evidence import Boot, Check, Evidence, Subject, VerifiedMachine


def part(name: str, version: str = "1", licence: str = "MIT") -> Component:
    return Component(name=name, version=version, licence=licence)


def check(test: str, outcome: str = "passed") -> Check:
    return Check(control="C", test=test, outcome=outcome, seconds=1.0)  # type: ignore[arg-type]


def boot(number: int, *checks: Check, seconds: float = 20.5) -> Boot:
    return Boot(
        number=number,
        host_key="k",
        checks=checks,
        faults=(),
        started="2026-11-23T00:00:00Z",
        ended="2026-11-23T00:01:00Z",
        boot_to_200_seconds=seconds,
        console_sha256="",
        junit_sha256="",
    )


def evidence(*boots: Boot) -> Evidence:
    return Evidence(
        subject=Subject(image_digest=ONE, disk_sha256="d"),
        distribution="sandbox",
        stand_in=True,
        machine=VerifiedMachine(kind="qemu", firmware="uefi", accelerator="tcg", uuid="u"),
        suite_sha256="s",
        input_digest="i",
        not_exercised={"TPM": "there is none"},
        offline=(check("tree"),),
        boots=boots,
    )


def test_evidence_becomes_what_was_checked_and_how_it_booted() -> None:
    found = verified_of(evidence(boot(1, check("a")), boot(2, check("a"), seconds=18.25)))
    assert found.passed == {"C tree", "C a"}
    assert found.failed == frozenset()
    assert found.not_exercised == {"TPM"}
    assert found.boot_seconds == (20.5, 18.25)
    assert (found.place, found.accelerator) == ("a local machine", "tcg")


def test_what_failed_at_one_boot_did_not_pass() -> None:
    found = verified_of(evidence(boot(1, check("a")), boot(2, check("a", "failed"))))
    assert found.passed == {"C tree"}
    assert found.failed == {"C a"}


def test_a_bill_becomes_parts_with_their_architecture() -> None:
    row = Package(
        name="bash", evr="0:5.1-9.el9", arch="x86_64", sha256="a" * 64, repository="baseos",
        source_rpm="bash-5.1-9.el9.src.rpm", signer="A" * 40, license="GPLv3+", vendor="CentOS",
        url="",
    )  # fmt: skip
    made = manifest()
    bill = Bill(
        image=made.digest, name="web", distribution="sandbox", stand_in=True, arch="x86_64",
        disk_sha256=made.disk_sha256, epoch=0, components=(row,),
    )  # fmt: skip
    assert components_of(bill) == {part("bash.x86_64", "5.1-9.el9", "GPLv3+")}


def test_checks_are_compared_on_each_kind_of_machine_that_both_have() -> None:
    difference = proposals.web().difference
    local, remote = difference.checks
    assert (local.machine, local.new, local.gone) == ("qemu", ("TLS_13 test_tls",), ())
    assert (remote.machine, remote.gone) == ("ec2", ("SSH_ROOT test_2",))
    assert difference.before
    only = replace(difference.before, verified=difference.before.verified[:1])
    assert [row.machine for row in replace(difference, before=only).checks] == ["qemu"]


def test_a_check_that_failed_is_no_check_that_is_gone() -> None:
    difference = proposals.web().difference
    local = difference.after.verified[0]
    some = frozenset({"SSH_ROOT test_0"})
    failed = replace(local, passed=local.passed - some, failed=some)
    (found,) = replace(difference, after=replace(difference.after, verified=(failed,))).checks
    assert found.gone == ()


def test_parts_are_added_removed_changed_and_relicensed() -> None:
    before = frozenset({part("a"), part("b"), part("c"), part("d")})
    after = frozenset({part("a"), part("b", "2"), part("c", licence="GPL"), part("e")})
    found = compare_parts(before, after)
    assert found.added == (part("e"),)
    assert found.removed == (part("d"),)
    assert found.changed == ((part("b"), part("b", "2")),)
    assert found.relicensed == ((part("c"), part("c", licence="GPL")),)


def test_of_several_versions_of_one_part_each_counts() -> None:
    found = compare_parts(frozenset({part("k", "1")}), frozenset({part("k", "2"), part("k", "3")}))
    assert found.added == (part("k", "2"),)
    assert found.changed == ((part("k", "1"), part("k", "3")),)


def test_without_a_side_there_is_nothing_to_compare() -> None:
    found = ImageDifference(before=None, after=proposals.image(TWO, newer=True), packages=None)
    assert found.checks == ()
    assert found.parts is None
    bare = replace(proposals.image(ONE, newer=False), components=frozenset())
    assert replace(found, before=bare).parts is None
