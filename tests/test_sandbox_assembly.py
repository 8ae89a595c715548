"""Assembly: parts, removes, moves, links, fix-ups; what the table says and cannot be is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from goldpress.errors import BuildError
from goldpress.sandbox.assembly import assemble
from goldpress.sandbox.table import Table
from goldpress.sandbox.tree import Entries, Entry

DIR = Entry(kind="dir", mode=0o755)


def a_file(text: str = "", mode: int = 0o644) -> Entry:
    return Entry(kind="file", mode=mode, text=text)


TREE: Entries = {
    "/etc": DIR,
    "/etc/init.d": DIR,
    "/etc/init.d/udev": a_file(),
    "/usr": DIR,
    "/usr/bin": DIR,
    "/usr/bin/systemctl": a_file(mode=0o755),
    "/usr/bin/udevadm": a_file(mode=0o755),
    "/usr/lib": DIR,
    "/usr/lib/udev": DIR,
    "/usr/lib/udev/rules": a_file(),
}


def cut(fixups: Path, packages: dict[str, Any], **more: Any) -> dict[str, Entries]:
    value = {"packages": packages, "drop_paths": ["/etc/init.d*"], **more}
    table = Table.model_validate_json(json.dumps(value))
    return assemble(table, {"systemd": dict(TREE)}, fixups=fixups, generated={})


def files(entries: Entries) -> list[str]:
    return sorted(path for path, entry in entries.items() if entry.kind != "dir")


def test_splits_a_package(tmp_path: Path) -> None:
    made = cut(
        tmp_path,
        {
            "systemd-udev": {"parts": [{"deb": "systemd", "paths": ["/usr/*udev*"]}]},
            "systemd": {"parts": ["systemd"]},
        },
    )
    assert files(made["systemd"]) == ["/usr/bin/systemctl"]
    assert files(made["systemd-udev"]) == ["/usr/bin/udevadm", "/usr/lib/udev/rules"]
    assert "/usr/lib/udev" not in made["systemd"]


def test_changes_in_their_order(tmp_path: Path) -> None:
    fixup = tmp_path / "systemd/usr/libexec/helper"
    fixup.parent.mkdir(parents=True)
    fixup.write_text("#!/bin/sh\n")
    fixup.chmod(0o755)
    made = cut(
        tmp_path,
        {
            "systemd": {
                "parts": ["systemd"],
                "removes": ["/usr/bin/udevadm"],
                "moves": {"/usr/lib/udev": "/usr/share/udev"},
                "links": {"/usr/bin/sc": "systemctl"},
                "bridges": {"/usr/lib/old": "../share/udev"},
                "directories": {"/var/lib/x": "0750 root x"},
                "files": ["/usr/libexec/helper"],
                "attrs": {"/usr/bin/systemctl": "4111 root root"},
                "users": {"x.conf": ["u x 5"]},
            }
        },
    )["systemd"]
    assert files(made) == [
        "/usr/bin/sc",
        "/usr/bin/systemctl",
        "/usr/lib/old",
        "/usr/lib/sysusers.d/x.conf",
        "/usr/libexec/helper",
        "/usr/share/udev/rules",
    ]
    assert made["/usr/bin/systemctl"].mode == 0o4111
    assert made["/usr/libexec/helper"].mode == 0o755
    assert made["/usr/lib/sysusers.d/x.conf"].text == "u x 5\n"
    assert made["/var/lib/x"] == Entry(kind="dir", mode=0o750)


def test_joins_files(tmp_path: Path) -> None:
    tree: Entries = {}
    for name in ("b", "a"):
        (tmp_path / name).write_text(f"{name}\n")
        tree[f"/usr/share/ca/{name}.crt"] = Entry(kind="file", mode=0o644, source=tmp_path / name)
    table = Table.model_validate_json(
        '{"packages": {"ca": {"parts": ["ca"], '
        '"concatenates": {"/etc/bundle": "/usr/share/ca/*.crt"}, "removes": ["/usr/share/ca*"]}}}'
    )
    made = assemble(table, {"ca": tree}, fixups=tmp_path / "none", generated={})["ca"]
    assert files(made) == ["/etc/bundle"]
    source = made["/etc/bundle"].source
    assert source is not None
    assert source.read_text() == "a\nb\n"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            {"removes": ["/usr/bin/none"]},
            "systemd: nothing to remove at /usr/bin/none\n  correct `removes` in packages.yaml",
        ),
        (
            {"moves": {"/usr/bin/none": "/usr/bin/x"}},
            "systemd: nothing to move at /usr/bin/none\n  correct `moves` in packages.yaml",
        ),
        (
            {"moves": {"/usr/bin/systemctl": "/usr/bin/udevadm"}},
            "systemd: /usr/bin/udevadm is there already, /usr/bin/systemctl cannot move to it",
        ),
        (
            {"links": {"/usr/bin": "x"}},
            "systemd: /usr/bin is there already, the link to x has no place",
        ),
        (
            {"concatenates": {"/etc/x": "/etc/none*"}},
            "systemd: nothing to concatenate at /etc/none*",
        ),
        ({"docs": ["/usr/x"]}, "systemd: `docs` names /usr/x, which it does not hold"),
        (
            {"attrs": {"/usr/x": "0755 root root"}},
            "systemd: `attrs` names /usr/x, which it does not hold",
        ),
    ],
)
def test_what_cannot_be_done_is_named(
    tmp_path: Path, package: dict[str, Any], message: str
) -> None:
    with pytest.raises(BuildError) as caught:
        cut(tmp_path, {"systemd": {"parts": ["systemd"], **package}})
    assert str(caught.value) == message


def test_paths_that_debian_has_not_are_named(tmp_path: Path) -> None:
    parts = [{"deb": "systemd", "paths": ["/usr/bin/gone"]}]
    with pytest.raises(BuildError) as caught:
        cut(tmp_path, {"a": {"parts": parts}, "systemd": {"parts": ["systemd"]}})
    assert str(caught.value) == (
        "a: Debian's systemd has no path /usr/bin/gone\n"
        "  correct the `paths` of that part in packages.yaml"
    )


def test_a_missing_fixup_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        cut(tmp_path, {"systemd": {"parts": ["systemd"], "files": ["/etc/x.conf"]}})
    assert str(caught.value) == (
        "systemd: the fix-up file for /etc/x.conf is missing\n"
        f"  write {tmp_path}/systemd/etc/x.conf"
    )


def test_a_fixup_that_nothing_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "systemd/etc").mkdir(parents=True)
    (tmp_path / "systemd/etc/x.conf").write_text("")
    with pytest.raises(BuildError, match=r"x\.conf: no `files` of packages\.yaml names it"):
        cut(tmp_path, {"systemd": {"parts": ["systemd"]}})
