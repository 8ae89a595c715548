"""Owns the embedded cloud's process: moto's services on one port of this machine's loopback."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from goldpress.emulator.faults import Faults
from goldpress.emulator.s3 import extend_s3

#: Its methods are replaced one by one (see `s3`): only these versions have them as expected.
SERIES = "5.2."
ADDRESS = "127.0.0.1"


def checked_moto() -> str:
    """moto's version. Raises RuntimeError when it is not of the series that is extended here."""
    version = importlib.metadata.version("moto")
    if not version.startswith(SERIES):
        raise RuntimeError(f"moto {version}: the emulator extends moto {SERIES}x only")
    return version


def make(port: int) -> BaseWSGIServer:
    """A server on this port (0: one that is free), listening already."""
    checked_moto()
    extend_s3()
    application = Faults(application=DomainDispatcherApplication(create_backend_app))
    return make_server(
        ADDRESS, port, application, threaded=True, request_handler=MotoRequestHandler
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the first line on stdout is the URL."""
    parser = argparse.ArgumentParser(prog="python -m goldpress.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input does: with its parent"
    )
    options = parser.parse_args(arguments)
    server = make(options.port)
    signal.signal(signal.SIGTERM, _end)
    if options.until_eof:
        threading.Thread(target=_watch_input, daemon=True).start()
    sys.stdout.write(f"http://{ADDRESS}:{server.server_port}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        server.serve_forever()
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit


def _watch_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
