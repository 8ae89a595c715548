"""Logs leave the machine: to its last lines, by TLS, and without holding anything up."""

from __future__ import annotations

import http.client
import json
import shlex
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from pressing import PROJECT, booted_directly, sandbox_press

from goldpress.host.confine import Confinement
from goldpress.host.run import Completed, run
from goldpress.machine import loghost, power, process, ssh
from goldpress.machine.record import Machine
from goldpress.press import Pressed

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

UNITS = PROJECT / "images/web/files/usr/lib/systemd/system"
POOLS = ("goldpress-php-app.service", "goldpress-php-status.service")
#: nginx and the pools end in seconds when nobody is served; then come the bounds of the two units.
OFF_SECONDS = 150


@pytest.fixture(scope="module")
def pressed() -> Pressed:
    return sandbox_press().press()


class Visitor(threading.Thread):
    """Asks for one page after another until the machine does not answer; each has its number."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(daemon=True)
        self.machine = machine
        self.answered: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            connection = http.client.HTTPConnection(
                self.machine.address, self.machine.http_port, timeout=30
            )
            try:
                # One request a connection: the last answer is that of the last one taken.
                headers = {"Host": "app.example.com", "Connection": "close"}
                connection.request("GET", f"/visit/{number}", headers=headers)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
            self.answered.append(f"/visit/{number}")
            time.sleep(0.1)


def shown(machine: Machine, unit: str, *names: str) -> dict[str, str]:
    words = ("systemctl", "show", f"--property={','.join(names)}", unit)
    rows = ssh.execute(machine, *words, timeout=60).text.splitlines()
    return dict(row.split("=", 1) for row in rows)


def test_the_last_lines_of_a_machine_that_ends_have_arrived(
    pressed: Pressed, tmp_path: Path
) -> None:
    directory = tmp_path / "machine"
    with booted_directly(pressed, directory, user_data=loghost.USER_DATA) as machine:
        visitor = Visitor(machine)
        visitor.start()
        deadline = time.monotonic() + 120
        while len(visitor.answered) < 20 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert visitor.is_alive()
        ended = power.power_off(machine, timeout=OFF_SECONDS)
        visitor.over.set()
        visitor.join(timeout=60)
    assert ended, "the machine does not follow its power button"
    assert len(visitor.answered) >= 20
    entries = list(loghost.entries(machine.journal))
    found = [
        json.loads(entry["MESSAGE"])["path"]
        for entry in entries
        if entry.get("SYSLOG_IDENTIFIER") == "nginx" and entry["MESSAGE"].startswith("{")
    ]
    # Every answer's line, to the last one: it was given while the machine was shutting down.
    assert [path for path in visitor.answered if path not in found] == []
    stopped = {
        entry.get("UNIT", ""): number
        for number, entry in enumerate(entries)
        if entry.get("JOB_TYPE") == "stop" and entry.get("JOB_RESULT") == "done"
    }
    assert {"nginx.service", *POOLS, "goldpress-logs.service"} <= stopped.keys()
    assert stopped["nginx.service"] < stopped["goldpress-logs.service"]
    assert "NetworkManager.service" not in stopped
    # From its first line on, and of one machine.
    assert entries[0]["_TRANSPORT"] in {"kernel", "driver"}
    identities = {entry["_MACHINE_ID"] for entry in entries if "_MACHINE_ID" in entry}
    assert identities == {machine.uuid.replace("-", "")}
    denied = [e["MESSAGE"] for e in entries if "avc:  denied" in e.get("MESSAGE", "")]
    assert denied == []


def test_without_a_log_host_nothing_is_sent_and_an_absent_one_holds_up_nobody(
    pressed: Pressed, tmp_path: Path
) -> None:
    with booted_directly(pressed, tmp_path / "machine") as machine:
        for unit in ("goldpress-logs.service", "goldpress-logs-last.service"):
            state = shown(machine, unit, "ActiveState", "ConditionResult", "Result")
            assert state == {
                "ActiveState": "inactive",
                "ConditionResult": "no",
                "Result": "success",
            }
        assert not machine.journal.exists()
        # What is sent there comes back by the loopback, is nobody's, and is dropped without a word.
        settings = "LOG_URL=http://169.254.0.99:80\\nLOG_TRUST=/dev/null\\n"
        start = (
            "ip route add 169.254.0.99/32 dev lo &&"
            f" printf {shlex.quote(settings)} >/run/goldpress/logs.env &&"
            " systemctl start goldpress-logs.service && systemctl is-system-running"
        )
        done = ssh.execute(machine, f"sudo -n sh -c {shlex.quote(start)}", timeout=120)
        assert done.text.strip() == "running"
        assert shown(machine, "nginx.service", "ActiveState") == {"ActiveState": "active"}
        time.sleep(5)
        seconds = power.shut_down(machine, timeout=OFF_SECONDS)
        assert not process.is_running(machine.process)
    # It did wait for the log host, as long as its two units are let, and no longer.
    assert 40 < seconds < OFF_SECONDS
    assert not machine.journal.exists()


# ---- by TLS: the image's own sender, with its unit's words, and no machine ----

ENTRIES = "".join(
    f"__REALTIME_TIMESTAMP={1700000000000000 + number}\n__MONOTONIC_TIMESTAMP={number}\n"
    f"_BOOT_ID={'ab' * 16}\nMESSAGE=line {number}\n\n"
    for number in range(1, 4)
)
SERVER = """
import socketserver, ssl, sys
from pathlib import Path
sys.path.insert(0, "/work/code")
import loghost
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        loghost.serve(Path("/work/own/journal.export"), self.rfile, self.wfile)
class Server(socketserver.TCPServer):
    def get_request(self):
        connection, address = super().get_request()
        return context.wrap_socket(connection, server_side=True), address
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/work/own/certificate.pem", "/work/own/key.pem")
Server.allow_reuse_address = True
with Server(("127.0.0.1", 443), Handler) as server:
    Path("/work/own/listens").touch()
    server.serve_forever()
