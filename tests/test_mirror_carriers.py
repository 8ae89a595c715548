"""Which packages carry a CVE, and which fix the mirror has: advisories, changelogs, versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparing import MODULES, Shelf, add, one, remove, update

from goldpress.errors import TrustError
from goldpress.mirror.difference.carriers import Carrier, Word, word
from goldpress.mirror.difference.change import Package
from goldpress.mirror.snapshot import Snapshot
from goldpress.store import Store

CVE = "CVE-2026-1111"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=tmp_path_factory.mktemp("shelf"))


def packages(store: Store, snapshot: Snapshot) -> list[Package]:
    return [p for r in snapshot.repositories for p in r.read_packages(store)]


def asked(store: Store, image: Snapshot, newest: Snapshot, *errata: Snapshot) -> Word:
    names = [package.name for package in packages(store, image)]
    return word(store, CVE, names, newest=[newest], errata=errata, older=[image])


def judged(
    store: Store, image: Snapshot, newest: Snapshot, *errata: Snapshot, lost: bool = False
) -> Carrier | None:
    """What comes out for the one package of an image that has what `image` offers."""
    found = asked(store, image, newest, *errata).carriers(
        packages(store, image), [] if lost else [image]
    )
    assert len(found) <= 1
    return found[0] if found else None


def alma(store: Store, shelf: Shelf, *updates: str) -> Snapshot:
    place = shelf.repository("1.1", name="unrelated")
    add(place, "updateinfo", f"<updates>{''.join(updates)}</updates>")
    return one(store, place, id_="alma-9", repository="alma")


def test_an_older_build_whose_changelog_lacks_it_carries_it(store: Store, shelf: Shelf) -> None:
    older = one(store, shelf.repository("1.0", "begin"))
    newest = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"))
    assert judged(store, older, newest) == Carrier(
        name="tool", source="tool", evr="1.0-1.el9", carries=True, sure=True, by=("changelog",),
        fix="1.2-1.el9",
    )  # fmt: skip


def test_a_build_whose_changelog_has_it_is_fixed(store: Store, shelf: Shelf) -> None:
    image = one(store, shelf.repository("1.1", "begin", f"fix {CVE}"))
    newest = one(store, shelf.repository("1.2", "begin", f"fix {CVE}", "more"))
    found = judged(store, image, newest)
    assert found
    assert (found.carries, found.sure, found.fix) == (False, True, "")


def test_the_newest_build_itself_is_fixed_though_its_snapshot_is_lost(
    store: Store, shelf: Shelf
) -> None:
    newest = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"))
    found = judged(store, newest, newest, lost=True)
    assert found
    assert (found.carries, found.sure) == (False, True)


def test_without_the_image_s_own_changelog_it_is_only_likely(store: Store, shelf: Shelf) -> None:
    older = one(store, shelf.repository("1.0", "begin"))
    newest = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"))
    found = judged(store, older, newest, lost=True)
    assert found
    assert (found.carries, found.sure) == (True, False)


def test_what_nothing_names_is_not_known(store: Store, shelf: Shelf) -> None:
    older, newest = one(store, shelf.repository("1.0", "x")), one(store, shelf.repository("1.2"))
    said = asked(store, older, newest)
    assert not said.is_named
    assert said.carriers(packages(store, older), [older]) == ()
    assert said.consulted == ()


def test_an_advisory_of_the_repository_itself_decides(store: Store, shelf: Shelf) -> None:
    """It speaks of these very builds: the changelog that names the CVE does not outweigh it."""
    image = one(store, shelf.repository("1.1", "begin", f"fix {CVE}"))
    base = shelf.repository("1.2", "begin", f"fix {CVE}", "again")
    add(base, "updateinfo", f"<updates>{update('TEST-2', 'tool', '1.2', CVE)}</updates>")
    found = judged(store, image, one(store, base))
    assert found
    assert (found.carries, found.sure, found.by) == (True, True, ("TEST-2",))
    assert found.fix == "1.2-1.el9"


def test_of_several_advisories_the_last_one_is_the_repair(store: Store, shelf: Shelf) -> None:
    base = shelf.repository("1.3")
    texts = [update(f"TEST-{v}", "tool", v, CVE) for v in ("1.1", "1.2")]
    add(base, "updateinfo", f"<updates>{''.join(texts)}</updates>")
    newest = one(store, base)
    for version, carries in (("1.1", True), ("1.2", False)):
        found = judged(store, one(store, shelf.repository(version)), newest)
        assert found
        assert (found.carries, found.by) == (carries, ("TEST-1.1", "TEST-1.2"))


def test_advisories_of_another_distribution_are_likely(store: Store, shelf: Shelf) -> None:
    errata = alma(store, shelf, update("ALSA-1", "tool", "1.1", CVE))
    older, newest = one(store, shelf.repository("1.0")), one(store, shelf.repository("1.2"))
    said = asked(store, older, newest, errata)
    assert (said.is_named, said.consulted) == (True, ("alma-9",))
    (found,) = said.carriers(packages(store, older), [older])
    assert (found.carries, found.sure, found.by) == (True, False, ("ALSA-1",))
    assert found.fix == "1.2-1.el9"
    fixed = judged(store, newest, newest, errata)
    assert fixed
    assert (fixed.carries, fixed.sure) == (False, False)


def test_a_fix_that_the_mirror_lacks_is_told(store: Store, shelf: Shelf) -> None:
    errata = alma(store, shelf, update("ALSA-1", "tool", "1.9", CVE))
    image = one(store, shelf.repository("1.0"))
    found = judged(store, image, one(store, shelf.repository("1.2")), errata)
    assert found
    assert (found.carries, found.fix) == (True, "")


def test_a_changelog_outweighs_another_distribution(store: Store, shelf: Shelf) -> None:
    errata = alma(store, shelf, update("ALSA-1", "tool", "1.9", CVE))
    image = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"))
    found = judged(store, image, image, errata)
    assert found
    assert (found.carries, found.by) == (False, ("changelog",))


def test_an_advisory_of_another_cve_or_package_says_nothing(store: Store, shelf: Shelf) -> None:
    texts = (
        update("ALSA-1", "tool", "1.9", "CVE-2026-2222"),
        update("ALSA-2", "other", "1.9", CVE),
    )
    errata = alma(store, shelf, *texts)
    image = one(store, shelf.repository("1.0"))
    assert not asked(store, image, image, errata).is_named


def test_a_module_stream_is_its_own(store: Store, shelf: Shelf) -> None:
    def modular(version: str) -> Path:
        base = shelf.repository(version, name="php-cli")
        add(base, "modules", MODULES.format(artifacts=f'"php-cli-0:{version}-1.el9.noarch"'))
        return base

    module = "<module name='php' stream='{}' version='1' context='9' arch='x86_64'/>"
    image, newest = one(store, modular("8.2.1")), one(store, modular("8.2.9"))
    for stream, expected in (("8.2", True), ("8.3", None)):
        text = update("A-1", "php-cli", "8.2.5", CVE, module=module.format(stream))
        found = judged(store, image, newest, alma(store, shelf, text))
        assert (found.carries if found else None) == expected


def test_an_image_whose_package_is_offered_no_more_is_judged_by_advisories(
    store: Store, shelf: Shelf
) -> None:
    errata = alma(store, shelf, update("ALSA-1", "tool", "1.1", CVE))
    image = one(store, shelf.repository("1.0"))
    found = judged(store, image, one(store, shelf.repository("1", name="unrelated")), errata)
    assert found
    assert (found.carries, found.fix) == (True, "")


def test_metadata_that_was_changed_is_no_answer(store: Store, shelf: Shelf) -> None:
    older = one(store, shelf.repository("1.0", "begin"))
    newest = one(store, shelf.repository("1.2", "begin", f"fix {CVE}"))
    path = store.meta_path(newest.repositories[0].metadata["other"].sha256)
    path.write_bytes(path.read_bytes()[:-9] + b"something")
    with pytest.raises(TrustError, match="its bytes do not match its name; the file was changed"):
        judged(store, older, newest)


def test_a_repository_without_changelogs_names_nothing(store: Store, shelf: Shelf) -> None:
    base = shelf.repository("1.2", "begin", f"fix {CVE}")
    remove(base, "other")
    image = one(store, shelf.repository("1.0", "begin"))
    assert not asked(store, image, one(store, base)).is_named


@pytest.mark.metadata
def test_real_streams_are_told_apart(store: Store, shelf: Shelf, real_metadata: Path) -> None:
    (place,) = real_metadata.glob("AppStream-*")
    real = one(store, place, repository="appstream")
    rows = real.repositories[0].read_packages(store)
    offered = [p for p in rows if (p.name, p.arch) == ("nginx-core", "x86_64")]
    module = "<module name='nginx' stream='1.24' version='1' context='9' arch='x86_64'/>"
    fix = update("A-1", "nginx-core", "1.25", CVE, module=module)
    real_fix = fix.replace('arch="noarch"', 'arch="x86_64"').replace('epoch="0"', 'epoch="1"')
    said = word(store, CVE, ["nginx-core"], newest=[real], errata=[alma(store, shelf, real_fix)])
    streams = [said.streams.get(package.nevra) for package in offered]
    assert {"nginx:1.22", "nginx:1.24"} <= set(streams)
    found = said.carriers(offered, [real])
    assert found
    assert all(row.carries and row.evr.startswith("1:1.24") for row in found)
    assert len(found) == streams.count("nginx:1.24")
