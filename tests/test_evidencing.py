"""`evidence`: which image is meant, its chain as people see it, and keys that they ask for."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attested import world
from rich.console import Console
from signed import signer, trust

from goldpress import evidencing
from goldpress.errors import DocumentError, MissingError
from goldpress.evidencing import evidence, find_digest, make_trusted
from goldpress.mirror.roots import IMAGE
from goldpress.statements.shelf import say
from goldpress.statements.signing import local_signer, trust_here
from goldpress.statements.statement import PROMOTION as PROMOTED
from goldpress.statements.statement import Statement
from goldpress.statements.trust import parse_trust
from goldpress.store import Store
from goldpress.workspace import Workspace

ONE, TWO = f"sha256:{'ab' * 32}", f"sha256:{'abcd' * 16}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(root=tmp_path / "store")
    made.enter(IMAGE, "web.sandbox.x86_64", ONE)
    made.enter(IMAGE, "web.sandbox.x86_64", TWO)
    made.enter(IMAGE, "web.centos-stream-9.x86_64", ONE)
    return made


def test_an_image_is_found_by_digest_first_digits_or_name(store: Store) -> None:
    other = f"sha256:{'9' * 64}"
    assert find_digest(store, other) == other
    assert find_digest(store, "9" * 64) == other
    assert find_digest(store, "abcdabcd") == TWO
    assert find_digest(store, f"sha256:{'ab' * 5}") == ONE
    assert find_digest(store, "web", distribution="sandbox") == TWO
    assert find_digest(store, "web", distribution="centos-stream-9") == ONE


@pytest.mark.parametrize(
    ("image", "error", "why"),
    [
        ("db", MissingError, "db: the store knows no such image of sandbox"),
        ("99999999", MissingError, "99999999: the store knows no such image"),
        ("abcdabc", MissingError, "abcdabc: the store knows no such image of sandbox"),
    ],
)
def test_what_is_not_there_is_told(
    store: Store, image: str, error: type[Exception], why: str
) -> None:
    with pytest.raises(error) as caught:
        find_digest(store, image, distribution="sandbox")
    assert str(caught.value).splitlines()[0] == why


def test_digits_that_mean_several_are_refused(store: Store) -> None:
    third = f"sha256:abcdabcd{'0' * 56}"
    store.enter(IMAGE, "web.sandbox.x86_64", third)
    with pytest.raises(DocumentError, match="abcdabcd means several images: abcdabcd0000, abcdab"):
        find_digest(store, "abcdabcd")


def shown(table: Any) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_the_chain_is_shown(tmp_path: Path) -> None:
    ws = Workspace(project=tmp_path, build=tmp_path / "build")
    (tmp_path / "trust.yaml").write_text("keys: {}\n")
    made = world(ws.store)
    made = replace(made, signer=local_signer(ws), trust=trust_here(ws))
    made.say_all("trial")
    found = evidence(ws, made.image)
    text = shown(evidencing.links_table(found.image, found.links))
    assert "│ sbom         │ ok │ signed by (this machine)" in text
    assert "│ trial        │ NO │ no statement; `./inv publish` makes it" in text
    stranger = signer("[red]x")
    say(ws.store, Statement(image=made.image, predicate_type=PROMOTED, predicate={}), stranger,
        trust(stranger))  # fmt: skip
    text = shown(evidencing.statements_table(evidence(ws, made.image)))
    assert text.count("(this machine)") == 4
    assert "promotion" in text
    assert "not believed" in text


def test_a_key_is_made_with_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "release.pem"
    text = make_trusted("release", path, "build, hold", stand_in=False)
    found = parse_trust(f"keys:\n{text}".encode()).named("release")
    assert (found.roles, found.stand_in) == (("build", "hold"), False)
    assert "PRIVATE" not in text
    with pytest.raises(DocumentError, match=r"--may=dance: expected some of build, hold, promote"):
        make_trusted("x", tmp_path / "x.pem", "dance", stand_in=False)
    with pytest.raises(DocumentError, match="--may=: expected some of"):
        make_trusted("x", tmp_path / "x.pem", "", stand_in=False)
    assert not (tmp_path / "x.pem").exists()
