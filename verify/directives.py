"""Owns reading configurations: nginx's blocks, units, and lines of keys and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

TOKEN = re.compile(
    r"""#[^\n]*|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([{};])|((?:[^\s{};"']|\$\{)+)"""
)


@dataclass(frozen=True, kw_only=True)
class Directive:
    """One directive of nginx: its words, and its block when it has one."""

    words: tuple[str, ...]
    block: tuple[Directive, ...] = ()

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def value(self) -> str:
        """The other words."""
        return " ".join(self.words[1:])

    def all(self, name: str) -> list[Directive]:
        """The directives of this name in the block itself."""
        return [row for row in self.block if row.name == name]

    def walk(self) -> Iterator[Directive]:
        """Every directive below, at any depth."""
        for row in self.block:
            yield row
            yield from row.walk()


def tokens(text: str) -> Iterator[tuple[str, bool]]:
    """(word or mark, whether it is a mark)."""
    for match in TOKEN.finditer(text):
        double, single, mark, plain = match.groups()
        if mark:
            yield mark, True
        elif double is not None or single is not None or plain:
            yield next(word for word in (double, single, plain) if word is not None), False


def nginx(text: str) -> Directive:
    """The files of `nginx -T`, with `include` carried out, as one block without a name.

    Raises ValueError when it is no whole configuration.
    """
    files: dict[str, str] = {}
    for part in re.split(r"^# configuration file ", text, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition(":\n")
        files[name] = body
    if not files:
        raise ValueError("nginx printed no configuration")
    return Directive(
        words=("",), block=tuple(_block(iter(tokens(next(iter(files.values())))), files))
    )


def _block(stream: Iterator[tuple[str, bool]], files: Mapping[str, str]) -> Iterator[Directive]:
    words: list[str] = []
    for word, is_mark in stream:
        if not is_mark:
            words.append(word)
            continue
        if word == ";" and words[:1] == ["include"]:
            yield from _included(words[1], files)
        elif word == ";":
            yield Directive(words=tuple(words))
        elif word == "{":
            yield Directive(words=tuple(words), block=tuple(_block(stream, files)))
        else:
            return
        words = []


def _included(pattern: str, files: Mapping[str, str]) -> Iterator[Directive]:
    shape = re.compile(re.escape(pattern).replace(r"\*", "[^/]*"))
    for name in sorted(files):
        if shape.fullmatch(name):
            yield from _block(iter(tokens(files[name])), files)


def pairs(rows: Iterable[str], mark: str = "=") -> dict[str, str]:
    """Key -> value of the lines that have the mark; the last one of a key counts."""
    found: dict[str, str] = {}
    for row in rows:
        key, found_mark, value = row.strip().partition(mark)
        if found_mark and not key.startswith(("#", ";")):
            found[key.strip()] = value.strip()
    return found


def unit(text: str) -> dict[str, list[str]]:
    """Key -> its values, in order; an empty value begins the list anew, as systemd does it."""
    found: dict[str, list[str]] = {}
    for row in text.splitlines():
        key, mark, value = row.strip().partition("=")
        if not mark or key.startswith(("#", ";")):
            continue
        values = found.setdefault(key, [])
        if not value:
            values.clear()
        values.append(value)
    return found


def different(found: Mapping[str, str], wanted: Mapping[str, object]) -> list[str]:
    """`key is value, not wanted` for each that differs; a list wants one of its values."""
    rows = []
    for key, value in wanted.items():
        allowed: Sequence[object] = value if isinstance(value, list) else [value]
        if found.get(key) not in {as_text(item) for item in allowed}:
            rows.append(
                f"{key} is {found.get(key, 'absent')}, not {' or '.join(map(str, allowed))}"
            )
    return rows


def exposure(text: str, most: str) -> str:
    """What is wrong with systemd-analyze's verdict on a unit; empty when it is at most this."""
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", text)
    if not found:
        return f"systemd-analyze does not rate it: {text[-200:]!r}"
    return f"its exposure is {found[1]}, above {most}" if float(found[1]) > float(most) else ""


def lacking(found: Mapping[str, set[str]], wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """`key has not words` for each whose words are not all among the found ones."""
    lost = {key: sorted(set(words) - found.get(key, set())) for key, words in wanted.items()}
    return [f"{key} has not {' '.join(words)}" for key, words in lost.items() if words]


def with_password(rows: Iterable[str]) -> list[str]:
    """The accounts of /etc/shadow that have a password: an empty one, or a locked one, is one."""
    found = [row.split(":") for row in rows]
    assert found, "/etc/shadow is empty"
    return [name for name, value, *_ in found if not re.fullmatch(r"[!*]+", value)]


def as_text(value: object) -> str:
    """A parameter as configurations write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
