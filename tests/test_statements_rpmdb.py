"""What an image's package database says: read from rpm's own output."""

from __future__ import annotations

from pathlib import Path

import pytest
from rpms import make_rpms

from goldpress.errors import BuildError, CommandError
from goldpress.host.run import run
from goldpress.rootfs.install import RPM_DATABASE
from goldpress.statements.rpmdb import FIELD, RECORD, parse_installed, query_argv, read_installed


def test_it_asks_for_control_characters_between_fields() -> None:
    argv = query_argv("/tmp/db")
    assert argv[:4] == ("rpm", "--dbpath", "/tmp/db", "-qa")
    assert argv[-1].count(FIELD) == 3
    assert argv[-1].endswith(RECORD)


def test_packages_are_by_nevra_and_none_is_nothing() -> None:
    rows = [
        FIELD.join(("bash-0:5-1.x86_64", "GPLv3+  and\nMIT", "CentOS", "(none)")),
        FIELD.join(("a-0:1-1.noarch", "", "(none)", "https://x")),
    ]
    found = parse_installed("".join(row + RECORD for row in rows))
    assert list(found) == ["bash-0:5-1.x86_64", "a-0:1-1.noarch"]
    assert (found["bash-0:5-1.x86_64"].license, found["bash-0:5-1.x86_64"].url) == (
        "GPLv3+ and MIT",
        "",
    )
    assert found["a-0:1-1.noarch"].vendor == ""
    assert parse_installed("") == {}


def test_another_output_is_refused() -> None:
    with pytest.raises(BuildError, match=r"the package database: rpm printed 'x'"):
        parse_installed(f"x{RECORD}")


def test_a_real_database_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    rpms = make_rpms(
        tmp_path / "made",
        {"one": {"Vendor": "CentOS", "URL": "https://example.org/one"}, "two": {}},
        epoch=3,
    )
    tree = tmp_path / "tree"
    database = tree / RPM_DATABASE.lstrip("/")
    database.mkdir(parents=True)
    run(("rpm", "--dbpath", database, "-i", "--justdb", "--nodeps", *rpms), timeout=60)
    before = {path.name: path.read_bytes() for path in database.iterdir()}
    found = read_installed(tree)
    assert sorted(found) == ["one-3:1.0-1.el9.noarch", "two-3:1.0-1.el9.noarch"]
    one = found["one-3:1.0-1.el9.noarch"]
    assert (one.license, one.vendor, one.url) == ("MIT", "CentOS", "https://example.org/one")
    assert {path.name: path.read_bytes() for path in database.iterdir()} == before


def test_a_tree_without_a_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="read the package database: exit status"):
        read_installed(tmp_path)
