from __future__ import annotations

import sys
from pathlib import Path

import pytest

from goldpress.host.run import run
from goldpress.machine import loghost

HEAD = (
    b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: application/vnd.fdo.journal\r\n"
    b"Transfer-Encoding: chunked\r\n"
)
ACCEPTED = "HTTP/1.1 202 Accepted"


def entry(number: int, message: bytes = b"MESSAGE=line\n") -> bytes:
    return b"__CURSOR=s=1;i=%d\n__REALTIME_TIMESTAMP=%d\n%s\n" % (number, number, message)


def binary(name: bytes, value: bytes) -> bytes:
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def post(*chunks: bytes, end: bytes = b"0\r\n\r\n", head: bytes = HEAD) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + b"\r\n" + body + end


def talk(journal: Path, sent: bytes) -> list[str]:
    """Send bytes over one connection to the program as QEMU starts it: the lines of its answer."""
    argv = [sys.executable, "-I", "-S", loghost.__file__, str(journal)]
    return run(argv, stdin=sent, timeout=20).stdout.decode().splitlines()


def statuses(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("HTTP/")]


def numbers(journal: Path) -> list[str]:
    return [found["__REALTIME_TIMESTAMP"] for found in loghost.entries(journal)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.export"


def test_entries_are_kept_and_acknowledged(journal: Path) -> None:
    said = talk(journal, post(entry(1) + entry(2)) + post(entry(3)))
    assert statuses(said) == [ACCEPTED, ACCEPTED]
    assert numbers(journal) == ["1", "2", "3"]
    assert journal.stat().st_mode & 0o777 == 0o600


def test_the_sender_is_told_to_go_on(journal: Path) -> None:
    said = talk(journal, post(entry(1), head=HEAD + b"Expect: 100-continue\r\n"))
    assert statuses(said) == ["HTTP/1.1 100 Continue", ACCEPTED]


def test_what_is_sent_again_is_there_once(journal: Path) -> None:
    talk(journal, post(entry(1) + entry(2)))
    talk(journal, post(entry(2) + entry(3)))
    assert journal.read_bytes().count(b"__CURSOR=s=1;i=2\n") == 2
    assert numbers(journal) == ["1", "2", "3"]


def test_values_of_any_bytes(journal: Path) -> None:
    message = binary(b"MESSAGE", b"two\n\nlines\xff=") + b"PRIORITY=6\n"
    talk(journal, post(entry(1, message) + entry(2)))
    first, second = loghost.entries(journal)
    assert first["MESSAGE"] == "two\n\nlines�="
    assert (first["PRIORITY"], second["MESSAGE"]) == ("6", "line")


def test_entries_in_any_portions(journal: Path) -> None:
    whole = entry(1, binary(b"MESSAGE", b"a\nb")) + entry(2)
    assert statuses(talk(journal, post(*(whole[i : i + 1] for i in range(len(whole)))))) == [
        ACCEPTED
    ]
    assert numbers(journal) == ["1", "2"]


def test_what_came_until_the_machine_was_killed_is_kept(journal: Path) -> None:
    assert talk(journal, post(entry(1) + entry(2)[:9], end=b"ff\r\n__CUR")) == []
    assert numbers(journal) == ["1"]


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (
            post(entry(1)).replace(b"/upload", b"/other"),
            "404 Not Found",
            "Not Found",
        ),
        (
            post(entry(1)).replace(b"application/vnd.fdo.journal", b"text/plain"),
            "404 Not Found",
            "Not Found",
        ),
        (
            post(entry(1)).replace(b"Transfer-Encoding: chunked", b"Content-Length: 9"),
            "411 Length Required",
            "Length Required",
        ),
        (post(entry(1)[:-1]), "400 Bad Request", "the last entry has no end"),
        (
            post(binary(b"MESSAGE", b"abc")[:-1] + b"x\n"),
            "400 Bad Request",
            "a field is not as long as it says",
        ),
        (post(end=b"5\r\n1234567\r\n"), "400 Bad Request", "a chunk is not as long as it says"),
        (post(end=b"7fffffff\r\n"), "400 Bad Request", "a chunk is too long"),
    ],
)
def test_another_form_is_refused(journal: Path, sent: bytes, status: str, said: str) -> None:
    lines = talk(journal, sent + post(entry(9)))
    assert statuses(lines) == [f"HTTP/1.1 {status}"]
    assert lines[-1] == said
    assert "9" not in numbers(journal)


def test_an_entry_without_end_is_no_memory_for_ever() -> None:
    entries = loghost.Entries()
    half = b"a" * (loghost.MAX_ENTRY_BYTES // 2 + 1)
    assert entries.whole(half) == b""
    with pytest.raises(ValueError, match="an entry is too long"):
        entries.whole(half)


def test_who_sent_nothing_has_no_entries(journal: Path) -> None:
    assert list(loghost.entries(journal)) == []


def test_a_file_of_another_form_is_an_error(journal: Path) -> None:
    journal.write_bytes(entry(1) + b"MESSAGE=half\n")
    with pytest.raises(ValueError, match=r"journal\.export: its last entry has no end"):
        list(loghost.entries(journal))
