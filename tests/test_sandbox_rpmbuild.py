"""From .deb files to signed RPMs with the real tools, small: unpack, cut, build, sign."""

from pathlib import Path

import pytest

from goldpress.errors import BuildError, CommandError
from goldpress.host.run import run
from goldpress.sandbox import rpmbuild
from goldpress.sandbox.assembly import assemble
from goldpress.sandbox.closure import Closure, Deb
from goldpress.sandbox.layout import lay_out, settle
from goldpress.sandbox.rpmbuild import build_rpms, plan_rpms
from goldpress.sandbox.signing import Key, fingerprint_of, load_key, sign, sign_argv
from goldpress.sandbox.table import Table
from goldpress.sandbox.tree import read_tree, unpack

EPOCH = 1_700_000_000
TABLE = """{"packages": {
    "tool": {"parts": ["tool-bin"], "requires": ["tool-libs"],
             "moves": {"/usr/sbin/tool": "/usr/sbin/toold"},
             "attrs": {"/etc/tool.conf": "0600 root root"}},
    "tool-libs": {"parts": [{"deb": "tool-bin", "paths": ["/usr/lib/*"]}]},
    "empty": {"version": "2"}}}"""


def a_deb(folder: Path) -> Path:
    root = folder / "deb"
    for path, text in (
        (
            "DEBIAN/control",
            (
                "Package: tool-bin\nVersion: 1:1.0-3\nArchitecture: amd64\n"
                "Maintainer: T <t@localhost>\nDescription: x\n"
            ),
        ),
        ("sbin/tool", "#!/bin/sh\n"),
        ("etc/tool.conf", "x = 1\n"),
        ("lib/libtool.so", "library"),
    ):
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (root / "sbin/tool").chmod(0o755)
    run(["dpkg-deb", "--build", "--root-owner-group", root, folder / "tool.deb"])
    return folder / "tool.deb"


def made(folder: Path) -> list[Path]:
    """The three packages of the table, built in `folder`."""
    table = Table.model_validate_json(TABLE)
    deb = Deb(
        name="tool-bin",
        version="1:1.0-3",
        architecture="amd64",
        sha256="0" * 64,
        depends="",
        pre_depends="",
        provides="",
    )
    trees = {"tool-bin": read_tree(unpack({"tool-bin": a_deb(folder)}, folder / "un")["tool-bin"])}
    contents = settle(
        table,
        assemble(table, trees, fixups=folder / "none", generated={}),
        trees.values(),
    )
    lay_out(contents.values(), folder / "tree", epoch=EPOCH)
    return build_rpms(
        plan_rpms(table, Closure(wanted=(), debs=(deb,)), contents), folder, epoch=EPOCH
    )


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return load_key(tmp_path_factory.mktemp("key") / "secret.gpg")


def asked(rpm: Path, query: str) -> list[str]:
    return run(["rpm", "-qp", "--nosignature", "--qf", query, rpm]).text.split()


def test_packages_come_out_as_the_table_says(tmp_path: Path) -> None:
    rpms = made(tmp_path)
    assert [rpm.name for rpm in rpms] == [
        "empty-2-1.sandbox.x86_64.rpm",
        "tool-1.0-3.sandbox.x86_64.rpm",
        "tool-libs-1.0-3.sandbox.x86_64.rpm",
    ]
    _, tool, libs = rpms
    assert asked(tool, "[%{FILENAMES}:%{FILEMODES:octal}:%{FILEUSERNAME}\n]") == [
        "/etc:40755:root",
        "/etc/tool.conf:100600:root",
        "/usr:40755:root",
        "/usr/sbin:40755:root",
        "/usr/sbin/toold:100755:root",
    ]
    assert "/usr/lib/libtool.so" in asked(libs, "[%{FILENAMES}\n]")
    assert "tool-libs" in asked(tool, "[%{REQUIRENAME}\n]")
    assert asked(tool, "%{VENDOR} %{BUILDTIME} %{BUILDHOST} %{PAYLOADCOMPRESSOR}") == [
        "goldpress",
        "sandbox",
        str(EPOCH),
        "goldpress-sandbox",
        "zstd",
    ]


def test_two_makes_have_the_same_bytes_signatures_included(tmp_path: Path, key: Key) -> None:
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rpms = made(tmp_path / name)
        sign(rpms, key, epoch=EPOCH)
        both.append([rpm.read_bytes() for rpm in rpms])
    assert both[0] == both[1]


def test_signatures_are_judged_good_with_the_key_and_bad_without(tmp_path: Path, key: Key) -> None:
    rpms = made(tmp_path)
    sign(rpms, key, epoch=EPOCH)
    (tmp_path / "key.asc").write_bytes(key.public)
    database = ["--define", f"_dbpath {tmp_path}/db", "--define", "_pkgverify_level all"]
    without = run(["rpmkeys", *database, "--checksig", *rpms], check=False)
    assert without.returncode != 0
    assert "SIGNATURES NOT OK" in without.text
    run(["rpmkeys", *database, "--import", tmp_path / "key.asc"])
    assert run(["rpmkeys", *database, "--checksig", *rpms]).text.count("signatures OK") == 3


def test_the_key_is_kept(key: Key) -> None:
    again = load_key(key.secret)
    assert (again.fingerprint, again.public) == (key.fingerprint, key.public)
    assert len(key.fingerprint) == 40
    assert key.secret.stat().st_mode & 0o777 == 0o600


def test_a_broken_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.gpg").write_text("nonsense")
    with pytest.raises(CommandError, match=r"read the sandbox's key: exit status 2"):
        load_key(tmp_path / "secret.gpg")


def test_a_listing_without_a_key_is_refused() -> None:
    with pytest.raises(BuildError, match="gpg lists no fingerprint"):
        fingerprint_of("tru::1:1:0:3:1:5\n")


def test_signs_with_a_fixed_time() -> None:
    argv = sign_argv([Path("/a.rpm")], fingerprint="AB", epoch=7)
    assert "_gpg_sign_cmd_extra_args --batch --faked-system-time 7!" in argv
    assert argv[-2:] == ["--addsign", Path("/a.rpm")]


def test_a_package_that_does_not_come_out_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpmbuild, "rpmbuild_argv", lambda spec, top: ["true", spec, top])
    with pytest.raises(BuildError, match=r"^rpmbuild wrote 0 packages of 3$"):
        made(tmp_path)


def test_rpmbuilds_complaint_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpmbuild, "spec_text", lambda *_, **__: "Name: x\n%nonsense{\n")
    with pytest.raises(CommandError, match="rpmbuild of the sandbox: exit status 1"):
        made(tmp_path)
