"""Owns reading XML that came from elsewhere: a stream of elements, without entities or doctypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from goldpress.errors import TrustError

MAX_DEPTH = 16
#: The longest real text is a description of some 20 kB.
MAX_TEXT_CHARACTERS = 1 << 20

HTML = "is an HTML page (a login page of the network, or a wrong address), not metadata"


@dataclass(kw_only=True)
class Element:
    """One element under construction: its name (without namespace), attributes and text."""

    name: str
    namespace: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    length: int = 0

    @property
    def text(self) -> str:
        """The element's own text, stripped."""
        return "".join(self.texts).strip()

    def all(self, name: str) -> list[Element]:
        """The children called `name`."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Element:
        """The only child called `name`. Raises ValueError when there is none, or another."""
        found = self.all(name)
        if len(found) != 1:
            raise ValueError(f"<{self.name}> has {len(found)} <{name}>, expected one")
        return found[0]

    def get(self, attribute: str) -> str:
        """The value of an attribute. Raises ValueError when it is not there."""
        if attribute not in self.attributes:
            raise ValueError(f"<{self.name}> has no attribute {attribute!r}")
        return self.attributes[attribute]


def elements(
    chunks: Iterable[bytes],
    *,
    name: str,
    root: tuple[str, str],
    kept: frozenset[str] | None = None,
    on_root: Callable[[Mapping[str, str]], None] | None = None,
) -> Iterator[Element]:
    """The children of the root element, one at a time, each dropped after it was yielded.

    `root` is the (namespace, name) that the document must have. Below each child only elements
    called one of `kept` are built (all of them when None). `name` is for messages. Raises
    TrustError for anything else than such a document.
    """
    parser = _parser(namespace_separator=" ")
    reader = _Reader(parser=parser, root=root, kept=kept, on_root=on_root)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    beginning = b""
    try:
        for chunk in chunks:
            beginning = beginning or chunk[:512]
            parser.Parse(chunk)
            yield from reader.taken()
        parser.Parse(b"", True)  # noqa: FBT003 - expat has no keywords
    except expat.ExpatError as error:
        reason = HTML if is_html(beginning) else f"not well-formed XML: {error}"
        raise TrustError(f"{name}: {reason}") from None
    except ValueError as error:
        raise TrustError(f"{name}: line {parser.CurrentLineNumber}: {error}") from None
    yield from reader.taken()


def plain_parser() -> expat.XMLParserType:
    """A parser that raises ValueError for all that is neither a tag nor text."""
    parser = _parser()
    for handler, what in (
        ("CommentHandler", "a comment"),
        ("StartCdataSectionHandler", "a CDATA section"),
        ("ProcessingInstructionHandler", "a processing instruction"),
    ):
        setattr(parser, handler, _refusing(what))
    return parser


def is_html(beginning: bytes) -> bool:
    """Whether a document that begins like this is a page for people."""
    text = beginning[:512].lower()
    return b"<!doctype html" in text or b"<html" in text


def check_encoding(encoding: str | None) -> None:
    """Raises ValueError for another than UTF-8: one reader's tag would be another's text."""
    if encoding is not None and encoding.lower() != "utf-8":
        raise ValueError(f"is encoded in {encoding!r}; repository metadata is in UTF-8")


def _parser(namespace_separator: str | None = None) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=namespace_separator)
    parser.StartDoctypeDeclHandler = _doctype
    parser.XmlDeclHandler = _declaration
    return parser


def _doctype(name: str, *_: object) -> None:
    if name.lower() == "html":
        raise ValueError(HTML)
    raise ValueError("has a document type declaration; repository metadata has none")


def _declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    check_encoding(encoding)


def _refusing(what: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise ValueError(f"has {what}; repository metadata has none")

    return refuse


@dataclass(kw_only=True)
class _Reader:
    parser: expat.XMLParserType
    root: tuple[str, str]
    kept: frozenset[str] | None
    on_root: Callable[[Mapping[str, str]], None] | None
    stack: list[Element] = field(default_factory=list)
    ignored: int = 0
    depth: int = 0
    done: list[Element] = field(default_factory=list)

    def taken(self) -> list[Element]:
        done, self.done = self.done, []
        return done

    def start(self, full: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"elements are nested deeper than {MAX_DEPTH}")
        if self.ignored:
            # Nine elements of ten end here.
            self.ignored += 1
            return
        namespace, _, name = full.rpartition(" ")
        if self.depth == 1:
            if name.lower() == "html":
                raise ValueError(HTML)
            if (namespace, name) != self.root:
                raise ValueError(f"the document is <{name}>, expected <{self.root[1]}>")
            if self.on_root is not None:
                self.on_root(attributes)
            return
        # Directly below the root everything is kept; below that, only what was asked for.
        if self.stack and self.kept is not None and name not in self.kept:
            self.ignored = 1
            # Most of a document is text that nobody reads; it is not even handed over.
            self.parser.CharacterDataHandler = None
            return
        element = Element(name=name, namespace=namespace, attributes=attributes)
        if self.stack:
            self.stack[-1].children.append(element)
        self.stack.append(element)

    def end(self, _full: str) -> None:
        self.depth -= 1
        if self.ignored:
            self.ignored -= 1
            if not self.ignored:
                self.parser.CharacterDataHandler = self.characters
        elif self.stack:
            element = self.stack.pop()
            if not self.stack:
                self.done.append(element)

    def characters(self, text: str) -> None:
        if not self.stack:
            return
        element = self.stack[-1]
        element.length += len(text)
        if element.length > MAX_TEXT_CHARACTERS:
            raise ValueError(f"<{element.name}> is longer than {MAX_TEXT_CHARACTERS} characters")
        element.texts.append(text)
