"""Owns a service as the benchmark starts it, and a unit of the image turned into one.

Of its unit a service gets what systemd would make and set before it starts: folders, user,
capabilities, limits, environment. It does not get the unit's sandbox and SELinux domain, which
are the kernel's and take no memory of a process.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from goldpress.errors import DocumentError

#: Where the image's tree is seen.
IMAGE = "/image"
#: What of a unit would have to be there, and is not.
BEYOND = ("LoadCredential", "SetCredential", "DynamicUser", "RootDirectory", "RootImage")

Unit = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that stays, or with `once` one that has to end well before the next starts.

    `processes` is how many it has when it is fully there.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    once: bool = False


def parse_unit(text: str) -> dict[str, list[str]]:
    """Key -> values in the section [Service]; an empty value drops those before it."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line.strip()
        elif section == "[Service]" and line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found[key.strip()] = [*found.get(key.strip(), []), value.strip()] if value else []
    return found


def plan_unit(name: str, text: str, *, processes: int = 1) -> Service:
    """A unit's service, inside the image's root. Raises DocumentError for what cannot be had."""
    unit = parse_unit(text)
    for key in BEYOND:
        if unit.get(key):
            raise DocumentError(
                f"the unit of {name} has {key}={unit[key][-1]}, which the benchmark has not",
                hint="measure an image whose pools start without it",
            )
    line = unit_line(unit)
    return Service(
        name=name,
        argv=("unshare", "--mount", "chroot", IMAGE, "/bin/sh", "-e", "-c", line),
        processes=processes,
        once=_last(unit, "Type", "simple") == "oneshot",
    )


def unit_line(unit: Unit) -> str:
    """The shell line, run by root with a mount namespace of its own, that becomes the service."""
    user, group = _last(unit, "User", "root"), _last(unit, "Group", "root")
    # As in the image: what is below /var is not in its tree, and is the service's own.
    steps = ["mount -t tmpfs tmpfs /var/lib"]
    for base, key in (("/run", "RuntimeDirectory"), ("/var/lib", "StateDirectory")):
        mode = _last(unit, f"{key}Mode", "0755")
        steps += [
            f"install -d -o {user} -g {group} -m {mode} {shlex.quote(f'{base}/{folder}')}"
            for folder in _words(unit, key)
        ]
    steps.append(f"umask {_last(unit, 'UMask', '0022')}")
    if "LimitNOFILE" in unit:
        steps.append(f"ulimit -n {_last(unit, 'LimitNOFILE', '')}")
    for given in unit.get("EnvironmentFile", ()):
        path = shlex.quote(given.removeprefix("-"))
        there = f"! [ -e {path} ] || " if given.startswith("-") else ""
        steps.append(f"set -a; {there}. {path}; set +a")
    ambient = [name.removeprefix("CAP_").lower() for name in _words(unit, "AmbientCapabilities")]
    capabilities = ",".join(f"+{name}" for name in ambient)
    keep = f" --inh-caps={capabilities} --ambient-caps={capabilities}" if ambient else ""
    if _last(unit, "NoNewPrivileges", "no") == "yes":
        keep += " --no-new-privs"
    env = "".join(f"{shlex.quote(word)} " for word in _words(unit, "Environment"))
    command = shlex.join(_words(unit, "ExecStart"))
    if _last(unit, "StandardError", "") == "null":
        command += " 2>/dev/null"
    steps.append(
        f"exec env {env}setpriv --reuid={user} --regid={group} --clear-groups{keep} -- {command}"
    )
    return " && ".join(steps)


def _last(unit: Unit, key: str, default: str) -> str:
    return unit[key][-1] if unit.get(key) else default


def _words(unit: Unit, key: str) -> list[str]:
    return [word for value in unit.get(key, ()) for word in shlex.split(value)]