"""


def sender(settings: Mapping[str, str], *, tree: str) -> str:
    """What goldpress-logs-last runs when it stops, with a tree's own libraries."""
    text = (UNITS / "goldpress-logs-last.service").read_text()
    (command,) = [row for row in text.splitlines() if row.startswith("ExecStop=/usr/lib/systemd")]
    words = command.removeprefix("ExecStop=")
    for name, value in settings.items():
        words = words.replace(f"${{{name}}}", value)
    words = words.replace("/var/lib/goldpress-logs", "/work/own")
    libraries = ":".join(f"{tree}/usr/lib/x86_64-linux-gnu{at}" for at in ("", "/systemd"))
    loader = f"{tree}/usr/lib64/ld-linux-x86-64.so.2 --library-path {libraries}"
    made = f"{loader} {tree}/usr/lib/systemd/systemd-journal-remote -o /work/own/a.journal -"
    return f"{made} </work/own/entries && {loader} {tree}{words} --file=/work/own/a.journal"


@pytest.fixture(scope="module")
def tree() -> Path:
    return sandbox_press().packages().directory / "tree"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a log host's certificate, which is its own authority, and entries to send."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "entries").write_text(ENTRIES)
    (folder / "server.py").write_text(SERVER)
    run((
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", folder / "key.pem", "-out", folder / "certificate.pem",
    ))  # fmt: skip
    return folder


def sent(tree: Path, own: Path, *, url: str, trust: str) -> Completed:
    """Let the image's program send the entries to a log host on the same machine."""
    code = own.parent / "code"
    code.mkdir()
    (code / "loghost.py").write_bytes(Path(loghost.__file__).read_bytes())
    inside = Confinement(readable={"/tree": tree, "/work/code": code}, writable={"/work/own": own})
    script = (
        "ip link set lo up 2>/dev/null; python3 /work/own/server.py & server=$!;"
        " for _ in $(seq 100); do [ -e /work/own/listens ] && break; sleep 0.1; done;"
        f" {sender({'LOG_URL': url, 'LOG_TRUST': trust}, tree='/tree')};"
        " status=$?; kill $server; exit $status"
    )
    return inside.run(("sh", "-c", script), check=False, merge=True, timeout=120)


def test_a_log_host_with_a_certificate_that_is_trusted_gets_it_all(tree: Path, own: Path) -> None:
    done = sent(tree, own, url="https://localhost:443", trust="/work/own/certificate.pem")
    assert done.returncode == 0, done.text
    found = [entry["MESSAGE"] for entry in loghost.entries(own / "journal.export")]
    assert found == ["line 1", "line 2", "line 3"]
    assert "LAST_CURSOR=" in (own / "state").read_text()


@pytest.mark.parametrize(
    ("url", "trust"),
    [
        # Not of an authority of the system's; not of the name that was asked for.
        ("https://localhost:443", "/tree/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
        ("https://127.0.0.1:443", "/work/own/certificate.pem"),
    ],
)
def test_a_log_host_that_nobody_vouches_for_gets_nothing(
    tree: Path, own: Path, url: str, trust: str
) -> None:
    done = sent(tree, own, url=url, trust=trust)
    assert done.returncode == 1, done.text
    assert "SSL" in done.text
    assert not (own / "journal.export").exists()
    assert not (own / "state").exists()
