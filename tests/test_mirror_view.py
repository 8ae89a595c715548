from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from clients import dnf
from emulated import Emulator
from rpms import Rpms, distribution, make_repository

from goldpress.aws.s3 import S3Objects
from goldpress.digest import sha256_file
from goldpress.errors import MissingError, TrustError
from goldpress.host.run import run
from goldpress.mirror.metadata.repomd import read_repomd
from goldpress.mirror.snapshot import Snapshot, take_snapshot
from goldpress.mirror.views.serve import serving
from goldpress.mirror.views.view import View, make_view
from goldpress.store import Store

MODULES = """---
document: modulemd-defaults
version: 1
data:
  module: thing
  profiles: {"1": [common]}
...
"""


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A store with a snapshot of one repository, and some of its packages."""

    store: Store
    snapshot: Snapshot
    rpms: Rpms

    def pool(self, *packages: Path) -> None:
        for package in packages:
            sha256 = sha256_file(package)
            target = self.store.package_path(sha256)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package, target)
            self.store.kept_package(sha256)

    def view(self) -> View:
        return make_view(self.store, self.snapshot, keys=self.keys)

    @property
    def keys(self) -> dict[str, Path]:
        return {self.rpms.key.fingerprint: self.rpms.key.public}

    @property
    def repodata(self) -> Path:
        return self.store.root / self.view().path / "base" / "repodata"

    def file(self, type_: str) -> Path:
        """The file of this type that the view's repomd.xml names, checked against it."""
        repomd = self.repodata / "repomd.xml"
        entry = read_repomd([repomd.read_bytes()], name="repomd")[type_]
        path = repomd.parent.parent / entry.href
        assert (sha256_file(path), path.stat().st_size) == (entry.sha256, entry.size)
        return path


