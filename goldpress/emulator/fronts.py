"""Owns calls that are answered past moto: a boto-shaped request in, a boto-shaped answer out.

The functions behind know neither HTTP nor moto, so simulations inside a process call them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.requests import checked

Owner = TypeVar("Owner")
#: A call on what owns the state of an account and region.
Call = Callable[[Owner, Mapping[str, Any]], dict[str, Any]]


class Refused(ServiceException):  # type: ignore[misc,unused-ignore]
    """A refusal over HTTP. A class of ours: moto takes its own for one of its services'."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def answering(
    service: str, name: str, call: Call[Owner], owner: Callable[[Any], Owner]
) -> Callable[[Any], ActionResult]:
    """moto's method for a call: the request within the model's limits, errors as moto has them."""

    def method(self: Any) -> ActionResult:
        request = self._get_params()
        try:
            checked(service, name, request)
            return ActionResult(call(owner(self), request))
        except ScalingError as error:
            raise Refused(error.code, error.message) from error

    return method


def refusing(service: str, name: str) -> Callable[[Any], ActionResult]:
    """moto's method for a call that would be answered from a state which is not this cloud's."""

    def method(_self: Any) -> ActionResult:
        raise Refused("ValidationError", f"the embedded cloud has no {service} {name}")

    return method
