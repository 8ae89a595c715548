"""The closure: what apt chose, kept for the next time, and every package with a place."""

from pathlib import Path

import pytest

from goldpress.errors import BuildError, CommandError, DocumentError, TrustError
from goldpress.host.run import Completed
from goldpress.sandbox.closure import (
    Closure,
    Deb,
    check_mapped,
    chosen,
    download,
    kept,
    missing,
    newest_epoch,
    parse_records,
    read_closure,
    store_closure,
)
from goldpress.sandbox.mirror import Apt
from goldpress.sandbox.table import Table

RECORDS = """\
Package: libc6
Version: 2.36-9
Architecture: amd64
Provides: libc6-virtual (= 2)
Pre-Depends: libcrypt1
Depends: libgcc-s1 (>= 3)
Description: a library
 Package: not a field
SHA256: 1111111111111111111111111111111111111111111111111111111111111111

Package: audit
Version: 1:3.0-1
Architecture: all
SHA256: 2222222222222222222222222222222222222222222222222222222222222222
"""


def a_deb(name: str, **values: str) -> Deb:
    given = {
        "version": "1-1",
        "architecture": "amd64",
        "sha256": "0" * 64,
        "depends": "",
        "pre_depends": "",
        "provides": "",
    }
    return Deb(name=name, **(given | values))


def test_reads_records_sorted_by_name() -> None:
    audit, libc = parse_records(RECORDS)
    assert (libc.depends, libc.pre_depends, libc.provides) == (
        "libgcc-s1 (>= 3)",
        "libcrypt1",
        "libc6-virtual (= 2)",
    )
    assert (audit.name, audit.sha256) == ("audit", "2" * 64)


def test_a_record_without_a_hash_is_refused() -> None:
    with pytest.raises(DocumentError, match="a record without name, version or SHA256"):
        parse_records("Package: x\nVersion: 1\nArchitecture: all\n")


def test_reads_what_apt_chose() -> None:
    text = (
        "NOTE: this is a simulation\n"
        "'http://m.test/p/audit_1%3a3.0-1_all.deb' audit_1%3a3.0-1_all.deb 10 SHA256:ab\n"
        "'http://m.test/p/a+b_2.0_amd64.deb' a+b_2.0_amd64.deb 7 MD5Sum:cd\n"
    )
    assert chosen(text) == ("a+b=2.0", "audit=1:3.0-1")


def test_a_file_is_named_as_apt_names_it() -> None:
    assert a_deb("x", version="1:2+a~b-3").file_name == "x_1%3a2+a~b-3_amd64.deb"


def test_is_the_same_after_keeping(tmp_path: Path) -> None:
    closure = Closure(wanted=("b", "a"), debs=(a_deb("a"), a_deb("b", depends="a")))
    store_closure(tmp_path / "closure.json", closure)
    assert read_closure(tmp_path / "closure.json") == closure
    assert read_closure(tmp_path / "other.json") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"wanted": [], "packages": [{"name": "x"}]}'])
def test_a_broken_closure_says_to_remove_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "closure.json"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_closure(path)
    assert str(caught.value).startswith(f"{path}: not a closure: ")
    assert caught.value.hint == "remove the file: it is made again"


def test_unmapped_packages_are_named() -> None:
    table = Table.model_validate_json(
        '{"dropped": {"c": "nothing needs it"}, "packages": {"A": {"parts": ["a"]}}}'
    )
    mapped = Closure(wanted=(), debs=(a_deb("a"), a_deb("c")))
    check_mapped(mapped, table)
    assert [deb.name for deb in kept(mapped, table)] == ["a"]
    unmapped = Closure(wanted=(), debs=(*mapped.debs, a_deb("d"), a_deb("e")))
    with pytest.raises(BuildError) as caught:
        check_mapped(unmapped, table)
    assert str(caught.value) == (
        "packages.yaml maps no CentOS package for Debian's d, e\n"
        "  add each to the `parts` of a package, or to `dropped` with the reason"
    )


def test_finds_the_one_kernel() -> None:
    debs = (a_deb("linux-image-6.1.0-9-cloud-amd64"), a_deb("linux-image-cloud-amd64"))
    assert Closure(wanted=(), debs=debs).kernel == "6.1.0-9-cloud-amd64"


def test_no_kernel_and_two_are_refused() -> None:
    with pytest.raises(BuildError, match="needs one kernel, its closure has none"):
        _ = Closure(wanted=(), debs=()).kernel
    two = (a_deb("linux-image-6.1.0-1-amd64"), a_deb("linux-image-6.1.0-2-amd64"))
    with pytest.raises(BuildError, match=r"its closure has \['6.1.0-1-amd64', '6.1.0-2-amd64'\]"):
        _ = Closure(wanted=(), debs=two).kernel


def test_a_file_with_other_bytes_is_missing(tmp_path: Path) -> None:
    deb = a_deb("x", sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    assert missing([deb], tmp_path) == (deb,)
    (tmp_path / deb.file_name).write_bytes(b"abc")
    assert missing([deb], tmp_path) == ()
    (tmp_path / deb.file_name).write_bytes(b"abd")
    assert missing([deb], tmp_path) == (deb,)


class OneFileArchive(Apt):
    """An archive that hands out `xyz` as version 1-1 of x."""

    def run(
        self, program: str, *args: str, what: str, cwd: Path | None = None, hint: str = ""
    ) -> Completed:
        assert (program, *args[1:]) == ("apt-get", "download", "x=1-1"), (what, hint)
        assert cwd is not None
        (cwd / "x_1-1_amd64.deb").write_bytes(b"xyz")
        return Completed(argv=(), returncode=0, stdout=b"", stderr=b"")


def test_a_downloads_bytes_are_judged(tmp_path: Path) -> None:
    good = a_deb("x", sha256="3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282")
    download(OneFileArchive(state=tmp_path), [good], tmp_path)
    with pytest.raises(TrustError) as caught:
        download(OneFileArchive(state=tmp_path), [a_deb("x")], tmp_path)
    assert str(caught.value) == "x_1-1_amd64.deb: its sha256 is not that of the signed index"


def test_a_dropped_version_says_what_to_do(tmp_path: Path) -> None:
    apt = Apt(state=tmp_path / "apt")
    apt.prepare([])
    with pytest.raises(CommandError, match="download Debian's packages: exit status") as caught:
        download(apt, [a_deb("goldpress-nowhere")], tmp_path / "debs")
    assert "remove closure.json beside the downloads" in caught.value.hint


def test_the_newest_package_gives_the_time(tmp_path: Path) -> None:
    for name, when in (("a", 1700000000), ("b", 1600000000)):
        head = b"!<arch>\ndebian-binary   " + str(when).encode().ljust(12) + b"0     0     "
        (tmp_path / name).write_bytes(head)
    assert newest_epoch([tmp_path / "a", tmp_path / "b"]) == 1700000000
    (tmp_path / "c").write_bytes(b"something else")
    with pytest.raises(TrustError, match=r"^c: not a Debian package$"):
        newest_epoch([tmp_path / "c"])
