"""Owns the hosting site as a process: ``python -m goldpress.rehearsal --directory D``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from goldpress.machine import daemon
from goldpress.rehearsal.hosting import BARE, LOG, SITE, listening
from goldpress.rehearsal.site import Hub


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until it is ended; the first line on stdout is the URL."""
    parser = argparse.ArgumentParser(prog="python -m goldpress.rehearsal", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where its repository is")
    parser.add_argument(
        "--daemon", action="store_true", help="return once it serves, and go on in the background"
    )
    options = parser.parse_args(arguments)
    directory = options.directory.absolute()
    hub = Hub(bare=directory / BARE, pusher="", clock=lambda: datetime.now(UTC))
    hub.notice()
    server, http = listening(hub)
    if options.daemon:
        if daemon.detach(directory / LOG):
            return 0
        daemon.announce(directory / SITE, server.url)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        http.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
