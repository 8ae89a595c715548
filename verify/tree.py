"""Owns looking at a tree: every fact the offline checks need, from the image's own programs.

The input's ``image_argv`` begins a command that runs confined in the image's root, with nothing
writable but /tmp and /run; ``host_argv`` one of the host's that may read the tree.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise import Pool, Promise
from sections import Facts, Section, parse, script
from watched import Watched


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a tree is and how to get in: see this module's docstring. `labels` is a JSON file."""

    tree: str
    labels: str
    image_argv: tuple[str, ...]
    host_argv: tuple[str, ...]


SECTIONS = {
    "files": r"find / -xdev -printf '%y %#m %U %G %s %p\n'",
    "capabilities": "getcap -r / 2>/dev/null; true",
    "sysctl": "systemd-analyze cat-config sysctl.d",
    "coredump": "systemd-analyze cat-config systemd/coredump.conf",
    "journald": "systemd-analyze cat-config systemd/journald.conf",
    "manager": "systemd-analyze cat-config systemd/system.conf",
    "limits": "cat /etc/security/limits.d/*.conf",
    "modprobe": "cat /etc/modprobe.d/*.conf",
    "fstab": "cat /etc/fstab",
    "sshd": (
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/key && mkdir -p /run/sshd && sshd -T -h /tmp/key"
    ),
    "audit-rules": "cat /etc/audit/audit.rules",
    "passwd": "cat /etc/passwd",
    "shadow": "cat /etc/shadow",
    "enabled": "systemctl list-unit-files --no-legend --plain --state=enabled",
    "masked": "systemctl list-unit-files --no-legend --plain --state=masked",
    "sudoers": "cat /etc/sudoers /etc/sudoers.d/*",
    "chrony": "cat /etc/chrony.conf",
    "crypto-policy": "cat /etc/crypto-policies/config && cat /etc/crypto-policies/state/current",
    "selinux-config": "cat /etc/selinux/config",
    "semanage": "cat /etc/selinux/semanage.conf",
    "secrets": (
        "grep --recursive --files-with-matches --binary-files=without-match --extended-regexp"
        " -e '-----BEGIN ([A-Z]+ )*PRIVATE KEY-----' -e '(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}'"
        " /etc /home /opt /root /srv /var /usr/lib/goldpress /usr/libexec/goldpress 2>/dev/null;"
        " [ $? -le 1 ]"
    ),
    # Verified are contents, modes and owners; times were clamped. Its status counts differences.
    "rpm": "rpm --verify --all --nomtime 2>&1; true",
}

#: nginx opens what its configuration names while it reads it, as the user that it runs as.
NGINX = (
    "mount -t tmpfs tmpfs /var/lib && mkdir -p /run/goldpress-nginx /run/goldpress-tls"
    " /var/lib/goldpress-nginx && openssl req -x509 -newkey ec -pkeyopt"
    " ec_paramgen_curve:prime256v1 -nodes -subj /CN=check -days 1 -keyout"
    " /run/goldpress-tls/key.pem -out /run/goldpress-tls/certificate.pem 2>/dev/null"
    " && chown -R nginx: /run/goldpress-nginx /run/goldpress-tls /var/lib/goldpress-nginx"
    " && setpriv --reuid=nginx --regid=nginx --clear-groups --inh-caps=+net_bind_service"
    " --ambient-caps=+net_bind_service -- nginx -T"
)

#: Who could do what to a pool, and it to others; and who sends the logs: all that the compiled
#: policy allows.
DOMAINS = "^gp_(logs|nginx|php_[a-z0-9]+)_t$"
POLICY = "$(ls {tree}/etc/selinux/targeted/policy/policy.*)"


def unit_text(unit: str) -> str:
    """The command that shows a unit file with its drop-ins, or that it is absent."""
    name = shlex.quote(unit)
    return (
        f"for d in /etc/systemd/system /usr/lib/systemd/system; do [ -f $d/{name} ] &&"
        f" cat $d/{name} && break; done && for f in /etc/systemd/system/{name}.d/*.conf;"
        ' do [ ! -f "$f" ] || cat "$f"; done'
    )


