"""Which distribution was said, and what CentOS needs; nothing falls back by itself."""

from pathlib import Path

import pytest
from emulated import Emulator

from goldpress.aws.s3 import S3Objects
from goldpress.errors import DocumentError, MissingError
from goldpress.locking import locked
from goldpress.store import Store
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


def test_the_store_is_a_directory_unless_said(tmp_path: Path) -> None:
    ws = workspace({"GOLDPRESS_BUILD": str(tmp_path)})
    assert ws.store == Store(root=tmp_path / "store")
    assert ws.store.objects.name == str(tmp_path / "store")


def test_the_store_can_be_shared(tmp_path: Path, emulator: Emulator) -> None:
    bucket = emulator.objects().bucket
    environment = {
        "GOLDPRESS_BUILD": str(tmp_path),
        "GOLDPRESS_STORE": f"s3://{bucket}/golden/mirror",
        "GOLDPRESS_STORE_KMS_KEY": "alias/golden",
    }
    ws = workspace(environment)
    digest = ws.store.put_document("evidence", {"passed": True})
    assert ws.store.root == tmp_path / "store"
    other = workspace({**environment, "GOLDPRESS_BUILD": str(tmp_path / "other")})
    assert other.store.get_document("evidence", digest) == {"passed": True}
    shared = ws.store.objects
    assert isinstance(shared, S3Objects)
    assert (shared.bucket, shared.prefix) == (bucket, "golden/mirror")
    assert shared.kms_key == "alias/golden"


def test_another_kind_of_store_is_refused(tmp_path: Path) -> None:
    ws = workspace({"GOLDPRESS_BUILD": str(tmp_path), "GOLDPRESS_STORE": "gs://bucket/x"})
    with pytest.raises(DocumentError) as caught:
        _ = ws.store
    assert caught.value.message == "'gs://bucket/x' is not where a store can be"
    assert caught.value.hint == "the form is s3://bucket/prefix"
