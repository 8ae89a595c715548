"""Running a level, judging a tree, and what the suite is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pressing import PROJECT
from suites import SUITE, web_controls

from goldpress.definition import load_definition
from goldpress.errors import VerifyError
from goldpress.lock import LockedPackage
from goldpress.verify import level, offline
from goldpress.verify.level import pytest_argv, run_level
from goldpress.verify.offline import check_tree, place
from goldpress.verify.promises import promises

FACTS = {
    "image": "web",
    "distribution": "sandbox",
    "stand_in": True,
    "arch": "x86_64",
    "packages": [],
    "listen": [],
    "services": [],
    "masked": [],
    "booleans": {},
    "pools": [],
    "expected": {"offline": ["os-one"], "booted": []},
    "not_exercised": {"os-absent": "it has none"},
    "parameters": {"os-one": {"most": "2.0"}},
}
HEAD = """import pytest
from sections import Facts, Section
from watched import Watched


@pytest.fixture
def tree():
    return Facts(sections=Watched({"x": Section(status=0, text="")}))


"""
GOOD = """@pytest.mark.control("os-one")
def test_one(tree, parameters):
    tree.good("x")
    assert parameters["most"] == "2.0"
"""


def suite(folder: Path, body: str) -> Path:
    made = folder / "suite"
    (made / "offline").mkdir(parents=True)
    for path in (SUITE / "pytest.ini", *SUITE.glob("*.py")):
        shutil.copy(path, made / path.name)
    (made / "offline/test_tiny.py").write_text(HEAD + body)
    return made


def check(tmp_path: Path, body: str) -> list[str]:
    """The controls that passed. Raises VerifyError."""
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    found = check_tree(
        rootfs,
        suite=suite(tmp_path, body),
        facts=FACTS,
        directory=tmp_path,
        controls=web_controls(),
    )
    return [check.control for check in found]


def test_a_tree_that_passes(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == ["os-one"]
    given = json.loads((tmp_path / "verify.place.json").read_bytes())
    assert given["tree"] == str(tmp_path / "rootfs/tree")


def test_what_is_not_exercised_is_not_run(tmp_path: Path) -> None:
    absent = '@pytest.mark.control("os-absent")\ndef test_absent(tree):\n    assert 0\n'
    assert check(tmp_path, GOOD + absent) == ["os-one"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (GOOD.replace('tree.good("x")', "pass"), "os-one: the check looked at nothing: it would"),
        (
            GOOD.replace('    assert parameters["most"] == "2.0"\n', ""),
            "os-one: the check compares with no parameter of its control: it would pass on any",
        ),
        (GOOD.replace("os-one", "os-two"), "os-one: no check of the offline level proves it"),
        (GOOD.replace("os-one", "os-two"), "os-two: controls.yaml has none for this level"),
        ("", "pytest ended with 5: no check was collected"),
        (GOOD.replace('== "2.0"', '== "9.0"'), "1 of 1 controls do not hold on the tree"),
    ],
)
def test_a_vacuous_or_unpaired_check_is_refused(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(VerifyError) as caught:
        check(tmp_path, body)
    assert message in caught.value.message
    assert caught.value.hint == "no disk was made of it"


def test_a_failed_control_is_named_with_what_to_do(tmp_path: Path) -> None:
    facts = {**FACTS, "expected": {"offline": ["os-sudo"], "booted": []}}
    body = '@pytest.mark.control("os-sudo")\ndef test_x(tree):\n    assert 0, "no log"\n'
    with pytest.raises(VerifyError) as caught:
        check_tree(
            tmp_path,
            suite=suite(tmp_path, body),
            facts=facts,
            directory=tmp_path,
            controls=web_controls(),
        )
    assert "  os-sudo: no log\n    what to do: restore it in /etc/sudoers.d/goldpress" in (
        caught.value.message
    )


def test_a_run_of_two_levels_is_refused(tmp_path: Path) -> None:
    made = suite(tmp_path, GOOD)
    shutil.copytree(made / "offline", made / "booted")
    (made / "offline/booted").mkdir()
    (made / "booted/test_tiny.py").rename(made / "offline/booted/test_other.py")
    status, _ = run_level(made, "offline", facts=FACTS, directory=tmp_path)
    assert status == 4
    assert "a run is of one level" in (tmp_path / "verify.log").read_text()


def test_a_suite_without_the_level_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    with pytest.raises(VerifyError, match="the suite suite/ has no folder booted/"):
        run_level(tmp_path / "suite", "booted", facts=FACTS, directory=tmp_path)


def test_checks_that_hang_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(level, "SUITE_SECONDS", 3)
    with pytest.raises(VerifyError, match=r"the offline checks did not end: .*: no end after 3 s"):
        check(tmp_path, GOOD.replace('tree.good("x")', "__import__('time').sleep(60)"))


def test_the_command_has_the_suites_own_settings_and_one_level() -> None:
    argv = pytest_argv(Path("/s"), "offline", Path("/r.xml"), ("--hosts", "x"))
    assert argv[argv.index("-c") + 1] == "/s/pytest.ini"
    assert argv[-1] == "/s/offline"
    assert argv[argv.index("--hosts") + 1] == "x"


def test_the_image_is_entered_confined_and_read_only(tmp_path: Path) -> None:
    found = place(tmp_path)
    argv = found["image_argv"]
    assert argv[-2:] == ["env", "SYSTEMD_OFFLINE=1"]
    assert argv[argv.index("--ro-bind") + 1 : argv.index("--ro-bind") + 3] == [
        str(tmp_path / "tree"),
        "/",
    ]
    assert "--unshare-net" in argv
    assert "--bind" not in argv
    assert offline.PLACE_VARIABLE == "GOLDPRESS_VERIFY_TREE"


class Locked:
    """What promises read of a lock."""

    distribution = "sandbox"
    stand_in = True
    packages = (
        LockedPackage(
            name="bash",
            epoch=0,
            version="5",
            release="1",
            arch="x86_64",
            sha256="0" * 64,
            size=1,
            repository="r",
            source_rpm="s",
            signer="k",
            why=(),
        ),
    )


def test_promises_of_the_web_image() -> None:
    definition = load_definition(PROJECT / "images/web")
    found = promises(definition, Locked(), web_controls())  # type: ignore[arg-type]
    assert found["packages"] == ["bash-0:5-1.x86_64"]
    assert [pool["name"] for pool in found["pools"]] == ["app", "status"]
    assert [pool["database"] for pool in found["pools"]] == ["postgresql_port_t", ""]
    assert set(found["not_exercised"]) == {"os-crypto-policy"}
    assert "os-crypto-policy" not in found["expected"]["offline"]
    assert "web-probe-code-denied" in found["expected"]["booted"]
    assert "goldpress-php-app.service" in found["services"]
    assert "php-fpm.service" in found["masked"]
