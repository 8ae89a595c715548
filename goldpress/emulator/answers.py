"""Owns the speed of answers: where moto looks for each of a thousand instances' attributes.

moto tries several names for every attribute of every object, anew each time. Which names they are
depends on the model and on the object's class only, so they are remembered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import moto.backends
from moto.core.constants import MISSING
from moto.core.serialize import AttributePicker, AttributePickerContext, XFormedAttributePicker
from moto.core.utils import get_value

from goldpress.emulator import patches

NAMES = 100_000


def extend_answers() -> None:
    """Make moto's answers faster. Raises RuntimeError when moto has changed."""
    patches.original(AttributePicker, "__call__", ("self", "context"))
    patches.original(XFormedAttributePicker, "get_possible_keys", ("self", "context"))
    setattr(AttributePicker, "__call__", _pick)  # noqa: B010 - moto's method
    # For each request moto lists its own folder to find out which services it has.
    modules = tuple(moto.backends.list_of_moto_modules())
    setattr(moto.backends, "list_of_moto_modules", lambda: modules)  # noqa: B010


def _pick(self: AttributePicker, context: AttributePickerContext) -> Any:
    found = MISSING
    for name in _names(self, context):
        found = get_value(context.obj, name, MISSING)
        if found is not MISSING:
            break
    value = None if found is MISSING else found
    transform = _transform(self, f"{context.key_path}.{context.key}")
    return transform(value) if transform else value


_KNOWN: dict[tuple[Any, ...], tuple[str, ...]] = {}


def _names(picker: AttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
    shape: Any = context.shape
    service = context.service_model.service_name if context.service_model else ""
    parent = getattr(shape, "parent", None)
    place = (
        type(picker), type(context.obj), context.key, service, getattr(shape, "name", ""),
        getattr(parent, "name", ""), getattr(shape, "serialization", {}).get("name"),
    )  # fmt: skip
    found = _KNOWN.get(place)
    if found is None:
        found = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        if len(_KNOWN) < NAMES:
            _KNOWN[place] = found
    return found


def _transform(picker: AttributePicker, path: str) -> Callable[[Any], Any] | None:
    rows = picker.response_transformers
    return _suffix(tuple(rows.items()), path) if rows else None


@functools.lru_cache(maxsize=NAMES)
def _suffix(
    rows: tuple[tuple[str, Callable[[Any], Any]], ...], path: str
) -> Callable[[Any], Any] | None:
    return next((transform for suffix, transform in rows if path.endswith(suffix)), None)
