"""Tools: what is missing is named with its package, and the one command to run is printed."""

from pathlib import Path

import pytest

from goldpress.errors import MissingError
from goldpress.host import confine, tools
from goldpress.host.run import run

ABSENT = tools.Tool(program="no-such-program", package="no-such-package", purpose="a test")


def test_missing_tools_are_found() -> None:
    there = tools.Tool(program="sh", package="dash", purpose="a test")
    assert tools.missing((there, ABSENT)) == (ABSENT,)


def test_without_root_the_one_command_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOLS", (ABSENT,))
    monkeypatch.setattr(tools, "_as_root", lambda: None)
    with pytest.raises(MissingError) as caught:
        tools.ensure()
    assert caught.value.hint.startswith("run once: sudo sh -c 'apt-get update && apt-get install")
    assert "no-such-package" in caught.value.hint


def test_mirroring_needs_no_tools_of_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOLS", (ABSENT,))
    monkeypatch.setattr(tools, "has_subordinate_ids", lambda *_, **__: False)
    monkeypatch.setattr(tools, "_as_root", lambda: None)
    tools.ensure_mirror()
    assert {tool.program for tool in tools.MIRROR_TOOLS} == {"rpm", "rpmkeys", "gpg", "git"}
    monkeypatch.setattr(tools, "MIRROR_TOOLS", (ABSENT,))
    with pytest.raises(MissingError, match="1 host packages or settings are missing"):
        tools.ensure_mirror()


def test_subordinate_ids_by_name_or_number(tmp_path: Path) -> None:
    path = tmp_path / "subuid"
    path.write_text("ann:100000:65536\n1001:200000:65536\nbob:300000:1000\n")
    assert confine.has_subordinate_ids(path, user="ann", uid=7)
    assert confine.has_subordinate_ids(path, user="cleo", uid=1001)
    assert not confine.has_subordinate_ids(path, user="bob", uid=8)
    assert not confine.has_subordinate_ids(tmp_path / "none", user="ann", uid=7)


def test_versions_name_installed_packages_only() -> None:
    found = tools.versions(("dpkg", "no-such-package"))
    assert found.startswith("dpkg=")
    assert "no-such-package" not in found


def test_a_failing_program_is_told_with_a_line_to_paste() -> None:
    with pytest.raises(Exception, match=r"(?s)testing: exit status 3.*oops.*\$ sh -c 'echo oops"):
        run(("sh", "-c", "echo oops >&2; exit 3"), what="testing")
    with pytest.raises(Exception, match="`no-such-program` is not installed"):
        run(("no-such-program",))
    with pytest.raises(Exception, match=r"no end after 0\.2 s: sleep 9"):
        run(("sleep", "9"), timeout=0.2)


def test_the_callers_environment_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert "hush" not in run(("env",)).text
