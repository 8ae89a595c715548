from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from comparing import MODULES, Shelf, add, findings, ids, one, remove, source, update

from goldpress.errors import MissingError, TrustError
from goldpress.mirror.difference.compare import diff_snapshots
from goldpress.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=tmp_path_factory.mktemp("shelf"))


def test_advisories_of_the_repository_itself(store: Store, shelf: Shelf) -> None:
    older, newer = shelf.repository("1.0"), shelf.repository("1.2")
    add(
        newer,
        "updateinfo",
        "<updates>"
        + update("TEST-1", "tool", "1.0", "CVE-2024-0001")
        + update("TEST-2", "tool", "1.1", "CVE-2024-0002", severity="Low")
        + update("TEST-3", "tool", "1.2", "CVE-2024-0002")
        + update("TEST-4", "tool", "1.3", "CVE-2024-0004")
        + update("TEST-5", "other", "1.1", "CVE-2024-0005")
        + "</updates>",
    )
    found = diff_snapshots(store, one(store, older), one(store, newer))
    tool = source(found, "tool")
    assert [cve.document() for cve in findings(tool).fixed] == [
        {"id": "CVE-2024-0002", "by": ["TEST-2", "TEST-3"], "severity": "Important"}
    ]
    assert findings(tool).consulted == ("test-9",)
    assert not findings(tool).complete
    assert found.remarks == ()


def test_advisories_of_another_distribution_are_matched_by_version(
    store: Store, shelf: Shelf
) -> None:
    older, newer, alma = shelf.repository("1.0", "first"), shelf.repository("1.2", "first", "x"), ""
    for number, version in enumerate(("0.9", "1.0", "1.1", "1.2", "1.2.1"), 1):
        alma += update(f"ALSA-{number}", "tool", version, f"CVE-2024-000{number}")
    place = shelf.repository("1.1", name="unrelated")
    add(place, "updateinfo", f"<updates>{alma}</updates>")
    errata = one(store, place, id_="alma-9", repository="alma")
    found = diff_snapshots(store, one(store, older), one(store, newer), errata=[errata])
    tool = source(found, "tool")
    assert [(cve.id, cve.by) for cve in findings(tool).fixed] == [
        ("CVE-2024-0003", ("ALSA-3",)),
        ("CVE-2024-0004", ("ALSA-4",)),
    ]
    assert findings(tool).consulted == ("changelog", "alma-9")
    assert findings(tool).complete
    assert " ".join(found.remarks) == (
        "advisories of alma-9 are about its own builds; they are matched by version "
        "(older < fixed <= newer), which is likely but no proof"
    )
    back = diff_snapshots(store, one(store, newer), one(store, older), errata=[errata])
    assert back.reopened == ("CVE-2024-0003", "CVE-2024-0004")
    assert back.fixed == ()


def test_packages_that_no_advisory_knows_have_no_data(store: Store, shelf: Shelf) -> None:
    place = shelf.repository("1.1", name="unrelated")
    add(place, "updateinfo", f"<updates>{update('A-1', 'x', '1', 'CVE-2024-0001')}</updates>")
    errata = one(store, place, id_="alma-9", repository="alma")
    snapshots = [one(store, shelf.repository(version)) for version in ("1.0", "1.1")]
    found = diff_snapshots(store, *snapshots, errata=[errata])
    assert source(found, "tool").without_data
    assert found.remarks == ()


def test_a_distribution_without_advisories_is_named(store: Store, shelf: Shelf) -> None:
    errata = one(store, shelf.repository("1.1", name="unrelated"), id_="alma-9", repository="alma")
    snapshots = [one(store, shelf.repository(version)) for version in ("1.0", "1.1")]
    found = diff_snapshots(store, *snapshots, errata=[errata])
    assert found.remarks == ("the snapshot of alma-9 has no advisories",)


def test_modules_stand_apart_and_have_advisories_of_their_own(store: Store, shelf: Shelf) -> None:
    module = '<module name="php" stream="{}" version="1" context="9" arch="x86_64"/>'
    advisories = "".join(
        update(f"A-{n}", "php", "1.1", f"CVE-2024-000{n}", module=text)
        for n, text in enumerate(("", module.format("8.1"), module.format("8.2")), 1)
    )
    bases = []
    for version in ("1.0", "1.1"):
        base = shelf.repository(version, name="php")
        add(base, "modules", MODULES.format(artifacts=f"php-0:{version}-1.el9.noarch"))
        add(base, "updateinfo", f"<updates>{advisories}</updates>")
        bases.append(base)
    found = diff_snapshots(store, *(one(store, base) for base in bases))
    assert ids(source(found, "php", "php:8.2")) == ["CVE-2024-0003"]
    plain = shelf.repository("1.2", name="php")
    found = diff_snapshots(store, one(store, bases[1]), one(store, plain))
    assert [(s.stream, s.changes[0].kind) for s in found.sources] == [
        ("", "added"),
        ("php:8.2", "removed"),
    ]


def test_a_snapshot_without_changelogs_says_so(store: Store, shelf: Shelf) -> None:
    older, newer = shelf.repository("1.0", "a"), shelf.repository("1.1", "a", "CVE-2024-0001")
    remove(older, "other")
    found = diff_snapshots(store, one(store, older), one(store, newer))
    assert source(found, "tool").without_data
    assert found.remarks == ("the older snapshot has no changelogs of base",)
    assert found.fixed == ()


def test_a_file_that_the_store_lost_is_missed(store: Store, shelf: Shelf) -> None:
    older, newer = (one(store, shelf.repository(version, "a")) for version in ("1.0", "1.1"))
    store.meta_path(newer.repositories[0].metadata["other"].sha256).unlink()
    with pytest.raises(MissingError) as caught:
        diff_snapshots(store, older, newer)
    assert str(caught.value) == "the store has no base/other\n  run `./inv mirror.sync`"


def test_a_file_that_was_changed_is_refused(store: Store, shelf: Shelf) -> None:
    older, newer = (one(store, shelf.repository(version, "a")) for version in ("1.0", "1.1"))
    path = store.meta_path(newer.repositories[0].metadata["other"].sha256)
    path.write_bytes(gzip.compress(b"<otherdata/>"))
    with pytest.raises(TrustError, match=r"its bytes do not match its name; the file was changed"):
        diff_snapshots(store, older, newer)


@pytest.mark.parametrize(
    ("type_", "text", "message"),
    [
        ("other", "<html>Log in</html>", "base/other: is an HTML page"),
        ("other", "<otherdata", "base/other: does not begin with <otherdata>"),
        ("updateinfo", "<updates><update>", "base/updateinfo: not well-formed XML"),
        ("modules", "- a", "base/modules: not module metadata"),
        ("updateinfo", f"<updates>{' ' * (40 << 20)}", "base/updateinfo: .* bytes open to more"),
    ],
)
def test_metadata_that_cannot_be_read_is_an_error_never_no_data(
    store: Store, shelf: Shelf, type_: str, text: str, message: str
) -> None:
    older, newer = shelf.repository("1.0", "a"), shelf.repository("1.1", "a", "b")
    if type_ == "other":
        remove(newer, "other")
    add(newer, type_, text)
    snapshots = [one(store, base) for base in (older, newer)]
    with pytest.raises(TrustError, match=message):
        diff_snapshots(store, *snapshots)
