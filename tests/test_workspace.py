"""Which distribution was said, and what CentOS needs; nothing falls back by itself."""

from pathlib import Path

import pytest

from goldpress.errors import MissingError
from goldpress.locking import locked
from goldpress.workspace import Workspace, sandbox_said, workspace


def test_sandbox_has_to_be_said() -> None:
    assert not sandbox_said(flag=False, environment={})
    assert sandbox_said(flag=True, environment={})
    assert sandbox_said(flag=False, environment={"GOLDPRESS_DISTRIBUTION": "sandbox"})
    with pytest.raises(MissingError, match="only `sandbox` can be chosen this way"):
        sandbox_said(flag=False, environment={"GOLDPRESS_DISTRIBUTION": "fedora"})


def test_build_directory_can_be_elsewhere(tmp_path: Path) -> None:
    assert workspace({"GOLDPRESS_BUILD": str(tmp_path)}).build == tmp_path
    assert workspace({}).build == workspace({}).project / "build"


def test_without_its_lock_centos_says_what_to_run(tmp_path: Path) -> None:
    ws = Workspace(project=workspace({}).project, build=tmp_path)
    definition = ws.definition("web")
    with pytest.raises(MissingError) as caught:
        locked(ws, definition, ws.distribution(definition, sandbox=False))
    assert "no lock of web for CentOS Stream 9" in caught.value.message
    assert "./inv mirror.sync lock" in caught.value.hint
    assert "--sandbox" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_sandboxs_lock_is_never_in_git(tmp_path: Path) -> None:
    ws = Workspace(project=workspace({}).project, build=tmp_path)
    definition = ws.definition("web")
    sandbox = ws.distribution(definition, sandbox=True)
    assert ws.lock_path(definition, sandbox) == tmp_path / "locks/web/sandbox.x86_64.json"
