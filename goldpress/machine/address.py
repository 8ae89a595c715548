"""Owns loopback addresses: each local machine gets one of its own, as it would in a network."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from goldpress.digest import sha256_bytes
from goldpress.errors import MachineError

ATTEMPTS = 64
FIRST_OCTET = 64  # 127.64.0.0/10: away from 127.0.0.x and 127.1.x.y, which others like to use
OCTETS = 64


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address of this host and the ports there that lead to a machine's 22 and 80."""

    address: str
    ssh_port: int
    http_port: int


@contextmanager
def allocation_lock(path: Path | None = None) -> Iterator[None]:
    """Held from the choice of an address until QEMU listens on it, so that no two choose one.

    Raises MachineError when the lock file cannot be opened.
    """
    if path is None:
        path = Path(tempfile.gettempdir()) / f"goldpress-addresses-{os.getuid()}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MachineError(
            f"cannot lock {path}: {error.strerror}", hint="remove what stands there, then try again"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def candidate(uuid: str, attempt: int) -> str:
    """A loopback address from 127.64.0.0/10 that follows from a machine's uuid."""
    raw = bytes.fromhex(sha256_bytes(f"{uuid} {attempt}".encode()))
    return f"127.{FIRST_OCTET + raw[0] % OCTETS}.{raw[1]}.{1 + raw[2] % 254}"


def listening(table: str) -> set[str]:
    """The IPv4 addresses with a listening socket, read from the text of /proc/net/tcp."""
    found: set[str] = set()
    for row in table.splitlines()[1:]:
        fields = row.split()
        if fields[3] == "0A":
            raw = bytes.fromhex(fields[1].partition(":")[0])
            found.add(socket.inet_ntoa(raw[::-1]))
    return found


def can_bind(address: str, port: int) -> bool:
    """True when this user may listen there now. Raises MachineError on an unexpected refusal."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EADDRINUSE}:
                return False
            raise MachineError(f"cannot listen on {address}:{port}: {error.strerror}") from error
    return True


def choose(uuid: str, tcp_table: Path = Path("/proc/net/tcp")) -> Endpoint:
    """An address nobody listens on; the standard ports where this user may bind them.

    Call it under `allocation_lock`. Raises MachineError when no address is free.
    """
    taken = listening(tcp_table.read_text())
    for attempt in range(ATTEMPTS):
        address = candidate(uuid, attempt)
        if address in taken:
            continue
        ssh = next((port for port in (22, 2222) if can_bind(address, port)), None)
        http = next((port for port in (80, 8080) if can_bind(address, port)), None)
        if ssh is not None and http is not None:
            return Endpoint(address=address, ssh_port=ssh, http_port=http)
    raise MachineError(
        f"no loopback address is free for a machine ({ATTEMPTS} tried)",
        hint="something listens on every address on ports 22, 2222, 80 or 8080: "
        "`ss -lntp` names it; halt machines that are no longer needed",
    )
