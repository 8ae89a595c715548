from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import solv
from centos import packages_of
from hypothesis import given
from hypothesis import strategies as st

from goldpress.host.run import run
from goldpress.mirror.difference.evr import evr_order, version_order

#: Real versions and releases, and pairs from rpm's own tests.
TEXTS = (
    *("1.0", "1.0.0", "1.", "1", "01", "1.0~rc1", "1.0~", "1.0^", "1.0^git1", "1.0^git1~pre"),
    *("1.0a", "1.0b", "1.0.a", "a", "A", "z", "10", "9", "2_0", "2.0", "2.0.1a", "2.0.1", "xyz.4"),
    *("20.el9", "20.el9_4.1", "20.el9~1", "20.el9.1", "9.el9", "10.el9", "1.fc40", "~~a", "^a"),
    *("1.module_el9+1234+abcdef01", "1.module_el9+999+ffffffff", "503.11.1.el9_5", "503.el9"),
    *("5.14.0", "99999999999999999999", "100000000000000000000", "0", "000", ".", "...", "1..1"),
)


def sign(one: Any, two: Any) -> int:
    return int(one > two) - int(one < two)


def test_versions_compare_as_rpm_does() -> None:
    for one in TEXTS:
        calls = "".join(f"print(rpm.vercmp('{one}','{two}'),' ')" for two in TEXTS)
        found = run(["rpm", "--eval", f"%{{lua:{calls}}}"], timeout=60).text.split()
        own = [sign(version_order(one), version_order(two)) for two in TEXTS]
        assert [int(n) for n in found] == own, one


class Solv:
    """libsolv's order of versions."""

    def __init__(self) -> None:
        self.pool = solv.Pool()
        self.pool.setdisttype(solv.Pool.DISTTYPE_RPM)
        repo = self.pool.add_repo("test")
        self.one, self.two = repo.add_solvable(), repo.add_solvable()

    def sign(self, one: str, two: str) -> int:
        self.one.evr, self.two.evr = one, two
        return sign(self.one.evrcmp(self.two), 0)


SOLV = Solv()
VERSIONS = st.text(alphabet="019abzAZ~^.+_", min_size=1, max_size=12)


@given(one=VERSIONS, two=VERSIONS)
def test_versions_compare_as_libsolv_does(one: str, two: str) -> None:
    assert sign(version_order(one), version_order(two)) == SOLV.sign(f"0:{one}-1", f"0:{two}-1")


def test_the_epoch_comes_first_and_the_release_last() -> None:
    assert evr_order(1, "1.24", "1") < evr_order(2, "1.20.1", "1")
    assert evr_order(0, "1.24", "9") < evr_order(0, "1.24", "10")
    assert evr_order(0, "1.24", "9") == evr_order(0, "1.24", "09")


def test_numbers_of_any_length_are_numbers() -> None:
    assert version_order("9" * 10_000) < version_order("1" + "0" * 10_000)


@pytest.mark.metadata
def test_all_real_versions_sort_as_libsolv_sorts_them(real_metadata: Path) -> None:
    tag = "{http://linux.duke.edu/metadata/common}version"
    by_name: dict[str, set[tuple[int, str, str]]] = {}
    for file in sorted(real_metadata.glob("*/repodata/*-primary.xml.gz")):
        for package in packages_of(file):
            version = package.find(tag)
            assert version is not None
            found = version.attrib
            row = (int(found["epoch"]), found["ver"], found["rel"])
            by_name.setdefault(package[0].text or "", set()).add(row)
    compared = 0
    for rows in by_name.values():
        for one, two in itertools.combinations(rows, 2):
            texts = [f"{epoch}:{version}-{release}" for epoch, version, release in (one, two)]
            assert sign(evr_order(*one), evr_order(*two)) == SOLV.sign(*texts), texts
            compared += 1
    assert compared > 10_000
