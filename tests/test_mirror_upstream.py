"""The whole way from a hostile upstream: source, snapshot, packages, signatures.

Every case ends in a correct and complete snapshot with its packages, or in a clear error with
nothing published.
"""

from __future__ import annotations

import gzip
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rpms import Rpms, distribution, make_repository, make_rpm
from upstream import (
    Behaviour,
    Request,
    Upstream,
    becomes,
    copied,
    dripping,
    elsewhere,
    good,
    metalink,
    portal,
    redirect,
    serving,
    status,
    truncated,
    wrong,
)

from goldpress.digest import sha256_bytes, sha256_file
from goldpress.errors import GoldpressError, MissingError, TrustError
from goldpress.mirror.metadata.primary import AvailablePackage
from goldpress.mirror.snapshot import KIND, Snapshot, newest_snapshot, take_snapshot
from goldpress.mirror.sync import keep_packages
from goldpress.mirror.transfer.fetch import Fetcher
from goldpress.mirror.transfer.pace import Pace
from goldpress.mirror.transfer.source import Source, source_of
from goldpress.mirror.trust.packages import check_packages
from goldpress.store import Store

REPOMD = "/repodata/repomd.xml"
PRIMARY = "/repodata/*primary.xml*"
PACKAGE = "/Packages/good-*.rpm"
NAME = "test-9.x86_64"
NOW = int(time.time())


