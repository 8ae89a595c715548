"""Owns the fault: why one place did not give a file, and whether trying again may help."""

from __future__ import annotations

import email.utils
import time

import urllib3
from urllib3 import exceptions

from goldpress.errors import GoldpressError, MissingError

#: Only what may pass by itself is tried again; a 404 will still be one.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
#: A place that wants to be left alone for longer is asked again all the same, or another is.
MAX_REST_SECONDS = 60.0


class Fault(Exception):  # noqa: N818 - never seen outside: `fetch` makes an error of the last
    """One place's failure: `message` names address and cause, `kind` is the error it becomes.

    `passing` says whether the same place may be asked again; `rest` for how many seconds it asked
    to be left alone.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: type[GoldpressError] = MissingError,
        passing: bool = False,
        rest: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.passing = passing
        self.rest = rest


def fault_of_status(where: str, response: urllib3.BaseHTTPResponse) -> Fault:
    """The fault of an answer that is not the file."""
    rest = rest_seconds(response.headers.get("Retry-After", ""))
    asked = f" (asks to wait {rest:g} s)" if rest else ""
    return Fault(
        f"{where}: status {response.status}{asked}",
        passing=response.status in PASSING_STATUSES,
        rest=min(rest, MAX_REST_SECONDS),
    )


def rest_seconds(value: str, now: float | None = None) -> float:
    """Seconds that a Retry-After header asks for: a number or a date; 0 for anything else."""
    if value.strip().isdecimal():
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, round(then - (time.time() if now is None else now)))


def fault_of_error(where: str, error: exceptions.HTTPError) -> Fault:
    """The fault of a connection that was not made, or broke.

    The library's own texts hold object addresses, proxies and queries: they are not shown.
    """
    if isinstance(error, exceptions.ProxyError):
        cause = error.original_error
        what = _words(cause) if isinstance(cause, exceptions.HTTPError) else str(cause)
        # The status of a CONNECT that was refused: 403 and 407 will stay so.
        lasting = "403" in what or "407" in what
        return Fault(f"{where}: the proxy: {what}", passing=not lasting)
    if isinstance(error, exceptions.SSLError) and "certificate" in str(error).lower():
        return Fault(
            f"{where}: the certificate cannot be verified ({_reason(error)}); SSL_CERT_FILE names "
            "the authorities of a network that has its own"
        )
    return Fault(f"{where}: {_words(error)}", passing=True)


def _words(error: exceptions.HTTPError) -> str:
    # Special ones first: a name that is not found is a connection that is not made, to urllib3.
    for kind, words in (
        (exceptions.NameResolutionError, "the name of the host cannot be resolved"),
        (exceptions.NewConnectionError, f"no connection: {_reason(error)}"),
        (exceptions.ConnectTimeoutError, "no connection: no answer"),
        (exceptions.ReadTimeoutError, "the answer stopped coming"),
        (exceptions.SSLError, f"TLS: {_reason(error)}"),
        (exceptions.ProtocolError, "the connection broke before the end"),
    ):
        if isinstance(error, kind):
            return words
    return type(error).__name__


def _reason(error: BaseException) -> str:
    """The words of the system at the root of an error."""
    root: BaseException = error
    for _ in range(8):
        below = root.__cause__ or root.__context__
        inner = root.args[0] if root.args and isinstance(root.args[0], BaseException) else None
        following = inner or below
        if following is None:
            break
        root = following
    text = getattr(root, "verify_message", "") or getattr(root, "strerror", "") or str(root)
    return str(text)
