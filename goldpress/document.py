"""Owns reading a document that people write: strict YAML, and errors with a composed path.

Only `true`/`false`, plain decimal integers and `null` are anything but text, so that a module
stream `1.10` stays `1.10` and a unit called `on` stays a name. Anchors, tags, repeated keys and
characters that nobody sees are refused: what is read is what is seen.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from goldpress.errors import DocumentError, MissingError

MAX_DOCUMENT_BYTES = 1 << 20
#: Control and format characters, and the line ends of Unicode: YAML ends a comment at those, and
#: no editor, nor a page with a diff, shows them.
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})


class Part(BaseModel):
    """What every part of a document has in common: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=Part)


def matching(pattern: str, what: str) -> AfterValidator:
    """For a text field: refuses what is not wholly `pattern`, saying that it is not `what`."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


class _StrictLoader(yaml.SafeLoader):
    """YAML with three scalar types besides text, and without repeated keys, aliases or tags."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the parent's shape

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        faults = {
            "aliases": isinstance(event, yaml.AliasEvent),
            "anchors": getattr(event, "anchor", None) is not None,
            "tags": getattr(event, "tag", None) is not None,
        }
        for what, is_so in faults.items():
            if is_so:
                raise yaml.MarkedYAMLError(
                    problem=f"{what} are not allowed", problem_mark=event.start_mark
                )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ARG002 - the parent's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key `{key.value}` is there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:0|-?[1-9][0-9]{0,17})$"), list("-0123456789")
)
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]
)


def once(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values, if none is listed twice. Raises ValueError for the first that is."""
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is listed twice")
    return values


def shown(path: Path) -> str:
    """`path` as people know it: relative to the current directory when it is inside."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)


def nearest(word: str, known: Iterable[str], *, count: int = 3) -> str:
    """``; nearest: a, b`` for an error message, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, sorted(known), n=count, cutoff=0.6)
    return f"; nearest: {', '.join(near)}" if near else ""


def read_yaml(path: Path) -> Any:
    """The value of one YAML document. Raises MissingError, or DocumentError with its line."""
    name = shown(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(f"{name}: there is no such file") from None
    return parse_yaml(data, name=name)


def parse_yaml(data: bytes, *, name: str) -> Any:
    """The value of a document with these bytes. Raises DocumentError, which calls it `name`."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(
            f"{name}: {len(data)} bytes; a document has at most {MAX_DOCUMENT_BYTES}"
        )
    try:
        text = data.decode()
        _refuse_unseen(text, name)
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a stricter SafeLoader
    except UnicodeDecodeError as error:
        raise DocumentError(f"{name}: not UTF-8: {error.reason} at byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise DocumentError(f"{name}: {line}{error.problem or error}") from None
    except yaml.YAMLError as error:
        raise DocumentError(f"{name}: {error}") from None
    except RecursionError:
        raise DocumentError(f"{name}: nested too deeply") from None
    except (ValueError, OverflowError):
        # PyYAML takes any eight digits for a character.
        raise DocumentError(f"{name}: an escape \\U names no character") from None


def _refuse_unseen(text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        for found in line.removesuffix("\r"):
            if found != "\t" and unicodedata.category(found) in UNSEEN:
                raise DocumentError(
                    f"{name}: line {number}: the character U+{ord(found):04X} cannot be seen",
                    hint="take it out, or write it as an escape in double quotes",
                )


def parse(model: type[Model], value: Any, *, name: str) -> Model:
    """`value` (plain JSON types) as `model`.

    Raises DocumentError: one line a fault, each ``name: composed.path[3]: what is wrong``.
    """
    if not isinstance(value, dict):
        raise DocumentError(f"{name}: expected a mapping of keys at the top")
    try:
        # By way of JSON: pydantic's strict mode then takes lists for tuples, and nothing else.
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        lines = [f"{name}: {_fault(model, dict(e))}" for e in error.errors(include_url=False)]
        raise DocumentError("\n".join(lines)) from None


def composed(location: Iterable[int | str]) -> str:
    """A location as people write it: ``packages[3].sha256``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            text += f".{part}" if text else part
    return text


def _fault(model: type[BaseModel], error: dict[str, Any]) -> str:
    location = error["loc"]
    where = composed(location)
    prefix = f"{where}: " if where else ""
    if error["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        fields = owner.model_fields if owner else {}
        known = [field.alias or name for name, field in fields.items()]
        return f"{prefix}unknown key{nearest(str(location[-1]), known)}"
    if error["type"] == "missing":
        return f"{prefix}this key is required"
    if error["type"] == "value_error":
        return f"{prefix}{error['ctx']['error']}"
    given = error["input"]
    got = f", not {given!r}" if isinstance(given, str | int | bool | type(None)) else ""
    message = error["msg"].removeprefix("Input should be ")
    return f"{prefix}expected {message}{got}"


def _model_at(model: type[BaseModel], location: Iterable[int | str]) -> type[BaseModel] | None:
    """The model that parses the value at `location`, or None when none does."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        elif get_origin(current) in {tuple, list}:
            current = get_args(current)[0]
        current = _without_none(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _without_none(annotation: Any) -> Any:
    arguments = [a for a in get_args(annotation) if a is not type(None)]
    is_optional = type(None) in get_args(annotation)
    return arguments[0] if is_optional and len(arguments) == 1 else annotation
