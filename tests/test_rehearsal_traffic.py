"""The load generator: it keeps connections open, and hides nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from web_targets import Web, webs

from goldpress.rehearsal import traffic as load
from goldpress.rehearsal.traffic import Load, Traffic


@pytest.fixture
def web() -> Iterator[Web]:
    with webs(1) as made:
        yield made[0]


def traffic(web: Web, **given: object) -> Traffic:
    values = {"connections": 3, "pause": 0.02, "timeout": 2.0, **given}
    return Traffic(url=f"http://{web.address}:{web.port}/page", **values)  # type: ignore[arg-type]


def flowed(wanted: Traffic, seconds: float = 0.5) -> load.Report:
    made = Load(traffic=wanted)
    made.start()
    time.sleep(seconds)
    return made.stop()


def test_good_answers_are_counted_and_timed(web: Web) -> None:
    report = flowed(traffic(web, slow=1, slow_path="/slow?0.2", body="/"), 0.8)
    assert (report.failures, report.reconnected) == ((), 0)
    assert report.requests == report.answered == len(web.seen) > 10
    assert report.slow == web.seen.count("/slow") > 1
    assert report.slow_latency["p50"] >= 0.2 > report.latency["p50"]
    assert report.latency["p50"] <= report.latency["p99"] <= report.latency["p100"]


def test_the_site_is_asked_by_its_name(web: Web) -> None:
    """A golden image's default server closes what is asked by any other."""
    flowed(traffic(web, host="app.example.com"), 0.1)
    assert web.hosts == {"app.example.com"}


def test_the_end_waits_for_what_is_open(web: Web) -> None:
    """A request that takes long is not given up, and counts."""
    report = flowed(traffic(web, connections=2, slow=2, slow_path="/slow?0.8"), 0.1)
    assert (report.slow, report.failures) == (2, ())
    assert report.seconds > 0.8


def test_every_other_status_is_a_failure(web: Web) -> None:
    web.status = 502
    report = flowed(traffic(web), 0.2)
    assert report.answered == 0
    assert len(report.failures) == report.requests == len(web.seen)
    body = f"{web.address} /page\n".encode()
    assert report.failures[0].error == f"status 502: {body!r}"


def test_half_an_answer_is_a_failure(web: Web) -> None:
    web.cut = True
    report = flowed(traffic(web, connections=1), 0.1)
    assert report.answered == 0
    assert {row.error.partition(":")[0] for row in report.failures} == {"IncompleteRead"}


def test_no_answer_in_time_is_a_failure(web: Web) -> None:
    web.hang = 1.0
    report = flowed(traffic(web, connections=1, timeout=0.3), 0.1)
    assert [row.error for row in report.failures] == ["TimeoutError: timed out"]


def test_nobody_there_is_a_failure(web: Web) -> None:
    web.end()
    began = time.time()
    report = flowed(traffic(web), 0.1)
    assert report.answered == 0
    assert report.after(began) == report.failures
    assert report.after(time.time()) == ()
    assert {row.error.partition(":")[0] for row in report.failures} == {"ConnectionRefusedError"}


def test_a_kept_connection_that_ends_without_an_answer_is_a_failure() -> None:
    """A browser would ask again, and nobody would know."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        report = flowed(Traffic(url=url, connections=1, pause=0.05, timeout=0.5), 0.08)
        thread.join(10)
        assert report.answered == 1
        (first, *_) = report.failures
        assert first.kept
        assert first.error.startswith("RemoteDisconnected")


def test_as_a_program_it_ends_with_1_when_something_failed(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{web.address}:{web.port}/"
    quick = ["--seconds", "0.2", "--connections", "2"]
    assert load.main([url, *quick]) == 0
    assert json.loads(capsys.readouterr().out)["failures"] == []
    web.status = 503
    assert load.main([url, *quick]) == 1
    assert json.loads(capsys.readouterr().out)["failures"][0]["error"].startswith("status 503")
