"""The inputs of an image: what differs here, in words, and what to do about it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from attested import COMMIT, TOOLS, world
from gits import make_checkout
from pressing import PROJECT

from goldpress.attesting import builder_versions
from goldpress.definition import load_definition
from goldpress.digest import short
from goldpress.errors import BuildError
from goldpress.inputs import Inputs, differences, inputs_here, refuse_other
from goldpress.press import definition_digest
from goldpress.statements.provenance import Provenance, Source
from goldpress.store import Store
from goldpress.workspace import Workspace

OTHER = "d0d0" + "0" * 36
NO_COMMIT = "the commit here is none, the image's was c0ffee000000"
CODE = f"sha256:{'f' * 64}"


@pytest.fixture
def made(tmp_path: Path) -> Provenance:
    """Of an image of a real distribution."""
    return world(Store(root=tmp_path / "store"), stand_in=False).provenance()


def here(made: Provenance, **changes: Any) -> Inputs:
    same = Inputs(source=made.source, definition=made.definition, tools=made.tools)
    return dataclasses.replace(same, **changes)


def test_the_same_inputs_are_let_through(made: Provenance) -> None:
    assert differences(made, here(made)) == ()
    refuse_other("sha256:1", made, here(made))


@pytest.mark.parametrize(
    ("changes", "said", "hint"),
    [
        (
            {"source": Source(commit=OTHER, clean=True)},
            "the commit here is d0d000000000, the image's was c0ffee000000",
            f"`git checkout {COMMIT}`; then `./inv reproduce --digest=sha256:1`",
        ),
        (
            {"source": Source(commit="", clean=False)},
            f"{NO_COMMIT}; files were changed here since the commit (none)",
            f"git checkout {COMMIT}",
        ),
        (
            {"source": Source(commit=COMMIT, clean=False)},
            "files were changed here since the commit c0ffee000000",
            "and change nothing",
        ),
        (
            {"definition": f"sha256:{'9' * 64}"},
            "the definition here is 999999999999, the image's was 000000000000",
            "from files that no commit has",
        ),
        (
            {"definition": "", "fault": "image.yaml: disk: this key is required"},
            "the definition here cannot be used (image.yaml: disk: this key is required)",
            "from files that no commit has",
        ),
        (
            {"tools": {**TOOLS, "rpm": "4.20.0-1"}},
            "rpm here is 4.20.0-1, the image's was 4.18.0+dfsg-1",
            "install those versions",
        ),
        (
            {"tools": {name: row for name, row in TOOLS.items() if name != "rpm"}},
            "rpm here is none, the image's was 4.18.0+dfsg-1",
            "install those versions",
        ),
        ({"tools": {**TOOLS, "dnf": "4"}}, "dnf here is 4, the image's was none", "install those"),
        (
            {"tools": {**TOOLS, "goldpress": CODE}},
            "the code of goldpress here is ffffffffffff, the image's was eeeeeeeeeeee",
            "from files that no commit has",
        ),
    ],
)
def test_each_that_differs_is_named(
    made: Provenance, changes: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(BuildError) as caught:
        refuse_other("sha256:1", made, here(made, **changes))
    assert caught.value.message == f"1 cannot be pressed again from what is here: {said}"
    assert hint in caught.value.hint


def test_all_that_differ_are_named(made: Provenance) -> None:
    found = here(
        made,
        source=Source(commit=OTHER, clean=True),
        tools={**TOOLS, "goldpress": CODE, "rpm": "5"},
    )
    assert [row.partition(" here")[0] for row in differences(made, found)] == [
        "the commit", "the code of goldpress", "rpm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source", [Source(commit="", clean=False), Source(commit=COMMIT, clean=False)]
)
def test_of_a_stand_in_of_changed_files_digests_tell(made: Provenance, source: Source) -> None:
    changed = dataclasses.replace(made, source=source)
    elsewhere = here(changed, source=Source(commit=OTHER, clean=True))
    assert differences(changed, elsewhere) == ()
    with pytest.raises(BuildError, match=r"the definition here is 9{12}, the image's was 0{12}"):
        refuse_other("x", changed, dataclasses.replace(elsewhere, definition="9" * 12))


def test_what_is_here_is_read_from_the_checkout_and_the_machine(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "project")
    shutil.copytree(PROJECT / "images/web", checkout.root / "images/web", symlinks=True)
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "web")
    ws = Workspace(project=checkout.root, build=tmp_path / "build")
    found = inputs_here(ws, "web")
    assert found.source == Source(commit=checkout.git("rev-parse", "HEAD"), clean=True)
    assert found.definition == definition_digest(load_definition(PROJECT / "images/web"))
    assert found.tools == builder_versions()
    assert {"e2fsprogs", "dnf", "python", "goldpress"} <= set(found.tools)
    assert short(found.definition) != ""
    (checkout.root / "images/web/image.yaml").write_text("name: web\n")
    spoiled = inputs_here(ws, "web")
    assert (spoiled.source.clean, spoiled.definition) == (False, "")
    assert "image.yaml: summary: this key is required" in spoiled.fault
