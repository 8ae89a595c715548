"""Owns definitions of tests: what is asked for, without an image around it."""

from __future__ import annotations

from goldpress.definition import Definition
from goldpress.document import parse

#: The text of an image that serves applications, short of `apps` and `pools`.
SERVING = """\
name: web
summary: a web server
distribution: centos-stream-9
arch: x86_64
packages: [nginx]
machine: {memory_mib: 1024, cpus: 2, reserved_mib: 512}
disk: {esp_mib: 64, var_mib: 512}
verify: {suite: web, boot_seconds: 60}
"""


def definition(*packages: str, **changes: object) -> Definition:
    """The definition `web` for `test-9`, as image.yaml would say it."""
    value: dict[str, object] = {
        "name": "web",
        "summary": "a test",
        "distribution": "test-9",
        "arch": "x86_64",
        "packages": list(packages),
        "disk": {"esp_mib": 64, "var_mib": 64},
        "verify": {"suite": "web", "boot_seconds": 60},
    }
    return parse(Definition, {**value, **changes}, name="image.yaml")
