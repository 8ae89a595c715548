"""Trees: merged below /usr, links still naming the same file, directories that do not linger."""

import os
from pathlib import Path

import pytest

from goldpress.errors import BuildError
from goldpress.sandbox.tree import (
    Entries,
    Entry,
    matcher,
    merged_path,
    merged_target,
    parents,
    read_tree,
    without,
)

FILE = Entry(kind="file", mode=0o644)
DIR = Entry(kind="dir", mode=0o755)


@pytest.mark.parametrize(
    ("path", "merged"),
    [
        ("/bin/ls", "/usr/bin/ls"),
        ("/lib64/ld.so", "/usr/lib64/ld.so"),
        ("/usr/bin/ls", "/usr/bin/ls"),
        ("/library/x", "/library/x"),
        ("/etc/lib/x", "/etc/lib/x"),
    ],
)
def test_merges_paths(path: str, merged: str) -> None:
    assert merged_path(path) == merged


@pytest.mark.parametrize(
    ("path", "target", "merged"),
    [
        ("/bin/sh", "bash", "bash"),
        ("/sbin/ip", "/bin/ip", "/bin/ip"),
        ("/sbin/ip", "../bin/ip", "../bin/ip"),
        ("/bin/systemd", "../lib/systemd/systemd", "../lib/systemd/systemd"),
        ("/lib/a/b", "../../usr/share/c", "../../share/c"),
        ("/lib/a/b", "../../etc/c", "../../../etc/c"),
        ("/usr/lib/a", "../../lib/b", "../../lib/b"),
    ],
)
def test_links_name_the_same_file_after_the_merge(path: str, target: str, merged: str) -> None:
    assert merged_target(path, target) == merged


def test_reads_a_tree(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_text("x")
    (tmp_path / "bin/tool").chmod(0o4755)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/secret").write_text("x")
    (tmp_path / "etc/secret").chmod(0)
    (tmp_path / "bin/sh").symlink_to("tool")
    entries = read_tree(tmp_path)
    assert sorted(entries) == [
        "/etc",
        "/etc/secret",
        "/usr",
        "/usr/bin",
        "/usr/bin/sh",
        "/usr/bin/tool",
    ]
    assert entries["/usr/bin/tool"].mode == 0o4755
    assert entries["/etc/secret"].mode == 0
    assert (tmp_path / "etc/secret").read_text() == "x"
    assert entries["/usr/bin/sh"].target == "tool"


def test_two_paths_that_become_one_are_refused(tmp_path: Path) -> None:
    for folder in ("bin", "usr/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "which").write_text(folder)
    with pytest.raises(BuildError) as caught:
        read_tree(tmp_path)
    assert str(caught.value).endswith("/bin/which: the merge of /bin and /usr/bin finds it twice")


def test_a_device_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BuildError, match=r"^/pipe: neither a file, a directory nor a link$"):
        read_tree(tmp_path)


def test_a_glob_crosses_directories_and_nothing_matches_nothing() -> None:
    assert matcher(["/usr/share/doc/*"]).match("/usr/share/doc/a/b")
    assert not matcher([]).match("")


def test_directories_left_hollow_go_and_empty_ones_stay() -> None:
    entries: Entries = {
        "/etc": DIR,
        "/etc/init.d": DIR,
        "/etc/init.d/x": FILE,
        "/etc/empty": DIR,
        "/usr": DIR,
        "/usr/x": FILE,
    }
    assert sorted(without(entries, ["/etc/init.d/*"])) == ["/etc", "/etc/empty", "/usr", "/usr/x"]


def test_parents_nearest_first() -> None:
    assert parents("/usr/lib/x") == ["/usr/lib", "/usr"]