@dataclass(kw_only=True)
class Mirror:
    """This side: a store, and the way that a sync takes."""

    store: Store
    fetcher: Fetcher
    rpms: Rpms
    verdicts: Path
    waits: list[float] = field(default_factory=list)

    def snapshot(self, **where: object) -> tuple[Snapshot, dict[str, Source | str | Path]]:
        arches = {"x86_64": {"repositories": [{"id": "base", **where}]}}
        test = distribution(arches=arches)
        sources: dict[str, Source | str | Path] = {
            repository.id: source_of(repository, self.fetcher)
            for repository in test.repositories("x86_64")
        }
        found = take_snapshot(self.store, test, "x86_64", sources, fetcher=self.fetcher)
        return found, sources

    def sync(self, *servers: Upstream, **where: object) -> Snapshot:
        """Source, snapshot, packages, signatures."""
        place = where or {"baseurl": [server.url for server in servers]}
        snapshot, sources = self.snapshot(**place)
        packages = self.packages(snapshot)
        rows = [(p.sha256, p.href, p.size, p.repository) for p in packages]
        keep_packages(self.store, snapshot, sources, rows, fetcher=self.fetcher)
        check_packages(self.store, packages, self.rpms.key.signers, self.verdicts)
        return snapshot

    def packages(self, snapshot: Snapshot) -> list[AvailablePackage]:
        return [p for row in snapshot.repositories for p in row.read_packages(self.store)]

    @property
    def pool(self) -> list[str]:
        return sorted(path.stem for path in (self.store.root / "pool").rglob("*.rpm"))

    def holds(self, *repositories: Path) -> None:
        """The newest snapshot is the last repository's; all packages of all of them are here."""
        newest = newest_snapshot(self.store, "test-9", "x86_64")
        (base,) = newest.repositories
        assert base.repomd_sha256 == sha256_file(repositories[-1] / "repodata" / "repomd.xml")
        theirs = {sha256_file(p) for r in repositories for p in r.glob("Packages/*.rpm")}
        assert self.pool == sorted(theirs)
        assert all(sha256_file(self.store.package_path(sha256)) == sha256 for sha256 in theirs)
        assert {p.sha256 for p in self.packages(newest)} <= theirs
        self.left_nothing()

    def holds_nothing(self) -> None:
        """No snapshot was published, no package kept."""
        assert self.store.names(KIND) == ()
        assert not (self.store.root / "documents" / KIND).exists()
        assert self.pool == []
        self.left_nothing()

    def left_nothing(self) -> None:
        """Nothing half-made lies about but beginnings of packages."""
        left = [p.name for p in self.store.root.rglob(".*") if p.is_file()]
        assert left == []
        tmp = self.store.root / "tmp"
        assert all(p.suffix == ".part" for p in tmp.iterdir()) if tmp.exists() else True


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was seen of signatures, by sha256: no test has to look at the good ones again."""
    return tmp_path_factory.mktemp("verdicts")


@pytest.fixture
def mirror(rpms: Rpms, tmp_path: Path, verdicts: Path) -> Iterator[Mirror]:
    waits: list[float] = []
    fetcher = Fetcher(sleep=waits.append, pace=Pace(rate=2000, window=0.4))
    store = Store(root=tmp_path / "store")
    yield Mirror(store=store, fetcher=fetcher, rpms=rpms, verdicts=verdicts, waits=waits)
    fetcher.close()


def made(directory: Path, *packages: Path, age: int = 0, simple: bool = False) -> Path:
    """A repository that was made `age` seconds ago."""
    when = ("--revision", str(NOW - age), "--set-timestamp-to-revision")
    options = (*when, "--simple-md-filenames") if simple else when
    return make_repository(directory, *packages, options=options)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, rpms: Rpms) -> Path:
    return made(tmp_path_factory.mktemp("old"), rpms.needed, age=7200)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory, rpms: Rpms) -> Path:
    return made(tmp_path_factory.mktemp("new"), rpms.needed, rpms.good, age=3600)


@pytest.fixture
def server(new: Path) -> Iterator[Upstream]:
    with serving(new) as upstream:
        yield upstream


@pytest.fixture
def second(new: Path) -> Iterator[Upstream]:
    with serving(new) as upstream:
        yield upstream


@dataclass(frozen=True, kw_only=True)
class Linked:
    """Two mirrors of a metalink, and where it is."""

    path: Path
    first: Upstream
    second: Upstream

    def to(self, *repositories: Path) -> str:
        """Its URL, once it vouches for these, the current one first."""
        repomds = [repository / "repodata" / "repomd.xml" for repository in repositories]
        self.path.write_text(metalink(repomds, [self.first.url, self.second.url]))
        return f"file://{self.path}"


@pytest.fixture
def linked(tmp_path: Path, server: Upstream, second: Upstream) -> Linked:
    return Linked(path=tmp_path / "metalink", first=server, second=second)


def primary_of(repository: Path) -> Path:
    (path,) = (repository / "repodata").glob("*primary.xml*")
    return path


def promising(repository: Path, primary: bytes, opened: int | None = None) -> Path:
    """The repository with another primary, packed as told, which its repomd.xml promises."""
    repomd = repository / "repodata" / "repomd.xml"
    path = primary_of(repository)
    head, entry, tail = re.split(r'(<data type="primary">.*?</data>)', repomd.read_text(), flags=16)
    path.write_bytes(primary)
    entry = re.sub(r"(<checksum [^>]*>)\w+", rf"\g<1>{sha256_bytes(primary)}", entry)
    entry = re.sub(r"<size>\w+", f"<size>{len(primary)}", entry)
    entry = re.sub(r"<open-checksum.*?</open-checksum>", "", entry)
    open_size = "" if opened is None else f"<open-size>{opened}</open-size>"
    entry = re.sub(r"<open-size>.*?</open-size>", open_size, entry)
    repomd.write_text(head + entry + tail)
    return repository


def rewritten(repository: Path, old_text: str, new_text: str) -> Path:
    """The repository whose primary says something else."""
    text = gzip.decompress(primary_of(repository).read_bytes()).decode()
    assert old_text in text
    text = text.replace(old_text, new_text)
    return promising(repository, gzip.compress(text.encode()), len(text.encode()))


def test_a_good_upstream(mirror: Mirror, server: Upstream, new: Path) -> None:
    mirror.sync(server)
    mirror.holds(new)


def test_nothing_new_reads_repomd_only(mirror: Mirror, server: Upstream) -> None:
    first = mirror.sync(server)
    server.asked.clear()
    began = time.monotonic()
    assert mirror.sync(server) == first
    assert time.monotonic() - began < 2
    assert server.paths == [REPOMD]
    assert len(mirror.store.history(KIND, NAME)) == 1


# A mirror that lags behind


def test_a_lagging_mirror_of_a_metalink_is_passed_over(
    mirror: Mirror, linked: Linked, old: Path, new: Path
) -> None:
    linked.first.root = old
    mirror.sync(metalink=linked.to(new, old))
    mirror.holds(new)
    assert linked.first.paths == [REPOMD]


def test_when_all_mirrors_of_a_metalink_lag_their_state_is_a_good_one(
    mirror: Mirror, linked: Linked, old: Path, new: Path
) -> None:
    linked.first.root = linked.second.root = old
    mirror.sync(metalink=linked.to(new, old))
    mirror.holds(old)
    # But never after the newer one.
    linked.first.root = new
    mirror.sync(metalink=linked.to(new, old))
    mirror.holds(new)
    linked.first.root = old
    with pytest.raises(TrustError, match=r"base: its metadata is of .*, older than that of the ne"):
        mirror.sync(metalink=linked.to(new, old))
    mirror.holds(new)


def test_a_metalink_does_not_vouch_for_this(
    mirror: Mirror, linked: Linked, old: Path, new: Path
) -> None:
    linked.first.root = linked.second.root = old
    with pytest.raises(TrustError) as caught:
        mirror.sync(metalink=linked.to(new))
    assert str(caught.value).startswith("repodata/repomd.xml: none of 2 places has it: ")
    assert "as its metalink says" in str(caught.value)
    mirror.holds_nothing()


def test_a_mirror_that_goes_back_is_refused(
    mirror: Mirror, server: Upstream, old: Path, new: Path
) -> None:
    mirror.sync(server)
    server.root = old
    with pytest.raises(TrustError, match=r"base: its metadata is of .*, older than that of the ne"):
        mirror.sync(server)
    mirror.holds(new)


def test_another_place_may_have_the_newer_one(
    mirror: Mirror, server: Upstream, second: Upstream, old: Path, new: Path
) -> None:
    mirror.sync(server, second)
    server.root = old
    mirror.sync(server, second)
    mirror.holds(new)


def test_a_dead_place_among_them_is_no_reason_to_stop(
    mirror: Mirror, server: Upstream, second: Upstream, old: Path, new: Path
) -> None:
    mirror.sync(server)
    server.root = old
    dead = "http://127.0.0.1:1/"
    mirror.sync(baseurl=[server.url, dead, second.url])
    mirror.holds(new)


# 404 in mid-sync


@pytest.mark.parametrize("pattern", [PRIMARY, "/repodata/*filelists.xml*", REPOMD])
def test_metadata_that_is_not_there(mirror: Mirror, server: Upstream, pattern: str) -> None:
    server.on(pattern, status(404))
    with pytest.raises(MissingError, match=r"\.xml(\.\w+)?: status 404"):
        mirror.sync(server)
    mirror.holds_nothing()


@pytest.mark.parametrize("pattern", [PRIMARY, PACKAGE, REPOMD, "*"])
def test_what_one_place_has_not_another_has(
    mirror: Mirror, server: Upstream, second: Upstream, new: Path, pattern: str
) -> None:
    server.on(pattern, status(404))
    mirror.sync(server, second)
    mirror.holds(new)


def test_a_package_that_is_not_there(mirror: Mirror, server: Upstream, rpms: Rpms) -> None:
    server.on(PACKAGE, status(404))
    with pytest.raises(MissingError, match=r"/Packages/good-1\.0-1\.el9\.noarch\.rpm: status 404"):
        mirror.sync(server)
    # The other one is no worse for it.
    assert mirror.pool == [sha256_file(rpms.needed)]


# repomd.xml that changes in mid-sync


@pytest.mark.parametrize("simple", [False, True])
def test_a_repository_that_changes_meanwhile_is_taken_as_it_is_then(
    mirror: Mirror, server: Upstream, tmp_path: Path, rpms: Rpms, *, simple: bool
) -> None:
    """With names of their own the old files are gone; with plain names they are others."""
    before = made(tmp_path / "before", rpms.needed, age=60, simple=simple)
    after = made(tmp_path / "after", rpms.needed, rpms.good, age=30, simple=simple)
    server.root = before
    server.on(PRIMARY, becomes(after), times=1)
    mirror.sync(server)
    mirror.holds(after)
    assert server.paths.count(REPOMD) == 2


def test_the_same_with_a_metalink_that_changes_too(
    mirror: Mirror, linked: Linked, old: Path, new: Path
) -> None:
    linked.first.root = linked.second.root = old

    def changing(request: Request) -> None:
        linked.to(new, old)
        linked.first.root = linked.second.root = new
        good(request)

    linked.first.on(PRIMARY, changing, times=1)
    mirror.sync(metalink=linked.to(old))
    mirror.holds(new)


def test_a_repository_that_never_holds_still_is_given_up(
    mirror: Mirror, server: Upstream, old: Path, new: Path
) -> None:
    server.root = old

    def other(request: Request) -> None:
        becomes(new if server.root == old else old)(request)

    server.on(PRIMARY, other)
    with pytest.raises(MissingError, match=r"primary\.xml\.\w+: status 404"):
        mirror.sync(server)
    mirror.holds_nothing()
    # Once, three times again, and a last look whether it is still another.
    assert server.paths.count(REPOMD) == 5


# Bodies


@pytest.mark.parametrize(
    ("pattern", "told"), [(PRIMARY, True), (PRIMARY, False), (PACKAGE, True), (REPOMD, True)]
)
def test_a_body_that_is_cut_once(
    mirror: Mirror, server: Upstream, new: Path, pattern: str, *, told: bool
) -> None:
    server.on(pattern, truncated(500, told=told), times=1)
    mirror.sync(server)
    mirror.holds(new)


def test_a_repomd_that_nobody_tells_the_length_of(mirror: Mirror, server: Upstream) -> None:
    server.on(REPOMD, truncated(500, told=False))
    with pytest.raises(TrustError, match=r"repomd\.xml: not well-formed XML: "):
        mirror.sync(server)
    mirror.holds_nothing()


@pytest.mark.parametrize("pattern", [PRIMARY, REPOMD])
def test_metadata_that_is_always_cut(mirror: Mirror, server: Upstream, pattern: str) -> None:
    server.on(pattern, truncated(100))
    with pytest.raises(MissingError, match=r"\.xml(\.gz)?: the connection broke before the end"):
        mirror.sync(server)
    mirror.holds_nothing()


def test_a_package_that_is_always_cut_comes_in_the_end(
    mirror: Mirror, server: Upstream, new: Path, rpms: Rpms
) -> None:
    """What came stays: each sync goes on from there."""
    size = rpms.good.stat().st_size
    server.on(PACKAGE, truncated(size // 6))
    with pytest.raises(MissingError, match="the connection broke before the end"):
        mirror.sync(server)
    assert mirror.pool == [sha256_file(rpms.needed)]
    mirror.sync(server)
    mirror.holds(new)


@pytest.mark.parametrize("pattern", [PRIMARY, PACKAGE])
def test_wrong_bytes_are_refused(
    mirror: Mirror, server: Upstream, second: Upstream, new: Path, pattern: str
) -> None:
    server.on(pattern, wrong)
    with pytest.raises(TrustError, match=r": sha256 is \w{64}, expected \w{64}"):
        mirror.sync(server)
    if pattern == PRIMARY:
        mirror.holds_nothing()
    assert sha256_file(mirror.rpms.good) not in mirror.pool
    # Another place has the right ones.
    mirror.sync(server, second)
    mirror.holds(new)


@pytest.mark.parametrize("pattern", [PRIMARY, PACKAGE, REPOMD])
def test_a_slow_drip_is_cut(
    mirror: Mirror, server: Upstream, second: Upstream, new: Path, pattern: str
) -> None:
    server.on(pattern, dripping(0.05))
    began = time.monotonic()
    with pytest.raises(MissingError, match=r"slower than 2000 bytes a second for 0\.4 s"):
        mirror.sync(server)
    assert time.monotonic() - began < 15
    if pattern != PACKAGE:
        mirror.holds_nothing()
    assert sha256_file(mirror.rpms.good) not in mirror.pool
    mirror.sync(server, second)
    mirror.holds(new)


# Answers


def test_a_server_that_asks_for_rest_gets_it(mirror: Mirror, server: Upstream, new: Path) -> None:
    for pattern in (REPOMD, PRIMARY, PACKAGE):
        server.on(pattern, status(503, Retry_After="5"), times=1)
    mirror.sync(server)
    mirror.holds(new)
    assert 4 < max(mirror.waits) <= 5


def test_a_server_that_always_asks_for_rest_is_given_up(mirror: Mirror, server: Upstream) -> None:
    server.on(REPOMD, status(503, Retry_After="3600"))
    with pytest.raises(MissingError, match=r"repomd.xml: status 503 \(asks to wait 3600 s\)"):
        mirror.sync(server)
    mirror.holds_nothing()
    assert len(mirror.waits) == 3
    assert max(mirror.waits) <= 60


def test_redirects_to_another_host_are_followed(
    mirror: Mirror, server: Upstream, second: Upstream, new: Path
) -> None:
    server.on("*", elsewhere(f"http://localhost:{second.port}/"))
    mirror.sync(server)
    mirror.holds(new)
    assert len(second.asked) == len(server.asked)


@pytest.mark.parametrize("pattern", [REPOMD, PRIMARY])
def test_redirects_out_of_the_web_are_refused(
    mirror: Mirror, server: Upstream, pattern: str
) -> None:
    server.on(pattern, redirect("file:///etc/passwd"))
    with pytest.raises(TrustError, match=r": redirects to file:///etc/passwd; refused"):
        mirror.sync(server)
    mirror.holds_nothing()


@pytest.mark.parametrize("pattern", ["*", REPOMD, PRIMARY, PACKAGE])
def test_a_login_page_is_not_metadata_nor_a_package(
    mirror: Mirror, server: Upstream, second: Upstream, new: Path, pattern: str
) -> None:
    server.on(pattern, portal)
    with pytest.raises(TrustError, match=r": is an HTML page \(a login page of the network, or a "):
        mirror.sync(server)
    if pattern != PACKAGE:
        mirror.holds_nothing()
    assert sha256_file(mirror.rpms.good) not in mirror.pool
    mirror.sync(server, second)
    mirror.holds(new)


# What metadata says


def spaces(size: int) -> bytes:
    """A metadata file with many spaces in it."""
    head = (
        b'<metadata xmlns="http://linux.duke.edu/metadata/common" '
        b'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="0">'
    )
    return gzip.compress(head + b" " * size + b"</metadata>", 1)


@pytest.mark.parametrize(
    ("opened", "message"),
    [
        (None, r"^base/primary: package 1 is larger than \d+ bytes"),
        (64 << 20, r"^base/primary: package 1 is larger than \d+ bytes"),
        (1000, r"^base/primary: .* more than .*1000"),
    ],
)
def test_a_gzip_bomb_is_not_opened(
    mirror: Mirror, server: Upstream, tmp_path: Path, opened: int | None, message: str
) -> None:
    """That it is not opened beyond a ratio to its size either is shown where it is opened."""
    server.root = promising(copied(server.root, tmp_path / "bomb"), spaces(64 << 20), opened)
    with pytest.raises(TrustError, match=message):
        mirror.sync(server)
    mirror.holds_nothing()


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)


@pytest.mark.parametrize("where", ["primary", "repomd"])
def test_a_billion_laughs_are_not_heard(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path, where: str
) -> None:
    server.root = copied(new, tmp_path / "laughs")
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    if where == "primary":
        rewritten(server.root, declaration, declaration + LAUGHS)
    else:
        path = server.root / "repodata" / "repomd.xml"
        path.write_text(path.read_text().replace(declaration, declaration + LAUGHS))
    with pytest.raises(TrustError, match="has a document type declaration; repository metadata"):
        mirror.sync(server)
    mirror.holds_nothing()


HREF = '<location href="Packages/good-1.0-1.el9.noarch.rpm"/>'


@pytest.mark.parametrize(
    "location",
    [
        '<location href="../../../etc/cron.d/x.rpm"/>',
        '<location href="Packages/%2e%2e/%2e%2e/x.rpm"/>',
        '<location href="/etc/passwd.rpm"/>',
        '<location href="//evil.example.org/x.rpm"/>',
        '<location href="https://evil.example.org/x.rpm"/>',
        '<location href="file:///etc/x.rpm"/>',
        '<location href="Packages\\..\\x.rpm"/>',
        '<location href="Packages/x.rpm?y"/>',
        '<location href="Packages/shadow"/>',
        '<location xml:base="https://evil.example.org/" href="Packages/good.rpm"/>',
    ],
)
def test_a_package_cannot_be_elsewhere(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path, location: str
) -> None:
    server.root = rewritten(copied(new, tmp_path / "tricks"), HREF, location)
    with pytest.raises(TrustError) as caught:
        mirror.sync(server)
    assert str(caught.value).startswith("base/primary: ")
    mirror.holds_nothing()
    assert all(path.startswith("/repodata/") for path in server.paths)


@pytest.mark.parametrize("href", ["../primary.xml.gz", "https://evil.example.org/primary.xml.gz"])
def test_metadata_cannot_be_elsewhere(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path, href: str
) -> None:
    server.root = copied(new, tmp_path / "tricks")
    path = server.root / "repodata" / "repomd.xml"
    path.write_text(re.sub(r'href="[^"]*primary[^"]*"', f'href="{href}"', path.read_text()))
    with pytest.raises(TrustError) as caught:
        mirror.sync(server)
    assert f"the href '{href}' leaves its repository" in str(caught.value)
    mirror.holds_nothing()
    assert server.paths == [REPOMD]


# Packages that are not what they seem


def test_the_same_nevra_with_other_bytes(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path, rpms: Rpms
) -> None:
    """A build that was made again: both are kept, each snapshot means its own."""
    first = mirror.sync(server)
    again = make_rpm(tmp_path / "again", "good", epoch=2, Requires="needed", Url="http://a.org/")
    assert again.name == rpms.good.name
    rpms.key.sign(again)
    server.root = made(tmp_path / "newer", rpms.needed, again)
    second = mirror.sync(server)
    mirror.holds(new, server.root)
    found = [{p.nevra: p.sha256 for p in mirror.packages(s)} for s in (first, second)]
    assert list(found[0]) == list(found[1])
    assert found[0] != found[1]
    assert [row.digest for row in mirror.store.history(KIND, NAME)] == [first.digest, second.digest]


def test_the_same_name_with_other_bytes_than_the_metadata_says(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path, rpms: Rpms
) -> None:
    """Upstream replaced a package in mid-sync: it is not what the snapshot means."""
    again = make_rpm(tmp_path / "again", "good", epoch=2, Requires="needed", Url="http://a.org/")
    rpms.key.sign(again)
    server.root = copied(new, tmp_path / "half")
    shutil.copyfile(again, server.root / "Packages" / again.name)
    with pytest.raises(TrustError, match=r"good-1\.0-1\.el9\.noarch\.rpm: .*\d+ bytes"):
        mirror.sync(server)
    assert mirror.pool == [sha256_file(rpms.needed)]


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("unsigned", r"^unsigned-0:1\.0-1\.el9\.noarch: not signed; expected a signature by "),
        ("other", r"^other-0:1\.0-1\.el9\.noarch: signed by a key with the id \w+; expected "),
    ],
)
def test_a_package_that_nobody_we_trust_signed(
    mirror: Mirror, server: Upstream, tmp_path: Path, which: str, message: str
) -> None:
    server.root = made(tmp_path / "bad", mirror.rpms.needed, getattr(mirror.rpms, which))
    with pytest.raises(TrustError, match=message):
        mirror.sync(server)


def test_a_package_that_says_to_be_another(
    mirror: Mirror, server: Upstream, tmp_path: Path, new: Path
) -> None:
    server.root = rewritten(copied(new, tmp_path / "forged"), 'ver="1.5"', 'ver="9.5"')
    with pytest.raises(TrustError, match=r"needed-0:9\.5-1\.el9\.noarch: the file is really need"):
        mirror.sync(server)


def test_any_error_is_one_or_two_lines(mirror: Mirror, server: Upstream) -> None:
    behaviours: list[Behaviour] = [status(404), wrong, portal, truncated(9), redirect("ftp://x/")]
    for pattern in (REPOMD, PRIMARY, PACKAGE):
        for behaviour in behaviours:
            server.rules[:] = []
            server.on(pattern, behaviour)
            with pytest.raises(GoldpressError) as caught:
                mirror.sync(server)
            assert len(str(caught.value).splitlines()) <= 2
    server.rules[:] = []
    server.on("*", good)
    mirror.sync(server)
