"""Tunnels: a WebSocket as RFC 6455 has it, its URL signed, its port a pipe of bytes."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from goldpress.aws import client, tunnel
from goldpress.aws.client import Access
from goldpress.aws.websocket import accepted, frame, masked, open_websocket
from goldpress.errors import CloudError


class Endpoint:
    """A WebSocket server of its own making that sends back what it gets, in pieces."""

    def __init__(self, *, status: str = "101 Switching Protocols") -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.status = status
        self.pongs: list[bytes] = []
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.listener.getsockname()[1]}/openTunnel?a=b"

    def serve(self) -> None:
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(stream,), daemon=True).start()

    def talk(self, stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as reader:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += reader.readline()
            match = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
            assert match is not None
            answer = accepted(match[1].decode())
            rows = [f"HTTP/1.1 {self.status}", f"Sec-WebSocket-Accept: {answer}", "", ""]
            # A ping comes with the head: in one segment, as it may.
            stream.sendall("\r\n".join(rows).encode() + b"\x89\x02hi")
            while first := reader.read(1):
                length = reader.read(1)[0] & 0x7F
                if length >= 126:
                    length = int.from_bytes(reader.read(2 if length == 126 else 8), "big")
                mask = reader.read(4)
                data = masked(reader.read(length), mask)
                kind = first[0] & 0x0F
                if kind == 0xA:
                    self.pongs.append(data)
                elif kind == 0x8:
                    stream.sendall(b"\x88\x00")
                    return
                else:
                    for start in range(0, len(data), 50_000):
                        piece = data[start : start + 50_000]
                        size = len(piece)
                        head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
                        stream.sendall(b"\x82" + head + piece)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.listener.close()


def test_the_protocols_own_examples() -> None:
    # RFC 6455, 1.3 and 5.7.
    assert accepted("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    mask = bytes.fromhex("37fa213d")
    assert frame(b"Hello", kind=1, mask=mask).hex() == "818537fa213d7f9f4d5158"
    assert masked(masked(b"\0\0abc", mask), mask) == b"\0\0abc"
    assert frame(bytes(300), kind=2, mask=mask)[:4].hex() == "82fe012c"
    assert frame(bytes(70000), kind=2, mask=mask)[1:10].hex() == "ff0000000000011170"


def test_bytes_go_through_and_come_back(endpoint: Endpoint) -> None:
    sent = bytes(range(256)) * 1000
    with tunnel.tunnel(lambda: endpoint.url) as port:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
                stream.sendall(sent)
                got = b""
                while len(got) < len(sent):
                    got += stream.recv(65536)
            assert got == sent
    assert endpoint.pongs == [b"hi", b"hi"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_refusal_is_told() -> None:
    closed = Endpoint(status="403 Forbidden")
    with pytest.raises(
        CloudError, match=r"through 127.0.0.1 was refused: .* 403 Forbidden"
    ) as caught:
        open_websocket(closed.url)
    assert "ec2-instance-connect:OpenTunnel" in caught.value.hint
    closed.listener.close()


def test_an_endpoint_that_is_not_reached_is_told() -> None:
    with pytest.raises(CloudError, match=r"through 127.0.0.1 cannot be opened"):
        open_websocket("ws://127.0.0.1:9/x?y")


def test_the_url_is_signed_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-in-a-url")
    client._session.cache_clear()  # noqa: SLF001 - for these credentials
    url = tunnel.signed_url(
        Access(), "us-east-1", endpoint=("eice-1", "eice-1.example.com"), address="10.0.0.9"
    )
    client._session.cache_clear()  # noqa: SLF001 - as above
    parts = urlsplit(url)
    values = parse_qs(parts.query)
    assert (parts.scheme, parts.hostname, parts.path) == (
        "wss",
        "eice-1.example.com",
        "/openTunnel",
    )
    assert values["privateIpAddress"] == ["10.0.0.9"]
    assert values["remotePort"] == ["22"]
    assert values["X-Amz-Expires"] == ["60"]
    assert values["X-Amz-Credential"][0].endswith("/us-east-1/ec2-instance-connect/aws4_request")
    assert "never-in-a-url" not in url


class Described:
    """EC2, as far as it tells of endpoints."""

    def __init__(self, *states: str) -> None:
        self.states = states

    def describe_instance_connect_endpoints(self, **asked: object) -> dict[str, object]:
        assert asked == {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}]}
        rows = [
            {"State": state, "InstanceConnectEndpointId": f"eice-{n}", "DnsName": f"{n}.example"}
            for n, state in enumerate(self.states)
        ]
        return {"InstanceConnectEndpoints": rows}


def test_the_endpoint_that_is_ready_is_taken() -> None:
    found = tunnel.endpoint_of(Described("create-failed", "create-complete"), "vpc-1", "us-east-1")
    assert found == ("eice-1", "1.example")
    with pytest.raises(CloudError, match="vpc-1 in us-east-1 has no EC2 Instance Connect Endpoint"):
        tunnel.endpoint_of(Described("delete-in-progress"), "vpc-1", "us-east-1")
