"""Owns the way into a machine: its login key, its pinned host key, its ssh configuration."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from goldpress.errors import MachineError
from goldpress.host.run import Completed, run
from goldpress.machine.record import Machine

ALIAS = "machine"
KEYSCAN_SECONDS = 10
LOGIN_SECONDS = 30


def keygen_argv(path: Path, *, comment: str) -> list[str]:
    """The command that makes a login key without a pass phrase."""
    return ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]


def make_login_key(path: Path, *, comment: str) -> str:
    """Make a key pair at `path`; returns the public line."""
    run(keygen_argv(path, comment=comment), what=f"making the login key {path}")
    return path.with_name(f"{path.name}.pub").read_text().strip()


def configuration(machine: Machine) -> str:
    """The text of the machine's ssh configuration: pinned host key, one key, one connection."""
    rows = [
        f"Host {ALIAS}",
        f"  HostName {machine.address}",
        f"  Port {machine.ssh_port}",
        f"  User {machine.user}",
        f'  IdentityFile "{machine.key}"',
        "  IdentitiesOnly yes",
        "  IdentityAgent none",
        "  PreferredAuthentications publickey",
        "  BatchMode yes",
        "  StrictHostKeyChecking yes",
        "  HostKeyAlgorithms ssh-ed25519",
        f'  UserKnownHostsFile "{machine.known_hosts}"',
        "  GlobalKnownHostsFile none",
        "  CanonicalizeHostname no",
        "  UpdateHostKeys no",
        "  ControlMaster auto",
        f'  ControlPath "{machine.sockets}/ssh"',
        "  ControlPersist 300",
        "  ConnectTimeout 10",
        "  ServerAliveInterval 10",
        "  ServerAliveCountMax 6",
        "  LogLevel ERROR",
    ]
    return "\n".join(rows) + "\n"


def fingerprint(blob: str) -> str:
    """The fingerprint (``SHA256:...``) of a public key in base64. Raises MachineError."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except binascii.Error as error:
        raise MachineError(f"not a public key: {blob[:40]}") from error
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def keyscan_argv(machine: Machine) -> list[str]:
    """The command that asks the machine for its host key."""
    # fmt: off
    return [
        "ssh-keyscan", "-T", "5", "-t", "ed25519", "-p", str(machine.ssh_port), machine.address,
    ]
    # fmt: on


def offered_keys(text: str) -> list[str]:
    """The ed25519 keys (base64) in ssh-keyscan's output."""
    rows = [row.split() for row in text.splitlines() if row and not row.startswith("#")]
    return [row[2] for row in rows if row[1:2] == ["ssh-ed25519"] and len(row) >= 3]  # noqa: PLR2004


def known_hosts_name(machine: Machine) -> str:
    """How ssh looks this machine up in known_hosts."""
    if machine.ssh_port == 22:  # noqa: PLR2004
        return machine.address
    return f"[{machine.address}]:{machine.ssh_port}"


def pin(machine: Machine, expected: str) -> bool:
    """Write known_hosts if the machine offers the key that its console announced.

    Returns False while nothing answers. Raises MachineError when another key answers: then it is
    not the machine whose console was read.
    """
    scan = run(keyscan_argv(machine), check=False, timeout=KEYSCAN_SECONDS, what="ssh-keyscan")
    keys = offered_keys(scan.text)
    if not keys:
        return False
    for key in keys:
        found = fingerprint(key)
        if found != expected:
            raise MachineError(
                f"{machine.address}:{machine.ssh_port} answers with the host key {found}, "
                f"but the console announced {expected}",
                hint="what answers is not the machine that was started, or the image prints "
                f"another key than sshd uses; the console: {machine.console}",
            )
    machine.known_hosts.write_text(f"{known_hosts_name(machine)} ssh-ed25519 {keys[0]}\n")
    return True


def ssh_argv(machine: Machine, *command: str) -> list[str]:
    """The command line that runs `command` on the machine."""
    return ["ssh", "-F", str(machine.ssh_config), ALIAS, "--", *command]


def execute(
    machine: Machine, *command: str, timeout: float = LOGIN_SECONDS, check: bool = True
) -> Completed:
    """Run a command on the machine over ssh. Raises CommandError as `run` does."""
    return run(
        ssh_argv(machine, *command),
        timeout=timeout,
        check=check,
        what=f"`{' '.join(command)}` on {machine.address}",
    )


def close_master_argv(machine: Machine) -> list[str]:
    """The command that ends the shared connection."""
    return ["ssh", "-F", str(machine.ssh_config), "-O", "exit", ALIAS]
