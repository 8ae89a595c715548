"""Documents that people write: what is read is what is seen, and nothing else is a traceback."""

from __future__ import annotations

import random

import pytest
from channels import PROD, TEXT
from signed import signer

from goldpress.channel import only_image, parse_channel
from goldpress.document import parse_yaml
from goldpress.errors import DocumentError
from goldpress.statements.signing import entry
from goldpress.statements.trust import parse_trust

COUNT = 500
#: What YAML takes for more than text; `{}` is the place of what was there.
WORDS = (
    "!!int {}", "!!float {}", "!!bool {}", "!!timestamp {}", "!!binary {}", "!!set {{a: null}}",
    "!!omap [{}]", "!!pairs [a: b]", "!!map {}", "!!seq {}", "!!python/name:os.system {}", "! {}",
    "&a {}", "*a", "<<: {}", '"\\UFFFFFFFF"', '"\\U00110000"', '"\\ud800"', "\u2028{}", "\x85{}",
    "\r{}", "\u202e{}", "\ufeff{}", "{} # \u2029", "? {}", "- {}", "[{}", "{}: {}", "| {}", "'{}",
    "%YAML 9.9", "---", "...", "\t{}", "\x00{}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!timestamp foo", "line 1: tags are not allowed"),
        ("a: !!int x", "line 1: tags are not allowed"),
        ("a: !!binary aGk=", "line 1: tags are not allowed"),
        ("a: !!str b", "line 1: tags are not allowed"),
        ("a: ! b", "line 1: tags are not allowed"),
        ("!!map {a: b}", "line 1: tags are not allowed"),
        ("!!int a: b", "line 1: tags are not allowed"),
        ("b: 1\na: &x c", "line 2: anchors are not allowed"),
        ("a: *x", "line 1: aliases are not allowed"),
        ('a: "\\UFFFFFFFF"', "an escape \\U names no character"),
        ('a: "\\U00110000"', "an escape \\U names no character"),
    ],
)
def test_more_than_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text.encode(), name="x.yaml")
    assert caught.value.message == f"x.yaml: {message}"


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        ("# nothing\u2028more: 1", "U+2028"),
        ("# nothing\u2029more: 1", "U+2029"),
        ("# nothing\x85more: 1", "U+0085"),
        ("# nothing\rmore: 1", "U+000D"),
        ("why: \u202etxet\u202c", "U+202E"),
        ("a\u200bb: 1", "U+200B"),
        ("\ufeffa: 1", "U+FEFF"),
    ],
)
def test_a_character_that_nobody_sees_is_refused(hidden: str, named: str) -> None:
    """YAML ends a comment at a line end of Unicode: what follows is read, and seen by nobody."""
    with pytest.raises(DocumentError) as caught:
        parse_yaml(f"b: 1\n{hidden}\n".encode(), name="x.yaml")
    assert caught.value.message == f"x.yaml: line 2: the character {named} cannot be seen"


def test_what_can_be_seen_is_read() -> None:
    text = 'a: "\\u202e"\r\nb: 1 #\tone\nc: Ärger 你好\n'
    assert parse_yaml(text.encode(), name="x") == {"a": "\u202e", "b": 1, "c": "Ärger 你好"}


def test_of_many_channels_with_something_odd_in_them_none_is_a_traceback() -> None:
    chance = random.Random(9)  # noqa: S311 - to be the same each time
    refused = 0
    for _ in range(COUNT):
        after = odd(TEXT, chance)
        try:
            found = parse_channel(after, path=PROD)
        except DocumentError:
            refused += 1
            continue
        # What is read all the same is more than the one line.
        assert not only_image(TEXT.encode(), found.text)
    assert refused > COUNT * 0.8


def test_of_many_trust_files_with_something_odd_in_them_none_is_a_traceback() -> None:
    chance = random.Random(10)  # noqa: S311 - to be the same each time
    key = signer("release", "build")
    text = f"keys:\n{entry('release', key.key.public, ('build',), stand_in=True)}"
    for _ in range(COUNT):
        try:
            found = parse_trust(odd(text, chance))
        except DocumentError:
            continue
        assert [(row.keyid, row.roles) for row in found] in ([], [(key.key.keyid, ("build",))])


def odd(text: str, chance: random.Random) -> bytes:
    """The text with one of its values, keys or lines as YAML takes for something else."""
    lines = text.splitlines(keepends=True)
    number = chance.randrange(len(lines))
    line = lines[number]
    key, colon, value = line.rstrip("\n").partition(": ")
    word = chance.choice(WORDS)
    match chance.randrange(3):
        case 0 if colon:
            line = f"{key}: {word.replace('{}', value)}\n"
        case 1:
            line = f"{word.replace('{}', key.strip())}{colon}{value}\n"
        case _:
            line = f"{line}{word.replace('{}', value)}\n"
    changed = "".join([*lines[:number], line, *lines[number + 1 :]])
    return changed.encode() if changed != text else f"{text}more: 1\n".encode()
