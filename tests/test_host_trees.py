"""Trees: changes stay inside, scans tell the truth, times are clamped; in a real namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goldpress.errors import BuildError
from goldpress.host import trees
from goldpress.host.confine import Confinement, in_namespace, remove_tree
from goldpress.host.trees import Change, write


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnginx:x:990:980::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnginx:x:980:\n")
    yield root
    remove_tree(root)


def test_writes_with_owner_and_mode_and_makes_parents(tree: Path) -> None:
    change = Change(kind="directory", path="/srv/www", mode=0o750, user="nginx", group="nginx")
    trees.apply(tree, [change, write("/opt/a/b", b"data", mode=0o640)])
    entries = {e.path: e for e in trees.scan(tree)}
    assert (entries["/srv/www"].uid, entries["/srv/www"].gid) == (990, 980)
    assert entries["/srv/www"].mode & 0o7777 == 0o750
    assert entries["/opt/a/b"].mode & 0o7777 == 0o640
    assert entries["/opt"].mode & 0o7777 == 0o755
    assert (tree / "opt/a/b").read_bytes() == b"data"


def test_a_link_in_the_tree_cannot_lead_a_change_out(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "var").symlink_to(outside)
    (tree / "up").symlink_to("../../..")
    trees.apply(tree, [write("/var/x", b"1"), write("/up/y", b"2")])
    assert list(outside.iterdir()) == []
    assert (tree / outside.relative_to("/") / "x").read_bytes() == b"1"
    assert (tree / "y").read_bytes() == b"2"


def test_an_unknown_owner_is_an_error_that_names_the_path(tree: Path) -> None:
    with pytest.raises(BuildError, match=r"write /etc/x: .*web is not in the image's /etc/passwd"):
        trees.apply(tree, [Change(kind="write", path="/etc/x", user="web")])


def test_clamp_and_digest(tree: Path) -> None:
    before = trees.digest(tree)
    trees.clamp(tree, 1_000_000_000)
    assert {e.mtime for e in trees.scan(tree)} == {1_000_000_000}
    assert trees.digest(tree) != before


def test_match_finds_files_but_keeps_directories_for_a_deep_pattern(tree: Path) -> None:
    trees.apply(tree, [write("/var/log/nginx/access.log", b""), write("/boot/x/y", b"")])
    found = trees.match(tree, ["var/log/**/*", "boot/*"])
    assert found == ("/boot/x", "/var/log/nginx/access.log")


def test_confined_programs_have_no_network_and_no_host_files(tree: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    script = f"ls {secret} /home /root; cat /proc/net/route | wc -l; touch /usr/x; id -u"
    done = Confinement(readable={"/target": tree}).run(("sh", "-c", script), merge=True)
    assert f"cannot access '{secret}'" in done.text
    assert "touch: cannot touch '/usr/x': Read-only file system" in done.text
    assert "\n1\n" in done.text  # the heading of an empty routing table
    assert done.text.endswith("\n0\n")


def test_files_of_other_owners_are_removed_too(tree: Path) -> None:
    in_namespace(("chown", "-R", "990:980", tree / "etc"))
    remove_tree(tree)
    assert not tree.exists()
