from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

import pytest

from goldpress.errors import MachineError
from goldpress.host.run import run
from goldpress.machine import address

UUID = "11111111-2222-3333-4444-555555555555"


def listener(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host, port))
    opened.listen()
    return opened


def test_candidates_are_loopback_addresses_away_from_the_usual_ones() -> None:
    network = ipaddress.ip_network("127.64.0.0/10")
    found = [address.candidate(f"uuid-{i}", 0) for i in range(200)]
    assert all(ipaddress.ip_address(a) in network for a in found)
    assert len(set(found)) == 200
    assert address.candidate(UUID, 0) != address.candidate(UUID, 1)


def test_the_chosen_endpoint_can_be_listened_on() -> None:
    found = address.choose(UUID)
    assert found.address == address.candidate(UUID, 0)
    listener(found.address, found.ssh_port).close()
    listener(found.address, found.http_port).close()


def test_an_address_in_use_is_passed_over() -> None:
    with listener(address.candidate(UUID, 0), 0):
        assert address.choose(UUID).address == address.candidate(UUID, 1)


def test_high_ports_where_the_standard_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "can_bind", lambda _host, port: port > 1024)
    found = address.choose(UUID)
    assert (found.ssh_port, found.http_port) == (2222, 8080)


def test_no_free_address_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "can_bind", lambda _host, _port: False)
    with pytest.raises(MachineError, match=r"no loopback address is free .*\n.*`ss -lntp`"):
        address.choose(UUID)


def test_a_port_in_use_cannot_be_bound() -> None:
    with listener("127.77.0.1", 0) as opened:
        assert address.can_bind("127.77.0.1", opened.getsockname()[1]) is False
    assert address.can_bind("127.77.0.1", 0) is True


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(MachineError, match=re.escape("cannot listen on 192.0.2.1:2222:")):
        address.can_bind("192.0.2.1", 2222)


def test_only_listening_sockets_count() -> None:
    table = (
        "  sl  local_address rem_address   st ...\n"
        "   0: 0500017F:0016 00000000:0000 0A 0 0\n"
        "   1: 0600017F:0016 0600017F:9999 01 0 0\n"
    )
    assert address.listening(table) == {"127.1.0.5"}


def test_the_lock_is_exclusive_between_holders(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with address.allocation_lock(lock):
        probe = f"exec 9<'{lock}'; flock --nonblock 9"
        assert run(["sh", "-c", probe], check=False).returncode == 1
    assert run(["sh", "-c", probe], check=False).returncode == 0


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(MachineError, match=r"cannot lock .*/lock: .*\n.*remove what stands there"),
        address.allocation_lock(tmp_path / "lock"),
    ):
        pass
