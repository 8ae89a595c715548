"""Owns replacing moto's methods: only those that are as they were when this was written."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def original(owner: type, name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """moto's method. Raises RuntimeError when it is not there or has other parameters."""
    method: Callable[..., Any] | None = getattr(owner, name, None)
    if method is None or tuple(inspect.signature(method).parameters) != parameters:
        raise RuntimeError(f"moto's {owner.__name__}.{name} has changed; adapt goldpress.emulator")
    return method


def replace(owner: type, methods: dict[str, Callable[..., Any]]) -> None:
    """Answer these actions of a service by functions of ours, which take the response object.

    Raises RuntimeError when moto's method takes more than itself.
    """
    for name in methods:
        original(owner, name, ("self",))
    for name, method in methods.items():
        setattr(owner, name, method)


def add(owner: type, methods: dict[str, Callable[..., Any]]) -> None:
    """Answer actions that moto lacks. Raises RuntimeError when it has one by now."""
    for name, method in methods.items():
        found = getattr(owner, name, None)
        if found is not None and not getattr(found, "_goldpress", False):
            raise RuntimeError(f"moto has {owner.__name__}.{name} now; adapt goldpress.emulator")
        vars(method)["_goldpress"] = True
        setattr(owner, name, method)
