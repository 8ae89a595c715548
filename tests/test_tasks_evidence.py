"""The tasks `evidence` and `keys.make` as a person runs them: exit status, result, what is said."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from attested import World, world
from gits import make_checkout

from goldpress.host.run import Completed, run
from goldpress.mirror.roots import IMAGE
from goldpress.statements.chain import LINKS
from goldpress.statements.signing import local_signer, trust_here
from goldpress.statements.trust import parse_trust
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with its own tasks and code, and the image `web`."""
    made = make_checkout(tmp_path / "project").root
    for name in ("goldpress", "images/web", "rpm-mirror"):
        shutil.copytree(PROJECT / name, made / name, symlinks=True)
    for name in ("tasks.py", "trust.yaml"):
        shutil.copyfile(PROJECT / name, made / name)
    return made


def inv(project: Path, *words: str) -> Completed:
    argv = [sys.executable, "-m", "invoke", *words]
    home = {"HOME": os.fspath(project.parent)}
    return run(argv, cwd=project, env=home, timeout=120, check=False)


def made_in(project: Path) -> World:
    """A stand-in that this machine pressed and attested."""
    ws = Workspace(project=project, build=project / "build")
    signer = local_signer(ws)
    made = replace(world(ws.store), signer=signer, trust=trust_here(ws))
    ws.store.enter(IMAGE, "web.sandbox.x86_64", made.image)
    made.say_all()
    return made


def test_the_chain_is_a_table_for_people_and_json_for_programs(project: Path) -> None:
    made = made_in(project)
    for words in (("--sandbox",), ("--image", made.image), ("--image", made.image[7:19])):
        done = inv(project, "evidence", *words)
        assert done.returncode == 0, done.stderr.decode()
        found = json.loads(done.text)
        assert found["image_digest"] == made.image
        assert [row["name"] for row in found["links"]] == list(LINKS)
        assert all(row["ok"] for row in found["links"])
        assert {row["by"] for row in found["statements"]} == {"(this machine)"}
        said = done.stderr.decode()
        assert "│ provenance   │ ok │ signed by (this machine)" in said
        assert "PRIVATE" not in said + done.text


def test_an_image_of_centos_is_not_the_stand_in(project: Path) -> None:
    made_in(project)
    done = inv(project, "evidence")
    assert (done.returncode, done.text) == (1, "")
    assert done.stderr.decode() == (
        "error: web: the store knows no such image of centos-stream-9\n"
        "  run `./inv build-image`, or name another digest or store\n"
    )


def test_an_ami_that_nobody_made_is_told(project: Path) -> None:
    done = inv(project, "evidence", "--audit", "ami-0123456789abcdef0")
    assert (done.returncode, done.text) == (1, "")
    assert "error: ami-0123456789abcdef0: the store has no record of it" in done.stderr.decode()


def test_a_key_is_made_and_its_entry_is_the_result(project: Path) -> None:
    done = inv(project, "keys.make", "release", "--may", "promote,hold")
    assert done.returncode == 0, done.stderr.decode()
    path = project / "build/keys/release.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    key = parse_trust(f"keys:\n{done.text}".encode()).named("release")
    assert key.roles == ("promote", "hold")
    assert f"GOLDPRESS_SIGNER=file:{path}" in done.stderr.decode()
    assert path.read_text() not in done.stderr.decode() + done.text
    again = inv(project, "keys.make", "release")
    assert (again.returncode, again.text) == (1, "")
    assert "release.pem: is there already" in again.stderr.decode()


def test_a_trust_file_that_was_spoiled_stops_it(project: Path) -> None:
    made_in(project)
    (project / "trust.yaml").write_text("keys: {x: {}}\n")
    done = inv(project, "evidence", "--sandbox")
    assert (done.returncode, done.text) == (1, "")
    said = done.stderr.decode()
    assert said.startswith("error: trust.yaml: keys.x.keyid: this key is required\n")
    assert "Traceback" not in said
