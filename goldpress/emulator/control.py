"""Owns the way in for tests and `invoke cloud`: what no real cloud would let anyone see or do.

    GET  /_goldpress/status          what is there, by account and region, and how many bytes
    GET  /_goldpress/calls           how often each action was called: {"ebs:PutSnapshotBlock": 64}
    POST /_goldpress/calls           start counting anew
    GET|POST /_goldpress/settings    see `goldpress.emulator.settings`
    GET|POST /_goldpress/clock       see `goldpress.emulator.clock`
    GET  /_goldpress/instances       address, ports, console and folder of each instance's machine
    GET  /_goldpress/balancers       where each listener listens, and what it has open with whom
    POST /_goldpress/corrupt         {"snapshot": "snap-...", "index": 7}: change a byte on disk

It also decides who a request comes from: an access key that names an account
(``AKIA0000`` and its twelve digits), one that STS or IAM here gave out, or ``testing`` or
``sandbox``, which are the first account. Every other key is refused as AWS refuses it.
"""

from __future__ import annotations

import collections
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends

from goldpress.emulator.asked import Asked, asked, error_answer
from goldpress.emulator.autoscaling import move_clock
from goldpress.emulator.blocks import BLOCK
from goldpress.emulator.images import Image
from goldpress.emulator.snapshots import DirectSnapshot
from goldpress.emulator.world import World

PREFIX = "/_goldpress/"
OPEN_KEYS = ("", "testing", "sandbox")
#: How each kind of service refuses an access key that it does not know.
REFUSALS = {
    "ec2": (401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
    "s3": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."),
    "sts": (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
}
REFUSAL = (
    403, "UnrecognizedClientException", "The security token included in the request is invalid.",
)  # fmt: skip


@dataclass(kw_only=True)
class Control:
    """An application that answers below PREFIX itself and sends the rest on."""

    application: WSGIApplication
    world: World
    machines: Callable[[], list[dict[str, Any]]]
    balancers: Callable[[], list[dict[str, Any]]]
    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path.startswith(PREFIX):
            return self._own(environ, start, path.removeprefix(PREFIX))
        request = asked(environ)
        if request.action:
            with self.lock:
                self.calls[f"{request.service}:{request.action}"] += 1
        if not known(request):
            status, code, message = REFUSALS.get(request.service, REFUSAL)
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            headers, body = error_answer(request.service, code, message)
            start(f"{status} Refused", [*headers, ("Content-Length", str(len(body)))])
            return [body]
        if request.account:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = request.account
        return self.application(environ, start)

    def _own(self, environ: WSGIEnvironment, start: StartResponse, name: str) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        data = json.loads(environ["wsgi.input"].read(length) or b"{}")
        posted = environ["REQUEST_METHOD"] == "POST"
        status = "200 OK"
        try:
            answer = self._answer(name, data, posted=posted)
        except (ValueError, KeyError, TypeError) as error:
            status, answer = "400 Bad Request", {"error": str(error)}
        body = json.dumps(answer, default=str).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, name: str, data: dict[str, Any], *, posted: bool) -> Any:
        if name == "status":
            return status_of(self.world, self.machines())
        if name == "calls":
            with self.lock:
                if posted:
                    self.calls.clear()
                return dict(sorted(self.calls.items()))
        if name == "settings":
            if posted:
                self.world.set(data)
            return self.world.settings_document()
        if name == "clock":
            return {"now": move_clock(self.world, data) if posted else self.world.clock.now()}
        lists = {"instances": self.machines, "balancers": self.balancers}
        if name in lists:
            return lists[name]()
        if name == "corrupt" and posted:
            return corrupt(data["snapshot"], int(data["index"]))
        raise ValueError(f"nothing is at {PREFIX}{name}")


def known(request: Asked) -> bool:
    """Whether the access key is one of this cloud's. Secrets are not compared."""
    key = request.access_key
    if key in OPEN_KEYS or request.account:
        return True
    return any(
        key in backend.access_keys
        for account in list(iam_backends.values())
        for backend in list(account.values())
    )


def status_of(world: World, machines: list[dict[str, Any]]) -> dict[str, Any]:
    """What is there, and what would be lost."""
    places = []
    for account in list(ec2_backends):
        for region in list(ec2_backends[account]):
            backend = ec2_backends[account][region]
            images = [i for i in backend.amis.values() if isinstance(i, Image)]
            snapshots = [s for s in backend.snapshots.values() if isinstance(s, DirectSnapshot)]
            live = [
                instance
                for reservation in list(backend.reservations.values())
                for instance in reservation.instances
                if instance.state != "terminated"
            ]
            if images or snapshots or live:
                counts = {"images": len(images), "snapshots": len(snapshots)}
                places.append(
                    {"account": account, "region": region, **counts, "instances": len(live)}
                )
    files = [path for path in world.directory.rglob("*") if path.is_file()]
    return {
        "places": places,
        "machines": sum(1 for machine in machines if machine["running"]),
        "bytes": sum(path.stat().st_blocks * 512 for path in files),
    }


def corrupt(snapshot_id: str, index: int) -> dict[str, Any]:
    """Change the first byte of a block on disk. Raises KeyError when there is none."""
    for account in list(ec2_backends):
        for region in list(ec2_backends[account]):
            found = ec2_backends[account][region].snapshots.get(snapshot_id)
            block = found.blocks.get(index) if isinstance(found, DirectSnapshot) else None
            if block is not None:
                with block.path.open("r+b") as stream:
                    stream.seek(index * BLOCK)
                    byte = stream.read(1)[0]
                    stream.seek(index * BLOCK)
                    stream.write(bytes([byte ^ 0xFF]))
                return {"path": str(block.path), "offset": index * BLOCK}
    raise KeyError(f"{snapshot_id} has no block {index}")
