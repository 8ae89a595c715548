"""Owns what S3 checks and moto does not: the sha256 of a body, and one writer at a time."""

from __future__ import annotations

import base64
import functools
import hashlib
import inspect
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.responses import S3Response

HEADER = "x-amz-checksum-sha256"
#: What is replaced, with the parameters that moto's series has: another series says so at once.
METHODS: dict[str, tuple[str, ...]] = {
    "put_object": ("self",),
    "upload_part": ("self",),
    "delete_object": ("self",),
    "_key_response_post": ("self", "request", "body", "bucket_name", "query", "key_name"),
}
BODIES = ("put_object", "upload_part")

_WRITING = threading.RLock()


def extend_s3() -> None:
    """Teach moto's S3 what it lacks. Raises RuntimeError when moto is not as it was."""
    methods = {name: _method(name, parameters) for name, parameters in METHODS.items()}
    for name, method in methods.items():
        setattr(S3Response, name, _one_at_a_time(method, check=name in BODIES))


def _method(name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    method: Callable[..., Any] | None = getattr(S3Response, name, None)
    if method is None or tuple(inspect.signature(method).parameters) != parameters:
        raise RuntimeError(f"moto's S3Response.{name} has changed; adapt goldpress.emulator.s3")
    return method


def _one_at_a_time(method: Callable[..., Any], *, check: bool) -> Callable[..., Any]:
    """moto looks at a condition first and writes then; S3 does both at once."""

    @functools.wraps(method)
    def call(self: S3Response, *arguments: Any) -> Any:
        if check:
            _check(self)
        with _WRITING:
            return method(self, *arguments)

    return call


def _check(response: S3Response) -> None:
    wanted = response.headers.get(HEADER)
    body = response.body or b""
    data = body.encode() if isinstance(body, str) else body
    if wanted and base64.b64encode(hashlib.sha256(data).digest()).decode() != wanted:
        raise S3ClientError(
            "BadDigest", "The SHA256 you specified did not match the calculated checksum."
        )
