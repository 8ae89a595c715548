"""Owns the image's side: nginx and the pools as they are baked, each started as its unit says."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from web_database import NAME, SOCKETS, USER
from web_service import IMAGE, Service, plan_unit

from goldpress.definition import Definition
from goldpress.errors import MissingError
from goldpress.rootfs.overlay import plan_overlay, template_names
from goldpress.rootfs.pools import BuiltPool, plan_pools

NGINX = "/etc/systemd/system/nginx.service"
CERTIFICATE = "/usr/lib/systemd/system/goldpress-certificate.service"
POOLS = "/usr/lib/systemd/system"
#: The user data of the measured machine: the load comes from a balancer, as in production.
USER_DATA = {"REAL_IP_FROM": "127.0.0.1/32", "DB_HOST": SOCKETS, "DB_NAME": NAME, "DB_USER": USER}


@dataclass(frozen=True, kw_only=True)
class Image:
    """Its pools, and the text of every file of its overlay that is a unit."""

    pools: tuple[BuiltPool, ...]
    units: Mapping[str, str]
    keep_seconds: int

    @property
    def measured(self) -> BuiltPool:
        """The pool with the database page. Raises MissingError."""
        for pool in self.pools:
            if pool.pool.database:
                return pool
        raise MissingError(
            "no pool of the image has a database", hint="give one `database` in image.yaml"
        )

    @property
    def host(self) -> str:
        """The name that the measured pool answers to."""
        return self.measured.pool.hosts[0]


def read_image(definition: Definition) -> Image:
    """The image as `goldpress.rootfs` bakes it. Raises BuildError as that does."""
    pools = plan_pools(definition)
    changes = plan_overlay(definition.files, template_names(definition), pools)
    return Image(
        pools=pools,
        units={
            change.path: base64.b64decode(change.content).decode()
            for change in changes
            if change.kind == "write" and change.path.endswith(".service")
        },
        keep_seconds=int(definition.parameters["keepalive_seconds"]),
    )


def plan_settings() -> Service:
    """The image's own program that turns user data into what nginx and the pools read."""
    rows = " ".join(shlex.quote(f"{name}={value}") for name, value in USER_DATA.items())
    line = (
        "install -d /run/goldpress/nginx /run/goldpress/pools"
        f" && printf '%s\\n' {rows} >/run/goldpress/user-data.env"
        " && exec /usr/libexec/goldpress/settings"
    )
    return Service(name="settings", argv=("chroot", IMAGE, "/bin/sh", "-c", line), once=True)


def plan_web(image: Image, *, alone: bool = False) -> tuple[Service, ...]:
    """The services of the image that serve pages, in the order of their start.

    With `alone` the measured pool is the only one.
    """
    pools = tuple(
        plan_unit(f"pool {p.name}", image.units[f"{POOLS}/{p.unit}"], processes=1 + p.workers)
        for p in image.pools
        if p == image.measured or not alone
    )
    # A master, and at least one that works: there are as many as processors.
    nginx = plan_unit("nginx", image.units[NGINX], processes=2)
    certificate = plan_unit("certificate", image.units[CERTIFICATE])
    return (plan_settings(), certificate, *pools, nginx)
