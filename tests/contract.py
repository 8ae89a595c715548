"""Owns checking answers by botocore's own service model: names, types, enums, lengths, patterns."""

from __future__ import annotations

import re
from typing import Any

SCALARS = {
    "string": str, "character": str, "integer": int, "long": int, "boolean": bool,
    "float": (int, float), "double": (int, float), "structure": dict, "map": dict, "list": list,
}  # fmt: skip


def problems(value: Any, shape: Any, path: str = "") -> list[str]:
    """What is wrong with a parsed answer, each with its path."""
    kind: Any = SCALARS.get(shape.type_name)
    if kind is not None and not isinstance(value, kind):
        return [f"{path}: {value!r} is not {shape.type_name}"]
    if shape.type_name == "structure":
        return _structure(value, shape, path)
    if shape.type_name == "list":
        rows = enumerate(value)
        return [p for i, row in rows for p in problems(row, shape.member, f"{path}[{i}]")]
    return _scalar(value, shape, path)


def _structure(value: dict[str, Any], shape: Any, path: str) -> list[str]:
    found = [f"{path}.{name}: unknown" for name in value if name not in shape.members]
    found += [f"{path}.{name}: missing" for name in shape.required_members if name not in value]
    for name, member in shape.members.items():
        if name in value and not member.serialization.get("streaming"):
            found += problems(value[name], member, f"{path}.{name}")
    return found


def _scalar(value: Any, shape: Any, path: str) -> list[str]:
    found = []
    enum, pattern = getattr(shape, "enum", None), shape.metadata.get("pattern")
    if enum and value not in enum:
        found.append(f"{path}: {value!r} is none of {enum}")
    if pattern and isinstance(value, str) and not re.match(_as_python(pattern), value):
        found.append(f"{path}: {value!r} does not match {pattern}")
    size = len(value) if isinstance(value, (str, bytes)) else value
    if isinstance(size, int) and size < shape.metadata.get("min", size):
        found.append(f"{path}: {value!r} is too small")
    if isinstance(size, int) and size > shape.metadata.get("max", size):
        found.append(f"{path}: {value!r} is too large")
    return found


def _as_python(pattern: str) -> str:
    """The model's patterns are Java's: it has names for classes of characters, and surrogates."""
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    return pattern.replace(r"\p{L}", "a-zA-Z").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d")


def check_answers(client: Any) -> None:
    """From now on every answer that this client gets has to be one that the model allows."""

    def check(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        answer = {k: v for k, v in parsed.items() if k != "ResponseMetadata"}
        where = model.name
        if "Error" in answer:
            # Other services' models leave their common errors out.
            if model.service_model.service_name != "ebs":
                return
            by_code = {shape.error_code: shape for shape in model.error_shapes}
            code = answer.pop("Error")["Code"]
            assert code in by_code, f"{where}: {code} is none of its errors"
            assert not problems(answer, by_code[code], where), problems(
                answer, by_code[code], where
            )
            return
        if model.output_shape is not None:
            found = problems(answer, model.output_shape, where)
            assert not found, found

    client.meta.events.register("after-call", check)
