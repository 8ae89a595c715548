"""Owns cutting XML metadata into its packages: exact pieces of the document, byte for byte.

Millions of elements are not looked at one by one. Expat says that the document is well-formed;
one with a doctype, comments, CDATA sections, processing instructions or another encoding is
refused. In what is left every `<` begins a tag, so that a search for bytes finds what a parser
would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.parsers import expat

from goldpress.errors import TrustError
from goldpress.mirror.metadata.xml import HTML, check_encoding, is_html, plain_parser

#: Ten times the packages of Fedora; a repository with more is not one.
MAX_PACKAGES = 1_000_000
#: The longest real one, a list of files, has some MB.
MAX_BLOCK_BYTES = 16 << 20

_MAX_HEAD_BYTES = 4096
_END = b"</package>"
_ATTRIBUTE = re.compile(r"""\s([A-Za-z_][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_HEAD = re.compile(
    rb"\s*(?:<\?xml(\s[^>]*)\?>)?\s*<([A-Za-z_][\w:.-]*)"
    rb"""((?:\s+[A-Za-z_][\w:.-]*\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(/?)>"""
)
#: What may come after the name of an element; "" at the end of a text.
_AFTER_NAME = (b" ", b"\t", b"\r", b"\n", b"/", b">", b"")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The root element: its name, its attributes, and how many packages it announces."""

    name: str
    attributes: Mapping[str, str]
    packages: int

    def opening(self, packages: int) -> bytes:
        """The beginning of the same document with another number of packages."""
        attributes = {**self.attributes, "packages": str(packages)}
        text = "".join(f' {key}="{value}"' for key, value in attributes.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<{self.name}{text}>\n'.encode()

    def closing(self) -> bytes:
        """The end of the document."""
        return f"</{self.name}>\n".encode()


def attributes_of(text: str) -> dict[str, str]:
    """The attributes in a tag, by name as written. Raises ValueError for entities in a value."""
    found: dict[str, str] = {}
    for key, double, single in _ATTRIBUTE.findall(text):
        value = double or single
        if "&" in value or '"' in value:
            raise ValueError(f"the attribute {key} has entities or quotes: {value!r}")
        found[key] = value
    return found


def package_blocks(
    chunks: Iterable[bytes], *, name: str, root: tuple[str, str], parse: bool = True
) -> tuple[Head, Iterator[bytes]]:
    """The document's head, and each ``<package ...>...</package>`` of it as it is.

    `root` is the (namespace, name) that the document must have; `name` is for messages. Raises
    TrustError (the iterator too) for anything else than such a document, or when it has another
    number of packages than it announces. Without `parse` it is not looked at whether all of it is
    well-formed: that takes half the time, and matters to those who read the packages.
    """
    looked_at = _parsed(plain_parser(), chunks) if parse else iter(chunks)
    with _named(name):
        head, rest = _head(looked_at, root)
    return head, _blocks(looked_at, head, rest, name)


def _parsed(parser: expat.XMLParserType, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, each after expat has seen it."""
    beginning = b""
    try:
        for chunk in chunks:
            beginning = beginning or chunk[:_MAX_HEAD_BYTES]
            parser.Parse(chunk)
            yield chunk
        parser.Parse(b"", True)  # noqa: FBT003 - expat has no keywords
    except expat.ExpatError as error:
        raise ValueError(HTML if is_html(beginning) else f"not well-formed XML: {error}") from None


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise TrustError(f"{name}: {error}") from None


def _head(parsed: Iterator[bytes], root: tuple[str, str]) -> tuple[Head, bytes]:
    text = b""
    match = None
    for chunk in parsed:
        text += chunk
        match = _HEAD.match(text)
        if match or len(text) > _MAX_HEAD_BYTES:
            break
    if match is None:
        raise ValueError(HTML if is_html(text) else f"does not begin with <{root[1]}>")
    check_encoding(attributes_of((match[1] or b"").decode()).get("encoding"))
    tag, attributes = match[2].decode(), attributes_of(match[3].decode())
    if tag.lower() == "html":
        raise ValueError(HTML)
    if (attributes.get("xmlns"), tag) != root:
        raise ValueError(f"the document is <{tag}>, expected <{root[1]}> of {root[0]}")
    announced = attributes.get("packages", "")
    if not _NUMBER.fullmatch(announced):
        raise ValueError(f"announces {announced!r} packages")
    if int(announced) > MAX_PACKAGES:
        raise ValueError(f"announces {announced} packages; refused")
    rest = text[match.end() :]
    # An element that ends where it begins has an end like any other from here on.
    rest = f"</{tag}>".encode() + rest if match[4] else rest
    return Head(name=tag, attributes=attributes, packages=int(announced)), rest


def _blocks(parsed: Iterator[bytes], head: Head, rest: bytes, name: str) -> Iterator[bytes]:
    count = 0
    with _named(name):
        while True:
            at = 0
            while (end := rest.find(_END, at)) >= 0:
                count += 1
                if count > head.packages:
                    raise ValueError(f"announces {head.packages} packages and has more")
                end += len(_END)
                yield _block(rest[at:end], count)
                at = end
            rest = rest[at:]
            if len(rest) > MAX_BLOCK_BYTES:
                raise ValueError(f"package {count + 1} is larger than {MAX_BLOCK_BYTES} bytes")
            chunk = next(parsed, None)
            if chunk is None:
                break
            rest += chunk
        if count != head.packages:
            raise ValueError(f"announces {head.packages} packages and has {count}")
        if rest.strip() != head.closing().strip():
            raise ValueError(f"after package {count} there is {rest.strip()[:60]!r}")


def _block(text: bytes, count: int) -> bytes:
    block = text.lstrip()
    begins = [at for at in places(block, b"<package") if block[at + 8 : at + 9] in _AFTER_NAME]
    if begins != [0] or b"<!" in block or b"<?" in block:
        raise ValueError(f"package {count}: there is {block[:60]!r}, expected one <package>")
    return block


def places(text: bytes, word: bytes) -> Iterator[int]:
    """Where `word` is in `text`; for plain words this takes a third of what a pattern takes."""
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)
