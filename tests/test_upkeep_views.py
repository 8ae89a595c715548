"""A snapshot for other machines: dnf installs from it, and nothing is in it that may not be."""

from __future__ import annotations

import re
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from clients import dnf
from mirrored import Mirrored, copied
from rpms import Rpms

from goldpress.digest import sha256_file
from goldpress.errors import MissingError, TrustError
from goldpress.mirror.views.view import View
from goldpress.upkeep import views
from goldpress.upkeep.sync import Scope
from goldpress.upkeep.views import base_url, served, view


@pytest.fixture
def filled(mirrored: Mirrored) -> Mirrored:
    """The pool has what a lock needs."""
    mirrored.sync()
    mirrored.lock()
    return mirrored


def counts(made: View) -> dict[str, tuple[int, int]]:
    return {row.id: (row.packages, row.upstream) for row in made.repositories}


def pooled(project: Mirrored, path: Path) -> Path:
    """Put a file into the pool that nobody judged, as an older goldpress did."""
    return copied(path, project.ws.store.package_path(sha256_file(path)))


def test_dnf_installs_from_what_is_served(filled: Mirrored, tmp_path: Path) -> None:
    with served(filled.ws, "test-9") as (made, url):
        done = dnf(tmp_path / "client", made.repo_file(url), "install", "good")
        assert done.returncode == 0, done.text
        again = dnf(tmp_path / "client", made.repo_file(url), "install", "absent")
        assert "Unable to find a match: absent" in again.text
    assert {p.name for p in (tmp_path / "client/usr/share").iterdir()} >= {"good", "needed"}
    assert "gpgcheck=1" in made.repo_file(url)


def test_a_view_has_what_the_pool_has(mirrored: Mirrored, rpms: Rpms) -> None:
    mirrored.offer("base", rpms.good, rpms.needed, rpms.source)
    mirrored.sync()
    assert counts(view(mirrored.ws, "test-9")) == {"base": (0, 3)}
    mirrored.sync(scope=Scope(every=True))
    made = view(mirrored.ws, "test-9")
    assert counts(made) == {"base": (2, 3)}
    assert made.keys == (rpms.key.fingerprint,)


def test_an_empty_view_says_what_fills_it(
    mirrored: Mirrored, capsys: pytest.CaptureFixture[str]
) -> None:
    mirrored.sync()
    view(mirrored.ws, "test-9")
    assert "!!  the pool has none of its packages: `./inv lock` brings" in capsys.readouterr().err


def test_what_was_refused_is_in_no_view(mirrored: Mirrored, rpms: Rpms, tmp_path: Path) -> None:
    mirrored.offer("base", rpms.good, rpms.needed, rpms.unsigned)
    with pytest.raises(TrustError, match=r"unsigned-0:1\.0-1\.el9\.noarch: not signed"):
        mirrored.sync(scope=Scope(newest=True))
    with served(mirrored.ws, "test-9") as (made, url):
        assert counts(made) == {"base": (2, 3)}
        done = dnf(tmp_path / "client", made.repo_file(url), "install", "unsigned")
    assert "Unable to find a match: unsigned" in done.text


def test_a_package_in_the_pool_that_nobody_judged_stops(mirrored: Mirrored, rpms: Rpms) -> None:
    mirrored.offer("base", rpms.good, rpms.needed, rpms.unsigned)
    mirrored.sync()
    pooled(mirrored, rpms.unsigned)
    with pytest.raises(TrustError, match=r"unsigned-0:1\.0-1\.el9\.noarch: not signed"):
        view(mirrored.ws, "test-9")
    assert not (mirrored.build / "store" / "views").exists()


def test_a_key_that_is_no_longer_allowed_stops(filled: Mirrored, rpms: Rpms) -> None:
    view(filled.ws, "test-9")
    filled.distribution("test-9", "base", key=rpms.other_key)
    with pytest.raises(
        TrustError, match=r"good-2:1\.0-1\.el9\.noarch: signed by a key with the id"
    ):
        view(filled.ws, "test-9")


def test_a_second_view_asks_neither_mirror_nor_rpm(
    filled: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = view(filled.ws, "test-9")
    for path in filled.upstream("base").rglob("*"):
        if path.is_file():
            path.unlink()

    def never(*_: object) -> None:
        raise AssertionError("judged again")

    monkeypatch.setattr(views, "check_packages", never)
    assert view(filled.ws, "test-9") == first
    for record in (filled.build / "verdicts").glob("*/verdicts.json"):
        record.unlink()
    with pytest.raises(AssertionError, match="judged again"):
        view(filled.ws, "test-9")


def test_an_unknown_snapshot_is_told(filled: Mirrored) -> None:
    with (
        pytest.raises(MissingError, match="no snapshot is called 'test-8'"),
        served(filled.ws, "test-8"),
    ):
        pass


def test_an_address_that_cannot_be_listened_at_is_told(filled: Mirrored) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MissingError) as caught, served(filled.ws, "test-9", port=port):
            pass
    assert str(caught.value) == (
        f"cannot serve at 127.0.0.1:{port}: Address already in use\n"
        "  choose another: --address=..., --port=... (0: any free one)"
    )
    with (
        pytest.raises(MissingError, match=r"cannot serve at 127\.0\.0\.1:70000: .*0-65535"),
        served(filled.ws, "test-9", port=70000),
    ):
        pass


def test_at_all_addresses_the_machine_is_called_by_its_name(filled: Mirrored) -> None:
    with served(filled.ws, "test-9", address="0.0.0.0") as (_, url):  # noqa: S104 - what is tested
        assert re.fullmatch(rf"http://{re.escape(socket.gethostname())}:\d+", url)


def test_serving_ends_with_its_context(filled: Mirrored) -> None:
    with served(filled.ws, "test-9") as (made, url):
        path = f"{url}/{made.path}/base/repodata/repomd.xml"
        with urllib.request.urlopen(path, timeout=10) as answer:  # noqa: S310 - the test's server
            assert answer.status == 200
    host, _, port = url.removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_where_the_store_is_for_machines(filled: Mirrored) -> None:
    assert base_url(filled.ws) == (filled.build / "store").as_uri()
    with pytest.raises(MissingError) as caught:
        base_url(replace(filled, store_url="s3://bucket/mirror").ws)
    assert str(caught.value) == (
        "where machines reach s3://bucket/mirror over http is not known\n"
        "  say it: --base=https://..., the address of what is below that prefix"
    )