def of_units(units: Iterable[str]) -> dict[str, str]:
    """The text and the exposure of each unit."""
    found = {}
    for unit in units:
        found[f"unit-{unit}"] = unit_text(unit)
        found[f"exposure-{unit}"] = (
            f"systemd-analyze security --offline=true --no-pager {shlex.quote(unit)}"
        )
    return found


def of_pool(pool: Pool) -> dict[str, str]:
    """A pool's settings as PHP and PHP-FPM understand them."""
    home = f"/etc/goldpress/php/{pool.name}"
    places = f"{pool.run} {pool.state} {pool.state}/sessions {pool.state}/uploads {pool.state}/tmp"
    # As its user and with its folders: the caches have files of their own.
    begin = (
        f"test -d {home} && mount -t tmpfs tmpfs /var/lib && mkdir -p {places} &&"
        f" chown -R {pool.user}: {pool.run} {pool.state} && setpriv --reuid={pool.user}"
        f" --regid={pool.user} --clear-groups -- env PHP_INI_SCAN_DIR=:{home}"
    )
    # What it understood is a notice in its log.
    log = f"{pool.state}/told.log"
    told = (
        "sed -e 's/^log_level.*/log_level = notice/'"
        f" -e 's|^error_log.*|error_log = {log}|' {home}/fpm.conf >/tmp/fpm-{pool.name}.conf"
    )
    return {
        f"php-{pool.name}": f"{begin} php-fpm -i",
        f"fpm-{pool.name}": (
            f"{told} && {begin} php-fpm -tt --fpm-config /tmp/fpm-{pool.name}.conf 2>&1"
            f" && cat {log}"
        ),
    }


def of_policy(place: Place) -> dict[str, str]:
    """What the compiled policy says, asked on the host: of all our domains at once."""
    policy = POLICY.format(tree=shlex.quote(place.tree))
    return {
        "policy-booleans": f"seinfo {policy} --flat --bool -x",
        "policy-permissive": f"seinfo {policy} --flat --permissive",
        "policy-rules": f"sesearch {policy} --allow --source '{DOMAINS}' -rs",
        "policy-entry": (
            f"sesearch {policy} --allow --target '{DOMAINS}' -rt -c process -p transition"
        ),
    }


def in_private(command: str) -> str:
    """The command in a mount namespace of its own."""
    return f"unshare --mount --propagation private sh -c {shlex.quote(command)}"


def looked_up(path: str) -> dict[str, str]:
    """Path -> SELinux context, of every path of the image."""
    found: dict[str, str] = json.loads(Path(path).read_bytes())
    return found


def batches(promise: Promise, place: Place) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """What is run together: in the image, and on the host."""
    pooled = {n: in_private(c) for pool in promise.pools for n, c in of_pool(pool).items()}
    own = promise.parameters.get("os-service-sandbox", {}).get("domains", {})
    units = ("nginx.service", *own, *(pool.unit for pool in promise.pools))
    mounted = {"unit-var-log.mount": unit_text("var-log.mount")}
    inside = {**SECTIONS, **mounted, **of_units(units), "nginx": in_private(NGINX), **pooled}
    return [(place.image_argv, inside), (place.host_argv, of_policy(place))]


def collect(host: Any, promise: Promise, place: Place) -> Facts:
    """Look at the tree, from a testinfra host that is this one. Raises RuntimeError."""
    found: dict[str, Section] = {}
    for argv, wanted in batches(promise, place):
        mark = f"goldpress-{secrets.token_hex(8)}"
        done = host.run(f"{shlex.join(argv)} sh -c %s", script(wanted, mark))
        if done.rc != 0:
            raise RuntimeError(f"looking at the tree failed with {done.rc}: {done.stderr}")
        found.update(parse(done.stdout, wanted, mark))
    labels = Path(place.labels).read_text()
    found["labels"] = Section(status=0, text=labels)
    return Facts(sections=Watched(found))


def read_place(value: Mapping[str, Any]) -> Place:
    """The place as the input file gives it. Raises TypeError for other keys."""
    argv = {name: tuple(value[name]) for name in ("image_argv", "host_argv")}
    return Place(**{**value, **argv})
