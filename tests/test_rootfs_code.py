"""The code of applications: what lands where, and archives that are refused."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest
from definitions import SERVING

from goldpress.definition import Definition, load_definition
from goldpress.digest import sha256_bytes
from goldpress.errors import BuildError, GoldpressError, MissingError
from goldpress.rootfs.code import code_digests, plan_code

DEFINITION = (
    SERVING
    + """\
apps:
  shop: SOURCE
pools:
  shop: {app: shop, hosts: [shop.example.com], memory_mib: 300, worker_mib: 20}
"""
)


def image(tmp_path: Path, source: str) -> Definition:
    directory = tmp_path / "web"
    directory.mkdir(exist_ok=True)
    (directory / "image.yaml").write_text(DEFINITION.replace("SOURCE", source))
    return load_definition(directory)


def archived(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Definition:
    """An image whose application is an archive of these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = stream.getvalue()
    (tmp_path / "web").mkdir()
    (tmp_path / "web/shop.tar.gz").write_bytes(data)
    return image(tmp_path, f"{{archive: shop.tar.gz, sha256: {sha256_bytes(data)}}}")


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_a_folders_files_and_links(tmp_path: Path) -> None:
    app = tmp_path / "web/apps/shop"
    (app / "public").mkdir(parents=True)
    (app / "public/index.php").write_text("<?php\n")
    (app / "public/index.php").chmod(0o777)
    (app / "latest").symlink_to("public/index.php")
    found = image(tmp_path, "{directory: apps/shop}")
    changes = {change.path: change for change in plan_code(found)}
    front = changes["/srv/shop/public/index.php"]
    assert (front.kind, front.mode, front.user) == ("write", 0o644, "root")
    assert base64.b64decode(front.content) == b"<?php\n"
    assert changes["/srv/shop/latest"].target == "public/index.php"
    before = code_digests(found)
    (app / "public/index.php").write_text("<?php\n\n")
    assert code_digests(found) != before


def test_an_archives_files(tmp_path: Path) -> None:
    found = archived(
        tmp_path,
        (member("./public", kind=tarfile.DIRTYPE), b""),
        (member("./public/index.php"), b"<?php\n"),
        (member("./latest", kind=tarfile.SYMTYPE, link="public/../public/index.php"), b""),
    )
    assert [(c.kind, c.path) for c in plan_code(found)] == [
        ("link", "/srv/shop/latest"),
        ("write", "/srv/shop/public/index.php"),
    ]
    assert code_digests(found) == {"shop": found.apps["shop"].sha256}


def test_a_packages_code_is_in_the_tree_already(tmp_path: Path) -> None:
    found = image(tmp_path, "{package: nginx, root: /usr/share/shop}")
    assert plan_code(found) == ()
    assert code_digests(found) == {"shop": "package nginx"}


def test_another_archive_than_the_named_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/shop.tar").write_bytes(b"x")
    found = image(tmp_path, f"{{archive: shop.tar, sha256: {'0' * 64}}}")
    with pytest.raises(BuildError) as caught:
        plan_code(found)
    assert str(caught.value) == (
        f"apps.shop: shop.tar has the sha256 {sha256_bytes(b'x')}\n"
        f"  image.yaml names {'0' * 64}: is it the version that was reviewed?"
    )


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/shop.tar").write_bytes(b"x" * 600)
    found = image(tmp_path, f"{{archive: shop.tar, sha256: {sha256_bytes(b'x' * 600)}}}")
    with pytest.raises(BuildError, match=r"^apps\.shop: not a tar archive: "):
        plan_code(found)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (member("../evil"), "apps.shop: ../evil leads out of the application"),
        (member("/etc/evil"), "apps.shop: /etc/evil leads out of the application"),
        (
            member("a/link", kind=tarfile.SYMTYPE, link="../../etc/passwd"),
            "apps.shop: the link a/link leads out of the application",
        ),
        (
            member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
            "apps.shop: the link link leads out of the application",
        ),
        (member("pipe", kind=tarfile.FIFOTYPE), "apps.shop: pipe is no file, folder or link"),
        (
            member("hard", kind=tarfile.LNKTYPE, link="x"),
            "apps.shop: hard is no file, folder or link",
        ),
    ],
)
def test_members_that_lead_out_are_refused(
    tmp_path: Path, info: tarfile.TarInfo, said: str
) -> None:
    found = archived(tmp_path, (info, b""))
    with pytest.raises(BuildError) as caught:
        plan_code(found)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{directory: apps/none}", "apps.shop.directory: there is no folder apps/none"),
        (
            f"{{archive: none.tar, sha256: {'0' * 64}}}",
            "apps.shop.archive: there is no file none.tar",
        ),
    ],
)
def test_a_missing_source_is_named(tmp_path: Path, source: str, said: str) -> None:
    found = image(tmp_path, source)
    with pytest.raises(MissingError) as caught:
        plan_code(found)
    assert isinstance(caught.value, GoldpressError)
    assert str(caught.value) == said
