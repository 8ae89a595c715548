"""Owns the embedded cloud's process: moto's services on one port of this machine's loopback."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

# Before moto: an account without the thousands of AMIs that moto invents for each region.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from goldpress.emulator.amis import extend_amis
from goldpress.emulator.answers import extend_answers
from goldpress.emulator.autoscaling import extend_autoscaling
from goldpress.emulator.cloudwatch import extend_cloudwatch
from goldpress.emulator.control import Control
from goldpress.emulator.described import extend_described
from goldpress.emulator.ebs import extend_ebs
from goldpress.emulator.elbv2 import extend_elbv2
from goldpress.emulator.faults import Faults
from goldpress.emulator.instances import end_machines, extend_instances, machine_list
from goldpress.emulator.listeners import balancer_list, end_balancers, extend_listeners
from goldpress.emulator.parameters import extend_parameters
from goldpress.emulator.quotas import extend_quotas
from goldpress.emulator.s3 import extend_s3
from goldpress.emulator.signatures import extend_signatures
from goldpress.emulator.templates import extend_templates
from goldpress.emulator.trail import extend_trail
from goldpress.emulator.world import World, enter
from goldpress.machine import daemon

#: Its methods are replaced one by one (see `patches`): only these versions have them as expected.
SERIES = "5.2."
ADDRESS = "127.0.0.1"


def checked_moto() -> str:
    """moto's version. Raises RuntimeError when it is not of the series that is extended here."""
    version = importlib.metadata.version("moto")
    if not version.startswith(SERIES):
        raise RuntimeError(f"moto {version}: the emulator extends moto {SERIES}x only")
    return version


def extend() -> None:
    """Fill moto's gaps. Raises RuntimeError when moto is not as it was."""
    checked_moto()
    extend_answers()
    extend_s3()
    extend_ebs()
    extend_amis()
    extend_described()
    extend_templates()
    extend_instances()
    extend_parameters()
    extend_quotas()
    extend_signatures()
    extend_trail()
    extend_cloudwatch()
    extend_elbv2()
    extend_autoscaling()
    extend_listeners()


def make(port: int, world: World) -> BaseWSGIServer:
    """A server of this cloud on this port (0: one that is free), listening already."""
    extend()
    enter(world)
    cloud = DomainDispatcherApplication(create_backend_app)
    control = Control(
        application=cloud, world=world, machines=machine_list, balancers=balancer_list
    )
    application = Faults(application=control)
    return make_server(
        ADDRESS, port, application, threaded=True, request_handler=MotoRequestHandler
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; the first line on stdout is the URL."""
    options = parsed(arguments)
    directory = options.directory or Path(tempfile.mkdtemp(prefix="goldpress-cloud-"))
    world = World(directory=directory.absolute())
    world.blocks.mkdir(parents=True, exist_ok=True)
    world.machines.mkdir(parents=True, exist_ok=True)
    server = make(options.port, world)
    url = f"http://{ADDRESS}:{server.server_port}"
    if options.daemon:
        if daemon.detach(world.directory / "cloud.log"):
            return 0
        daemon.announce(world.directory / "cloud.json", url)
    signal.signal(signal.SIGTERM, _end)
    if options.until_eof:
        threading.Thread(target=_watch_input, daemon=True).start()
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    try:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            server.serve_forever()
    finally:
        end_balancers()
        end_machines()
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m goldpress.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument(
        "--directory", type=Path, help="where blocks and machines are; else a temporary one"
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input does: with its parent"
    )
    parser.add_argument(
        "--daemon", action="store_true", help="return once it serves, and go on in the background"
    )
    options = parser.parse_args(arguments)
    if options.daemon and not options.directory:
        parser.error("--daemon needs --directory")
    return options


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit


def _watch_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