@pytest.fixture(scope="module")
def repository(rpms: Rpms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    base = make_repository(folder, rpms.good, rpms.needed, rpms.other)
    (folder / "modules.yaml").write_text(MODULES)
    argv = ["modifyrepo_c", str(folder / "modules.yaml"), str(base / "repodata")]
    run(argv, timeout=60)
    return base


def mirror_in(store: Store, repository: Path, rpms: Rpms) -> Mirror:
    snapshot = take_snapshot(store, distribution("base"), "x86_64", {"base": repository})
    return Mirror(store=store, snapshot=snapshot, rpms=rpms)


@pytest.fixture
def mirror(tmp_path: Path, repository: Path, rpms: Rpms) -> Mirror:
    return mirror_in(Store(root=tmp_path / "store"), repository, rpms)


def names(path: Path) -> set[str]:
    text = gzip.decompress(path.read_bytes()).decode()
    found = re.findall(r'<name>(.*?)</name>|<package pkgid="\w+" name="([^"]+)"', text)
    assert f'packages="{len(found)}"' in text
    return {one or other for one, other in found}


def test_a_view_has_what_the_pool_has(mirror: Mirror, rpms: Rpms) -> None:
    mirror.pool(rpms.good, rpms.needed)
    (row,) = mirror.view().repositories
    assert (row.id, row.packages, row.upstream) == ("base", 2, 3)
    for type_ in ("primary", "filelists", "other"):
        assert names(mirror.file(type_)) == {"good", "needed"}
    primary = gzip.decompress(mirror.file("primary").read_bytes()).decode()
    sha256 = sha256_file(rpms.good)
    assert f'<location href="../../../pool/sha256/{sha256[:2]}/{sha256}.rpm"/>' in primary
    assert "Packages/" not in primary


def test_only_locations_differ_from_upstream(mirror: Mirror, rpms: Rpms, repository: Path) -> None:
    mirror.pool(rpms.good, rpms.needed, rpms.other)
    (upstream,) = (repository / "repodata").glob("*-primary.xml.gz")
    ours, theirs = (
        re.sub(r'href="[^"]*"', "", gzip.decompress(path.read_bytes()).decode()).split()
        for path in (mirror.file("primary"), upstream)
    )
    assert ours == theirs


def test_what_does_not_change_is_kept_once(mirror: Mirror, rpms: Rpms) -> None:
    mirror.pool(rpms.good, rpms.needed, rpms.other)
    for type_ in ("filelists", "other", "modules"):
        sha256 = mirror.snapshot.repositories[0].metadata[type_].sha256
        assert mirror.file(type_).samefile(mirror.store.meta_path(sha256))
    # Readers go by the suffix.
    assert mirror.file("modules").name.endswith("-modules.yaml.gz")
    newer = replace(mirror.snapshot, platform="el10")
    there = mirror.store.root / make_view(mirror.store, newer).path / "base" / "repodata"
    assert sorted(p.name for p in there.iterdir()) == sorted(
        p.name for p in mirror.repodata.iterdir()
    )
    assert all(p.samefile(mirror.repodata / p.name) for p in there.iterdir())


def test_the_same_pool_gives_the_same_bytes_and_a_new_package_others(
    mirror: Mirror, tmp_path: Path, repository: Path, rpms: Rpms
) -> None:
    mirror.pool(rpms.good)
    before = mirror.file("primary").read_bytes()
    elsewhere = mirror_in(Store(root=tmp_path / "elsewhere"), repository, rpms)
    elsewhere.pool(rpms.good)
    assert elsewhere.file("primary").read_bytes() == before
    mirror.pool(rpms.needed)
    assert names(mirror.file("primary")) == {"good", "needed"}


def test_what_is_there_is_not_made_again(mirror: Mirror, rpms: Rpms) -> None:
    mirror.pool(rpms.good)
    repomd = mirror.repodata / "repomd.xml"
    first = repomd.stat()
    mirror.view()
    assert repomd.stat().st_ino == first.st_ino
    # Half a view, as a kill leaves it, is completed.
    repomd.unlink()
    mirror.view()
    assert repomd.stat().st_ino == first.st_ino


def bytes_on_disk(folder: Path) -> int:
    files = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum({status.st_ino: status.st_size for status in files}.values())


def test_a_second_snapshot_costs_what_changed_and_its_own_metadata(
    tmp_path: Path, repository: Path, rpms: Rpms
) -> None:
    changing = tmp_path / "changing"
    shutil.copytree(repository, changing)
    store = Store(root=tmp_path / "store")
    sources = {"base": repository, "extra": changing}

    def synced() -> int:
        snapshot = take_snapshot(store, distribution("base", "extra"), "x86_64", sources)
        mirror = Mirror(store=store, snapshot=snapshot, rpms=rpms)
        mirror.pool(*changing.glob("Packages/*.rpm"))
        mirror.view()
        return bytes_on_disk(store.root)

    first = synced()
    assert synced() == first
    make_repository(changing, rpms.unsigned)
    new = sum(path.stat().st_size for path in changing.glob("repodata/*"))
    # Its package, its metadata, locations of the pool in it, an index and two small documents.
    assert synced() - first < rpms.unsigned.stat().st_size + 2 * new + 8000


def test_a_view_without_packages_is_a_repository(mirror: Mirror) -> None:
    (row,) = mirror.view().repositories
    assert (row.packages, row.upstream) == (0, 3)
    assert names(mirror.file("primary")) == set()


def test_metadata_that_is_gone_is_missing(mirror: Mirror) -> None:
    sha256 = mirror.snapshot.repositories[0].metadata["modules"].sha256
    mirror.store.meta_path(sha256).unlink()
    with pytest.raises(MissingError) as caught:
        mirror.view()
    assert str(caught.value) == "the store has no base/modules\n  run `./inv mirror.sync`"
    assert not (mirror.store.root / "views").exists()


@pytest.mark.parametrize("type_", ["primary", "filelists", "modules"])
def test_changed_metadata_is_not_published(mirror: Mirror, rpms: Rpms, type_: str) -> None:
    mirror.pool(rpms.good)
    path = mirror.store.meta_path(mirror.snapshot.repositories[0].metadata[type_].sha256)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(TrustError, match="its bytes do not match its name; the file was changed"):
        mirror.view()
    assert not (mirror.store.root / "views").exists()
    assert not list((mirror.store.root / "derived").glob("view-*/*"))


def test_the_repository_file_asks_for_signatures(mirror: Mirror, rpms: Rpms) -> None:
    view = mirror.view()
    here = f"https://mirror.example.org/views/{mirror.snapshot.digest[7:]}"
    assert view.repo_file("https://mirror.example.org/") == (
        f"[goldpress-base]\n"
        f"name=test-9 x86_64, base, as of {mirror.snapshot.digest[7:19]}\n"
        f"baseurl={here}/base/\n"
        f"enabled=1\n"
        f"gpgcheck=1\n"
        f"gpgkey={here}/keys/{rpms.key.fingerprint}.asc\n"
        f"repo_gpgcheck=0\n"
    )
    (row,) = view.repositories
    several = replace(view, repositories=(replace(row, priority=10), row), keys=("A", "B"))
    text = several.repo_file("http://a")
    assert text.count("priority=10\n") == 1
    assert "keys/A.asc\n       http://a/views/" in text


@contextmanager
def file_url(mirror: Mirror) -> Iterator[str]:
    yield f"file://{mirror.store.root}"


@contextmanager
def http_url(mirror: Mirror) -> Iterator[str]:
    with serving(mirror.store) as url:
        yield url


@pytest.mark.parametrize("address", [file_url, http_url])
def test_dnf_installs_from_it(mirror: Mirror, rpms: Rpms, tmp_path: Path, address: object) -> None:
    mirror.pool(rpms.good, rpms.needed)
    view = mirror.view()
    with address(mirror) as base:  # type: ignore[operator]
        done = dnf(tmp_path / "root", view.repo_file(base), "install", "good")
        assert done.returncode == 0, done.text
        assert (tmp_path / "root/usr/share/good").read_text() == "good 1.0\n"
        assert (tmp_path / "root/usr/share/needed").read_text() == "needed 1.5\n"
        # The pool has it not, so the view has it not.
        done = dnf(tmp_path / "root", view.repo_file(base), "install", "other")
        assert "Unable to find a match: other" in done.text


def test_dnf_refuses_what_another_key_signed(mirror: Mirror, rpms: Rpms, tmp_path: Path) -> None:
    mirror.pool(rpms.other)
    with serving(mirror.store) as base:
        done = dnf(tmp_path / "root", mirror.view().repo_file(base), "install", "other")
    assert done.returncode != 0
    assert "GPG check FAILED" in done.text
    assert not (tmp_path / "root/usr/share/other").exists()


def test_dnf_reads_its_lists_of_files_and_changes(
    mirror: Mirror, rpms: Rpms, tmp_path: Path
) -> None:
    mirror.pool(rpms.good)
    with serving(mirror.store) as base:
        repo_file = mirror.view().repo_file(base)
        done = dnf(tmp_path / "root", repo_file, "repoquery", "--list", "good")
        assert done.text.splitlines()[-1] == "/usr/share/good"
        done = dnf(tmp_path / "root", repo_file, "repoquery", "--changelogs", "good")
        assert done.returncode == 0, done.text


def test_dnf_installs_from_a_bucket(
    tmp_path: Path, repository: Path, rpms: Rpms, emulator: Emulator
) -> None:
    objects = emulator.objects()
    mirror = mirror_in(Store(root=tmp_path / "cache", shared=objects), repository, rpms)
    mirror.pool(rpms.good, rpms.needed)
    view = mirror.view()
    # Whoever has an empty cache gives the same view.
    assert names(
        mirror_in(Store(root=tmp_path / "other", shared=objects), repository, rpms).file("primary")
    ) == {"good", "needed"}
    public(objects)
    base = f"{emulator.url}/{objects.bucket}/{objects.prefix}"
    done = dnf(tmp_path / "root", view.repo_file(base), "install", "good")
    assert done.returncode == 0, done.text
    assert (tmp_path / "root/usr/share/needed").read_text() == "needed 1.5\n"


def public(objects: S3Objects) -> None:
    """Let everyone read the bucket, as one that serves machines would."""
    objects.client.put_bucket_acl(Bucket=objects.bucket, ACL="public-read")
    objects.client.put_bucket_policy(
        Bucket=objects.bucket,
        Policy=(
            '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
            f'"Action": "s3:GetObject", "Resource": "arn:aws:s3:::{objects.bucket}/*"}}]}}'
        ),
    )
