"""Pins and fast-tracks, and packages of several distributions, in one answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from definitions import definition
from rpms import distribution, make_repository, make_rpm, make_rpms

from goldpress.errors import MissingError, ResolveError
from goldpress.mirror.overrides import NONE, FastTrack, Overrides, Pin
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.resolve import Resolution, make_lock, resolve
from goldpress.store import Store

REASON = "https://example.org/issues/7"
EXPIRES = "2026-12-31"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Snapshots of test-9, the older one too, and of what extends it."""

    store: Store
    old: Snapshot
    new: Snapshot
    extra: Snapshot

    def resolve(self, *packages: str, overrides: Overrides = NONE, extra: str = "") -> Resolution:
        """What test-9 has for `packages`; `extra` is the `with:`, of the definition."""
        return resolve(
            self.store,
            [self.new, self.extra] if extra else [self.new],
            definition(*packages, **({"with": [extra]} if extra else {})),
            cache=self.store.root / "cache",
            overrides=overrides,
        )


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    directory = tmp_path_factory.mktemp("overrides")
    store = Store(root=directory / "store")

    def snapshot(name: str, *rpms: Path, id_: str = "test-9", repository: str = "base") -> Snapshot:
        made = make_repository(directory / name, *rpms)
        described = distribution(repository, id=id_)
        return take_snapshot(store, described, "x86_64", {repository: made}, accept=True)

    lib = {v: make_rpm(directory, "lib", version=v) for v in ("1.0", "2.0", "3.0")}
    app = make_rpms(directory, {"app": {"Requires": "lib"}, "other": {}})
    fussy = make_rpm(directory, "fussy", Requires="lib >= 2")
    return Mirror(
        store=store,
        old=snapshot("old", lib["1.0"], *app, fussy),
        new=snapshot("new", lib["2.0"], lib["3.0"], *app, fussy),
        extra=snapshot(
            "extra",
            make_rpm(directory, "plus", Requires="app"),
            make_rpm(directory, "lib", version="9.0"),
            id_="extra-9",
            repository="extras",
        ),
    )


def pin(evr: str, name: str = "lib") -> Overrides:
    row = Pin(name=name, evr=evr, distribution="test-9", reason=REASON, expires=EXPIRES)
    return Overrides(pins=(row,))


def track(
    mirror: Mirror,
    nevra: str = "lib-1.0-1.el9.noarch",
    *,
    snapshot: str = "",
    repository: str = "base",
) -> Overrides:
    row = FastTrack(
        nevra=nevra,
        snapshot=snapshot or mirror.old.digest,
        repository=repository,
        distribution="test-9",
        reason=REASON,
        expires=EXPIRES,
    )
    return Overrides(fast_tracks=(row,))


def names(found: Resolution) -> list[str]:
    return [p.nevra.removesuffix("-1.el9.noarch") for p in found.packages]


def test_without_overrides_the_newest_is_taken(mirror: Mirror) -> None:
    assert names(mirror.resolve("app")) == ["app-0:1.0", "lib-0:3.0"]


def test_a_pinned_package_stays_where_it_is(mirror: Mirror) -> None:
    found = mirror.resolve("app", overrides=pin("2.0-1.el9"))
    assert names(found) == ["app-0:1.0", "lib-0:2.0"]
    assert found.chosen[1].why == ("required by app", "pinned: https://example.org/issues/7")
    assert found.held_back == ()


def test_the_request_has_what_overrides_decide(mirror: Mirror) -> None:
    plain, pinned = mirror.resolve("app"), mirror.resolve("app", overrides=pin("2.0-1.el9"))
    assert plain.request["overrides"] == []
    assert pinned.request["overrides"] == [{"pin": "lib", "evr": "0:2.0-1.el9"}]


def test_a_pin_of_what_is_gone_is_told_when_it_is_needed(mirror: Mirror) -> None:
    assert names(mirror.resolve("other", overrides=pin("1.0-1.el9"))) == ["other-0:1.0"]
    with pytest.raises(ResolveError) as caught:
        mirror.resolve("app", overrides=pin("1.0-1.el9"))
    assert str(caught.value) == (
        "app-0:1.0-1.el9.noarch (asked for) needs lib, which lib-0:3.0-1.el9.noarch has, but an "
        "override holds it at 0:1.0-1.el9\n  correct rpm-mirror/overrides.yaml"
    )
    with pytest.raises(ResolveError, match=r"'lib' is in test-9, but an override holds it at 0:1"):
        mirror.resolve("lib", overrides=pin("1.0-1.el9"))


