"""Owns asking the image's own programs whether they would start with what the image holds.

Before anything is booted: the web server, each pool's master and sudo read their configuration in
the image's own root, as the users that they run as, confined, with nothing of the tree writable.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from goldpress.definition import Definition
from goldpress.errors import BuildError, CommandError
from goldpress.host.confine import Confinement
from goldpress.rootfs.pools import BuiltPool, plan_pools

TLS_FOLDER = "/run/goldpress-tls"
#: What systemd makes before it starts nginx; the tree has none of it.
NGINX_FOLDERS = ("/run/goldpress-nginx", TLS_FOLDER, "/var/lib/goldpress-nginx")
#: More than notices, in the words of nginx, PHP-FPM, PHP and visudo.
COMPLAINTS = re.compile(
    r"\[(?:warn|error|crit|alert|emerg)\]|\b(?:WARNING|ERROR|ALERT)\b|PHP Warning"
)

HINT = "correct it in images/<name>/files: a path there is the path that is named here"


def as_user(user: str, folders: Sequence[str], command: str, capability: str = "") -> str:
    """A shell line that makes the service's folders, in memory, and runs it as its user."""
    keep = f"--inh-caps=+{capability} --ambient-caps=+{capability} " if capability else ""
    made = " ".join(shlex.quote(folder) for folder in folders)
    return (
        f"mount -t tmpfs tmpfs /var/lib && mkdir -p {made} && chown -R {user}: {made} && "
        f"exec setpriv --reuid={user} --regid={user} --clear-groups {keep}-- {command}"
    )


def nginx_line() -> str:
    """The shell line that lets nginx judge its configuration, with a throw-away certificate."""
    certificate = (
        f"mkdir -p {TLS_FOLDER} && openssl req -x509 -newkey ec -pkeyopt"
        " ec_paramgen_curve:prime256v1 -nodes -subj /CN=check -days 1"
        f" -keyout {TLS_FOLDER}/key.pem -out {TLS_FOLDER}/certificate.pem 2>/dev/null"
    )
    # It binds to its ports, in a network of its own.
    judged = as_user("nginx", NGINX_FOLDERS, "nginx -t -q", "net_bind_service")
    return f"{certificate} && {judged}"


def pool_line(pool: BuiltPool) -> str:
    """The shell line that lets PHP-FPM judge a pool."""
    command = (
        f"env PHP_INI_SCAN_DIR=:/etc/goldpress/php/{pool.name} php-fpm --test"
        f" --fpm-config /etc/goldpress/php/{pool.name}/fpm.conf"
    )
    folders = (pool.run, pool.state, *(f"{pool.state}/{n}" for n in ("sessions", "uploads", "tmp")))
    return as_user(pool.user, folders, command)


def check_programs(tree: Path, definition: Definition) -> None:
    """Raises BuildError with the program's own words when one would not start, or warns."""
    lines = {f"pool {pool.name}": pool_line(pool) for pool in plan_pools(definition)}
    if (tree / "usr/sbin/nginx").exists():
        lines["nginx"] = nginx_line()
    if (tree / "usr/sbin/visudo").exists():
        lines["sudo"] = "exec visudo --check --strict"
    inside = Confinement(root=tree, root_writable=False)
    for name, line in lines.items():
        try:
            done = inside.run(("sh", "-c", line), merge=True, what=f"check {name}")
        except CommandError as error:
            raise BuildError(f"{name} would not start: {error.message}", hint=HINT) from error
        if found := [line for line in done.text.splitlines() if COMPLAINTS.search(line)]:
            raise BuildError(f"{name} complains: {found[0].strip()}", hint=HINT)
