"""Owns tunnels through an EC2 Instance Connect Endpoint: a port here that leads to an instance.

Each connection to the port is one WebSocket, opened by a signed URL that is good for a minute; the
credentials stay in this process. See "Connect to your instances using EC2 Instance Connect
Endpoint" in EC2's user guide, and `open-tunnel` of the AWS CLI.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from goldpress import progress
from goldpress.aws.client import Access
from goldpress.aws.errors import translated
from goldpress.aws.websocket import WebSocket, open_websocket
from goldpress.errors import CloudError

SERVICE = "ec2-instance-connect"
URL_SECONDS = 60
CHUNK = 65536
SSH = 22


def endpoint_of(client: Any, vpc: str, region: str) -> tuple[str, str]:
    """(id, DNS name) of a VPC's endpoint. Raises CloudError when it has none that is ready."""
    with translated(f"EC2 Instance Connect Endpoints of {vpc} in {region}", service="ec2"):
        rows = client.describe_instance_connect_endpoints(
            Filters=[{"Name": "vpc-id", "Values": [vpc]}]
        )["InstanceConnectEndpoints"]
    for row in rows:
        if row["State"] == "create-complete":
            return str(row["InstanceConnectEndpointId"]), str(row["DnsName"])
    raise CloudError(
        f"{vpc} in {region} has no EC2 Instance Connect Endpoint that is ready",
        hint="make one in the subnet of publish.yaml, or choose trial.reach: in-vpc or direct",
    )


def signed_url(access: Access, region: str, *, endpoint: tuple[str, str], address: str) -> str:
    """The URL of one connection to port 22 of a private address; it is good for a minute."""
    name, host = endpoint
    query = urlencode(
        {"instanceConnectEndpointId": name, "privateIpAddress": address, "remotePort": SSH}
    )
    request = AWSRequest(method="GET", url=f"https://{host}/openTunnel?{query}")
    with translated(f"a tunnel through {name} in {region}", service=SERVICE):
        SigV4QueryAuth(access.credentials(region), SERVICE, region, expires=URL_SECONDS).add_auth(
            request
        )
    return "wss" + str(request.url).removeprefix("https")


@contextmanager
def tunnel(new_url: Callable[[], str]) -> Iterator[int]:
    """A port on 127.0.0.1 whose connections go through the tunnel, until the context ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, new_url), daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            # Closing alone does not wake the thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, new_url: Callable[[], str]) -> None:
    while True:
        try:
            here, _ = listener.accept()
        except OSError:
            return  # the context has ended
        threading.Thread(target=_connect, args=(here, new_url), daemon=True).start()


def _connect(here: socket.socket, new_url: Callable[[], str]) -> None:
    with here:
        try:
            there = open_websocket(new_url())
        except CloudError as error:
            progress.note(str(error))
            return
        up = threading.Thread(target=_upward, args=(here, there), daemon=True)
        up.start()
        with contextlib.suppress(OSError, CloudError):
            while data := there.receive():
                here.sendall(data)
        with contextlib.suppress(OSError):
            here.shutdown(socket.SHUT_RDWR)
        up.join()


def _upward(here: socket.socket, there: WebSocket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(CHUNK):
            there.send(data)
    there.close()