def test_a_pin_of_no_package_is_refused(mirror: Mirror) -> None:
    with pytest.raises(ResolveError) as caught:
        mirror.resolve("app", overrides=pin("1.0-1.el9", name="libb"))
    assert str(caught.value) == (
        "the pin of libb at 0:1.0-1.el9: test-9 has no package of that name\n"
        "  correct rpm-mirror/overrides.yaml"
    )


def test_a_fast_tracked_package_comes_from_its_snapshot_alone(mirror: Mirror) -> None:
    found = mirror.resolve("app", overrides=track(mirror))
    assert names(found) == ["app-0:1.0", "lib-0:1.0"]
    app, lib = found.chosen
    assert (app.snapshot, lib.snapshot) == (mirror.new, mirror.old)
    assert lib.why == ("required by app", "fast-tracked: https://example.org/issues/7")
    lock = make_lock(found, {p.sha256: "A" * 40 for p in found.packages})
    assert lock.snapshots == {"test-9": mirror.new.digest}
    assert lock.request["overrides"] == [
        {
            "fast_track": "lib-0:1.0-1.el9.noarch",
            "repository": "base",
            "snapshot": mirror.old.digest,
        }
    ]


def test_a_fast_track_that_does_not_do_is_told(mirror: Mirror) -> None:
    with pytest.raises(ResolveError) as caught:
        mirror.resolve("fussy", overrides=track(mirror))
    assert str(caught.value) == (
        "fussy-0:1.0-1.el9.noarch (asked for) needs lib >= 2, which lib-0:3.0-1.el9.noarch has, "
        "but an override holds it at 0:1.0-1.el9\n  correct rpm-mirror/overrides.yaml"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"nevra": "lib-7.0-1.el9.noarch"},
            r"lib-0:7\.0-1\.el9\.noarch from base of snapshot \w{12}: there is no such package in",
        ),
        ({"repository": "bas"}, "that snapshot has no such repository; nearest: base"),
    ],
)
def test_a_fast_track_that_is_not_there_is_refused(
    mirror: Mirror, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ResolveError, match=message):
        mirror.resolve("app", overrides=track(mirror, **changes))


def test_a_fast_track_from_a_foreign_distribution_is_refused(mirror: Mirror) -> None:
    overrides = track(
        mirror, "lib-9.0-1.el9.noarch", snapshot=mirror.extra.digest, repository="extras"
    )
    with pytest.raises(ResolveError, match="that snapshot is of extra-9, and the image is made"):
        mirror.resolve("app", overrides=overrides)


def test_a_fast_track_from_a_snapshot_that_is_gone_is_told(mirror: Mirror) -> None:
    with pytest.raises(MissingError, match=f"the store has no snapshot sha256:{'0' * 64}"):
        mirror.resolve("app", overrides=track(mirror, snapshot=f"sha256:{'0' * 64}"))


def test_packages_of_two_distributions_are_one_answer(mirror: Mirror) -> None:
    found = mirror.resolve("plus", extra="extra-9")
    assert names(found) == ["app-0:1.0", "lib-0:9.0", "plus-0:1.0"]
    assert [p.repository for p in found.packages] == ["base", "extras", "extras"]
    lock = make_lock(found, {p.sha256: "A" * 40 for p in found.packages})
    assert lock.distribution == "test-9"
    assert lock.snapshots == {"extra-9": mirror.extra.digest, "test-9": mirror.new.digest}
    assert lock.request["with"] == ["extra-9"]


def test_both_are_named_when_there_is_no_answer(mirror: Mirror) -> None:
    with pytest.raises(ResolveError, match="no package named 'zzz' in test-9 and extra-9"):
        mirror.resolve("zzz", extra="extra-9")


def test_another_distribution_than_asked_for_is_refused(mirror: Mirror) -> None:
    with pytest.raises(ResolveError) as caught:
        mirror.resolve("app", extra="else-9")
    assert str(caught.value) == "the definition is with else-9, the snapshots are with extra-9"
