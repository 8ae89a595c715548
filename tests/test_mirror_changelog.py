from __future__ import annotations

from pathlib import Path

import pytest
from rpms import make_repository, make_rpm

from goldpress.digest import sha256_file
from goldpress.errors import TrustError
from goldpress.mirror.metadata.changelog import Entry, cves_in, news, read_other
from goldpress.mirror.metadata.opened import opened

ONE, TWO = "1" * 64, "2" * 64

#: As they come: RHEL's kernel, a fix, mass rebuilds, one that only mentions a rebuild.
KERNEL = """\
* Tue Jan 07 2025 Some One <one@example.org> [5.14.0-547.el9]
- hv_sock: no dangling pointer (A. Developer) [RHEL-72001] {CVE-2024-53103}
- vsock: initialize vsk->trans (A. Developer) [RHEL-68022] {CVE-2024-50264}
  Resolves: RHEL-68022, RHEL-72001

* Tue Jan 07 2025 Some One <one@example.org> [5.14.0-546.el9]
- Revert "something" (B. Developer) [RHEL-1]
"""


def entry(key: str, *cves: str, text: str = "", rebuild: bool = False) -> Entry:
    return Entry(key=key, text=text or key, cves=cves, rebuild=rebuild)


def other(*packages: str, announced: int | None = None) -> list[bytes]:
    count = len(packages) if announced is None else announced
    head = f'<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="{count}">'
    return [
        b'<?xml version="1.0" encoding="UTF-8"?>\n',
        "\n".join((head, *packages, "</otherdata>\n")).encode(),
    ]


def package(sha256: str, *texts: str, date: str = "1736251200") -> str:
    logs = "".join(
        f'<changelog author="A - 1-1" date="{date}">{text}</changelog>' for text in texts
    )
    return (
        f'<package pkgid="{sha256}" name="p" arch="noarch">'
        f'<version epoch="0" ver="1" rel="1"/>{logs}</package>'
    )


def logs_of(base: Path) -> dict[str, tuple[Entry, ...]]:
    (file,) = (base / "repodata").glob("*-other.xml.gz")
    wanted = frozenset(sha256_file(path) for path in base.glob("Packages/*.rpm"))
    return dict(read_other(opened(file), wanted))


def test_ids_are_found_however_they_are_written() -> None:
    text = "fix {CVE-2024-50264} (cve-2023-1234); CVE-2024-9, xCVE-2022-0001, CVE-2021-44228/45046"
    assert cves_in(text, "Resolves: CVE-2024-10000, CVE-2024-9999") == (
        *("CVE-2021-44228", "CVE-2023-1234", "CVE-2024-9999", "CVE-2024-10000", "CVE-2024-50264"),
    )


def test_what_createrepo_keeps_is_read(tmp_path: Path) -> None:
    made = make_rpm(tmp_path, "kernel", version="5.14.0", changelog=KERNEL)
    ((sha256, log),) = logs_of(make_repository(tmp_path / "r", made)).items()
    assert sha256 == sha256_file(made)
    assert [row.cves for row in log] == [(), ("CVE-2024-50264", "CVE-2024-53103")]
    assert len({row.key for row in log}) == 2
    assert not any(row.rebuild for row in log)


def test_only_the_wanted_packages_are_read() -> None:
    chunks = other(package(ONE, "- one"), package(TWO, "- two"))
    assert [sha256 for sha256, _ in read_other(chunks, frozenset({TWO}))] == [TWO]


