"""The layout: one owner a file, one mode a directory, filesystem's left to filesystem."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from goldpress.errors import BuildError
from goldpress.sandbox.layout import Content, lay_out, settle
from goldpress.sandbox.table import Table
from goldpress.sandbox.tree import Entries, Entry

FILE = Entry(kind="file", mode=0o2755, text="x\n")


def settled(packages: dict[str, dict[str, Any]], **contents: Entries) -> dict[str, Content]:
    value = {"packages": {name: {"version": "1", **p} for name, p in packages.items()}}
    table = Table.model_validate_json(json.dumps(value))
    return settle(table, contents, [{"/etc/ssh": Entry(kind="dir", mode=0o700)}])


def test_owners_of_directories() -> None:
    made = settled(
        {
            "filesystem": {"directories": {"/etc": "0755 root root"}},
            "a": {"directories": {"/var/a": "0750 root a"}, "ghosts": {"/run/a/x": "0644 a a"}},
        },
        filesystem={"/etc": Entry(kind="dir", mode=0o755)},
        a={"/etc/ssh/x": FILE, "/var/a": Entry(kind="dir", mode=0o750)},
    )
    assert made["filesystem"].owners == {"/etc": "0755 root root"}
    assert made["a"].owners == {
        "/etc/ssh": "0700 root root",
        "/etc/ssh/x": "0755 root root",
        "/run": "0755 root root",
        "/run/a": "0755 root root",
        "/var": "0755 root root",
        "/var/a": "0750 root a",
    }


def test_a_file_in_two_packages_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        settled({"a": {}, "b": {}}, a={"/usr/x": FILE}, b={"/usr/x": FILE})
    assert str(caught.value) == (
        "/usr/x is in a and in b\n  take it out of one by `removes` in packages.yaml"
    )


@pytest.mark.parametrize(
    ("path", "kind"), [("/var/run/x", "file"), ("/var/run", "dir"), ("/var/run/y/z", "file")]
)
def test_a_path_below_a_link_is_refused(path: str, kind: Any) -> None:
    with pytest.raises(BuildError) as caught:
        settled(
            {"a": {}, "b": {}},
            a={"/var/run": Entry(kind="link", mode=0o777, target="../run")},
            b={path: Entry(kind=kind, mode=0o755)},
        )
    assert str(caught.value) == f"b: {path} lies below /var/run, a link of a"


def test_lays_out_with_times_of_debians_and_ours(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("debian")
    old = 1_500_000_000
    os.utime(source, (old, old))
    entries = {
        "/etc": Entry(kind="dir", mode=0o755),
        "/etc/theirs": Entry(kind="file", mode=0, source=source),
        "/etc/ours": Entry(kind="file", mode=0o644, source=source, fixup=True),
        "/etc/made": Entry(kind="file", mode=0o644, text="made"),
        "/etc/link": Entry(kind="link", mode=0o777, target="ours"),
    }
    lay_out([Content(entries=entries, owners={})], tmp_path / "tree", epoch=1_600_000_000)
    tree = tmp_path / "tree/etc"
    assert (tree / "theirs").stat().st_mtime == old
    assert (tree / "ours").stat().st_mtime == 1_600_000_000
    assert ((tree / "made").read_text(), (tree / "link").readlink()) == ("made", Path("ours"))
