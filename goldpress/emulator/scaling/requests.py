"""Owns what a request may be: botocore's model of it, with the limits that AWS checks itself.

botocore's ParamValidator refuses on the client's side what has another type, is missing or too
short. What it leaves to AWS is checked here, as AWS does: the largest numbers, the longest lists
and the words of an enumeration.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from botocore.loaders import Loader  # noqa: TID251 - the model of requests
from botocore.model import ServiceModel  # noqa: TID251
from botocore.validate import ParamValidator  # noqa: TID251

from goldpress.emulator.scaling.errors import ScalingError, invalid

_VALIDATOR = ParamValidator()


@functools.cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@functools.cache
def _operation(service: str, operation: str) -> Any:
    return model(service).operation_model(operation)


def well_formed(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raises botocore's ParamValidationError's text as ValueError: it never leaves a client."""
    shape = _operation(service, operation).input_shape
    if shape is None:
        if request:
            raise ValueError(f"{operation} takes no parameters")
        return
    report = _VALIDATOR.validate(request, shape)
    if report.has_errors():
        raise ValueError(report.generate_report())


def checked(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Raises ScalingError (ValidationError) where a value is outside of the model's limits."""
    shape = _operation(service, operation).input_shape
    if shape is not None and (why := _problem(request, shape, "")):
        raise ScalingError("ValidationError", f"1 validation error detected: {why}")


def _problem(value: Any, shape: Any, path: str) -> str:
    kind = shape.type_name
    if kind == "structure":
        found = (
            _problem(value[name], member, f"{path}.{name}" if path else name)
            for name, member in shape.members.items()
            if name in value
        )
        return next((text for text in found if text), "")
    size = len(value) if kind in {"list", "string"} else value
    most = shape.metadata.get("max")
    if most is not None and isinstance(size, int) and size > most:
        what = "value" if isinstance(value, int) else "length"
        return _told(value, path, f"Member must have {what} less than or equal to {most}")
    least = shape.metadata.get("min")
    if least is not None and isinstance(size, int) and size < least:
        what = "value" if isinstance(value, int) else "length"
        return _told(value, path, f"Member must have {what} greater than or equal to {least}")
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        return _told(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
    if kind == "list":
        rows = (_problem(row, shape.member, f"{path}.{i + 1}") for i, row in enumerate(value))
        return next((text for text in rows if text), "")
    return ""


def _told(value: Any, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {rule}"


def page(
    rows: list[Any], request: Mapping[str, Any], *, default: int, most: int
) -> tuple[list[Any], str]:
    """One page of these rows, and the token of the next one, empty at the end.

    Raises ScalingError: ValidationError for a MaxRecords out of 1 to `most`, InvalidNextToken.
    """
    wanted = request.get("MaxRecords", default)
    if not 1 <= wanted <= most:
        raise invalid(
            f"1 validation error detected: {_told(wanted, 'MaxRecords', f'1 to {most} only')}"
        )
    token = request.get("NextToken") or "0"
    if not token.isdigit() or (int(token) and int(token) >= len(rows)):
        raise ScalingError("InvalidNextToken", f"The token '{token}' is invalid.")
    start = int(token)
    end = start + wanted
    return rows[start:end], str(end) if end < len(rows) else ""


def paged(answer: dict[str, Any], token: str) -> dict[str, Any]:
    """An answer with the token of its next page, if there is one."""
    return {**answer, "NextToken": token} if token else answer