def test_dates_that_createrepo_moved_are_the_same_day(tmp_path: Path) -> None:
    first = "* Tue Jan 07 2025 A <a@b.c> - 1.0-1\n- first\n"
    second = f"* Tue Jan 07 2025 A <a@b.c> - 1.0-2\n- second CVE-2024-1111\n\n{first}"
    third = f"* Tue Jan 07 2025 A <a@b.c> - 1.0-3\n- third CVE-2024-2222\n\n{second}"
    made = [
        make_rpm(tmp_path / release, "p", release=release, changelog=changelog)
        for release, changelog in (("2", second), ("3", third))
    ]
    # With two entries kept, the second one is the first of its day in one file and not the other.
    older, newer = (
        next(iter(logs_of(make_repository(tmp_path / f"r{n}", path, options=options)).values()))
        for n, (path, options) in enumerate(
            zip(made, ((), ("--changelog-limit", "2")), strict=True)
        )
    )
    assert len(older) == len(newer) == 2
    found = news(older, newer)
    assert (found.cves, found.complete) == (("CVE-2024-2222",), True)


@pytest.mark.parametrize(
    ("text", "rebuild"),
    [
        ("- Rebuilt for IMA sigs, glibc 2.34, aarch64 flags\n  Related: rhbz#1991688", True),
        ("- Bump release for October 2024 mass rebuild:\n  Resolves: RHEL-64018", True),
        ("- Rebuild against new openssl", True),
        ("- Rebuilt with patches for CVE-2024-1234", False),
        ("- Rebase to 8.2\n- Rebuilt for gating", False),
        ("- Resolves: RHEL-1", False),
    ],
)
def test_a_mere_rebuild_is_known(text: str, rebuild: bool) -> None:
    ((_, (found,)),) = read_other(other(package(ONE, text)), frozenset({ONE}))
    assert found.rebuild is rebuild


def test_news_are_the_entries_that_were_not_there() -> None:
    old = [entry("1 a", "CVE-2020-1111"), entry("2 a")]
    new = [*old, entry("3 a", "CVE-2024-2222"), entry("4 a", "CVE-2024-1111")]
    found = news(old, new)
    assert found.cves == ("CVE-2024-1111", "CVE-2024-2222")
    assert found.complete
    assert not found.rebuild


def test_changelogs_with_nothing_in_common_are_not_known_to_their_end() -> None:
    found = news([entry("1 a")], [entry("8 a", "CVE-2024-1111"), entry("9 a")])
    assert found.cves == ("CVE-2024-1111",)
    assert not found.complete


def test_a_corrected_entry_is_no_new_one() -> None:
    old = [entry("1 a", "CVE-2024-1111", text="tpyo")]
    found = news(old, [entry("1 a", "CVE-2024-1111", "CVE-2024-2222", text="typo")])
    assert found.cves == ("CVE-2024-2222",)
    assert found.complete


def test_news_of_rebuilds_only_are_a_rebuild() -> None:
    old = [entry("1 a")]
    assert news(old, [*old, entry("2 a", rebuild=True)]).rebuild
    assert news(old, old).rebuild
    assert not news(old, [*old, entry("2 a", rebuild=True), entry("3 a")]).rebuild


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([b"<!doctype html><html><p>Log in"], "other: is an HTML page"),
        (other(package(ONE, "x"), announced=2), "other: announces 2 packages and has 1"),
        (other(package(ONE, "x", date="soon")), "other: p: the date 'soon' of a changelog entry"),
        (other(package(ONE, "x").replace('author="A - 1-1"', "")), "other: p: .*no attribute 'a"),
        (other(package(ONE, "<b>")), "other: not well-formed XML: mismatched tag"),
        (other(package(ONE, "&a;")), "other: not well-formed XML: undefined entity"),
        (other(package(ONE, "x").replace("</package>", "")), "other: announces 1 packages and has"),
        (other(package(ONE, "<a>" * 20 + "</a>" * 20)), "other: .* nested deeper than 16"),
        (
            [b'<!DOCTYPE o [<!ENTITY a "a">]>', *other(package(ONE, "&a;"))],
            "other: does not begin with <otherdata>",
        ),
    ],
)
def test_what_is_no_changelog_metadata_is_refused(chunks: list[bytes], message: str) -> None:
    with pytest.raises(TrustError, match=message):
        list(read_other(chunks, frozenset({ONE})))
