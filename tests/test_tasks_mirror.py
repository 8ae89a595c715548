"""The mirror's tasks as a person runs them: exit status, result, progress, what failures say."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import upstream
from clients import dnf
from emulated import ENVIRONMENT, Emulator
from mirrored import Mirrored, with_tasks
from rpms import Rpms, make_rpm
from upstream import Request

from goldpress.digest import sha256_file
from goldpress.host.run import Completed

END_SECONDS = 30


@pytest.fixture
def project(mirrored: Mirrored) -> Mirrored:
    return with_tasks(mirrored)


@pytest.fixture
def locked(project: Mirrored) -> Mirrored:
    """Synced, locked and committed."""
    project.sync()
    project.lock()
    project.commit()
    return project


@pytest.fixture
def newer(tmp_path: Path, rpms: Rpms) -> Path:
    made = make_rpm(tmp_path / "newer", "needed", version="1.6")
    rpms.key.sign(made)
    return made


def result(done: Completed) -> Any:
    """The JSON on stdout of a task that succeeded."""
    assert done.returncode == 0, said(done)
    return json.loads(done.text)


def said(done: Completed) -> str:
    return done.stderr.decode()


def refused(done: Completed) -> str:
    """What a task that failed said; stdout has no half of a result."""
    assert (done.returncode, done.text) == (1, "")
    text = said(done)
    assert "Traceback" not in text
    return text[text.rindex("error: ") :]


def test_every_task_is_listed_with_what_it_does(project: Mirrored) -> None:
    done = project.inv("--list")
    assert done.returncode == 0
    shown = re.findall(r"^  (mirror\.[a-z-]+|lock) +\w", done.text, re.MULTILINE)
    tasks = ["diff", "forget-image", "gc", "serve", "snapshots", "sync", "view"]
    assert shown == ["lock", *(f"mirror.{name}" for name in tasks)]


# ---- sync and lock ----


def test_a_sync_prints_what_it_took_and_a_lock_what_it_wrote(project: Mirrored) -> None:
    done = project.inv("mirror.sync")
    (row,) = result(done)
    assert (row["distribution"], row["arch"], row["packages"]) == ("test-9", "x86_64", 2)
    assert row["new"] is True
    assert re.search(r"^    ok  snapshots  [0-9.]+ s  1, 1 of them new$", said(done), re.MULTILINE)
    assert "images/app/locks/test-9.x86_64.json is not there yet: `./inv lock`" in said(done)
    made = result(project.inv("lock", "--image=app"))
    assert made["packages"] == 2
    assert Path(made["lock"]) == project.lock_path()
    assert result(project.inv("lock", "--image=app", "--check")) == made
    assert result(project.inv("mirror.sync"))[0] == {**row, "new": False}


def test_only_and_newest(project: Mirrored, rpms: Rpms) -> None:
    project.distribution("other-9", "others", key=rpms.other_key)
    project.offer("others", rpms.other)
    rows = result(project.inv("mirror.sync", "--only=other-9, test-9", "--newest"))
    assert [row["distribution"] for row in rows] == ["test-9", "other-9"]
    assert project.pool == {sha256_file(p) for p in (rpms.good, rpms.needed, rpms.other)}


def test_a_distribution_that_is_not_there_is_told(project: Mirrored) -> None:
    assert refused(project.inv("mirror.sync", "--only=tset-9")) == (
        "error: unknown distribution 'tset-9'; nearest: test-9\n  `rpm-mirror/` describes: test-9\n"
    )


def test_an_image_that_is_not_there_is_told(project: Mirrored) -> None:
    assert "images/nowhere" in refused(project.inv("mirror.sync", "--image=nowhere"))


def test_a_mirror_that_is_not_there_is_told(project: Mirrored) -> None:
    shutil.rmtree(project.upstream("base"))
    text = refused(project.inv("mirror.sync"))
    assert "upstream/base/repodata/repomd.xml: No such file or directory" in text
    assert text.endswith("  check the address in `rpm-mirror/` and the network, then try again\n")


def test_older_metadata_needs_accept(project: Mirrored) -> None:
    result(project.inv("mirror.sync"))
    kept = project.top / "kept"
    shutil.move(project.upstream("base"), kept)
    (repomd,) = kept.rglob("repomd.xml")
    repomd.write_text(re.sub(r"<timestamp>\d+", "<timestamp>1000000000", repomd.read_text()))
    shutil.move(kept, project.upstream("base"))
    text = refused(project.inv("mirror.sync"))
    assert text.startswith("error: base: its metadata is of 2001-09-09 01:46, older than that of")
    assert "say `--accept`" in text
    done = project.inv("mirror.sync", "--accept")
    assert result(done)[0]["new"] is True
    assert "!!  base: its metadata is " in said(done)


def test_a_refused_package_is_told_and_the_good_ones_are_there(
    project: Mirrored, rpms: Rpms
) -> None:
    project.offer("base", rpms.good, rpms.needed, rpms.unsigned)
    text = refused(project.inv("mirror.sync", "--full"))
    assert text == (
        "error: unsigned-0:1.0-1.el9.noarch: not signed; expected a signature by "
        f"{rpms.key.fingerprint}\n  the repository offers what its distributor did not sign: "
        "do not build from it\n"
    )
    assert project.pool == {sha256_file(p) for p in (rpms.good, rpms.needed)}


def test_a_lock_that_is_not_current_is_told(locked: Mirrored) -> None:
    locked.image("needed")
    assert refused(locked.inv("lock", "--image=app", "--check")) == (
        "error: app/locks/test-9.x86_64.json: image.yaml or rpm-mirror/overrides.yaml changed "
        "since it was made: packages: + needed, - good\n  run `./inv lock` and commit the result\n"
    )


def test_a_lock_before_any_sync_is_told(project: Mirrored) -> None:
    assert refused(project.inv("lock", "--image=app")) == (
        "error: no snapshot of test-9 for x86_64 yet\n  run `./inv mirror.sync`\n"
    )


@pytest.mark.metadata
def test_a_sync_of_real_repositories_with_nothing_new_takes_a_second(
    project: Mirrored, real_metadata: Path
) -> None:
    """18,774 packages, and their errata's as many; user and system time, whatever else runs."""
    stream = {"baseos": "BaseOS-2022-02-07", "appstream": "AppStream-2025-01-13"}
    places = {id_: (real_metadata / name).as_uri() for id_, name in stream.items()}
    project.distribution("test-9", *places, places=places)
    project.distribution("alma-9", *places, places=places, more="errata_for: test-9")
    rows = result(project.inv("mirror.sync"))
    assert [row["packages"] for row in rows] == [18774, 18774]
    before = os.times()
    again = result(project.inv("mirror.sync"))
    after = os.times()
    assert [row["new"] for row in again] == [False, False]
    used = after.children_user + after.children_system
    assert used - before.children_user - before.children_system < 2.0


# ---- differences ----


@pytest.fixture
def moved(locked: Mirrored, rpms: Rpms, newer: Path) -> Mirrored:
    """Upstream has a later `needed`, and the lock too."""
    locked.offer("base", rpms.good, newer)
    locked.sync()
    locked.lock()
    return locked


def test_a_difference_of_locks_in_each_form(moved: Mirrored) -> None:
    table = moved.inv("lock", "--image=app", "--diff")
    assert table.returncode == 0
    assert re.search(r"│ *needed +│ up +│ 1\.5-1\.el9 → 1\.6-1\.el9 │", table.text)
    assert "\x1b" not in table.text
    markdown = moved.inv("lock", "--image=app", "--diff", "--form=markdown").text
    assert re.search(r"^\| `needed` .*1\.6-1\.el9", markdown, re.MULTILINE)
    document = result(moved.inv("lock", "--image=app", "--diff", "--since=HEAD", "--form=json"))
    assert [row["source"] for row in document["sources"]] == ["needed"]
    assert said(table) == ""


def test_a_difference_of_snapshots_in_each_form(moved: Mirrored) -> None:
    for form in ("table", "markdown"):
        done = moved.inv("mirror.diff", "test-9~1", "test-9", f"--form={form}")
        assert done.returncode == 0
        assert "1.6-1.el9" in done.text
    document = result(moved.inv("mirror.diff", "test-9~1", "test-9", "--form=json"))
    assert [row["source"] for row in document["sources"]] == ["needed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lock", "--diff", "--form=xml"), "--form=xml: expected table, markdown or json"),
        (("mirror.diff", "a", "b", "--form=x"), "--form=x: expected table, markdown or json"),
        (("lock", "--check", "--diff"), "--check tells whether a lock is current; --diff is"),
        (("lock", "--since=HEAD"), "--since and --form belong to --diff: `./inv lock --diff"),
        (("lock", "--form=json"), "--since and --form belong to --diff: `./inv lock --diff"),
        (("lock", "--diff", "--since=nowhere"), "git knows no commit 'nowhere'"),
        (("mirror.diff", "test-9", "test-8"), "no snapshot is called 'test-8'"),
        (("mirror.diff", "test-9~7", "test-9"), "test-9.x86_64~7: there are only 1 snapshots"),
    ],
)
def test_what_cannot_be_compared_is_told(
    locked: Mirrored, words: tuple[str, ...], message: str
) -> None:
    more = ("--image=app",) if words[0] == "lock" else ()
    assert refused(locked.inv(*words, *more)).startswith(f"error: {message}")


# ---- what the store remembers ----


def test_snapshots_are_listed_also_one_that_is_gone(moved: Mirrored) -> None:
    first, second = result(moved.inv("mirror.snapshots"))
    assert first["name"] == second["name"] == "test-9.x86_64"
    assert first["packages"] == second["packages"] == {"base": 2}
    assert re.fullmatch(r"20[0-9-]{8}T[0-9:]{8}Z", first["at"])
    moved.ws.store.document_path("snapshot", first["snapshot"]).unlink()
    assert [row["packages"] for row in result(moved.inv("mirror.snapshots"))] == [None, {"base": 2}]


def test_an_empty_store_has_no_snapshots(project: Mirrored) -> None:
    assert result(project.inv("mirror.snapshots")) == []


# ---- views ----


def test_dnf_installs_with_the_printed_repository_file(locked: Mirrored, tmp_path: Path) -> None:
    done = locked.inv("mirror.view", "test-9")
    assert done.returncode == 0
    assert re.search(r"ok  view of test-9 \w+  .* packages: base 2 of 2$", said(done), re.MULTILINE)
    assert "gpgcheck=1\n" in done.text
    client = dnf(tmp_path / "client", done.text, "install", "good")
    assert client.returncode == 0, client.text
    assert (tmp_path / "client/usr/share/needed").read_text() == "needed 1.5\n"


def test_dnf_installs_from_a_running_task_until_it_is_interrupted(
    locked: Mirrored, tmp_path: Path
) -> None:
    with locked.running("mirror.serve", "test-9", "--port=0") as process:
        lines = lines_until(process.stdout, "repo_gpgcheck=0\n")
        client = dnf(tmp_path / "client", "".join(lines), "install", "good")
        assert client.returncode == 0, client.text
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=END_SECONDS)
    assert (process.returncode, out) == (0, "")
    assert re.search(r"^serving at http://127\.0\.0\.1:\d+; Ctrl-C ends it$", errors, re.MULTILINE)
    assert errors.endswith("ended\n")


def lines_until(stream: Any, last: str) -> list[str]:
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if line == last:
            return lines
    raise AssertionError(f"ended without {last!r}: {lines}")


def test_a_view_for_another_address(locked: Mirrored) -> None:
    done = locked.inv("mirror.view", "test-9", "--base=https://mirror.example.com/el9/")
    assert "\nbaseurl=https://mirror.example.com/el9/views/" in done.text


def test_a_port_that_is_taken_is_told(locked: Mirrored, tmp_path: Path) -> None:
    with upstream.serving(tmp_path) as other:
        text = refused(locked.inv("mirror.serve", "test-9", f"--port={other.port}"))
    assert text == (
        f"error: cannot serve at 127.0.0.1:{other.port}: Address already in use\n"
        "  choose another: --address=..., --port=... (0: any free one)\n"
    )


def test_a_view_of_nothing_is_told(project: Mirrored) -> None:
    for task in ("mirror.view", "mirror.serve"):
        assert refused(project.inv(task, "test-9")) == (
            "error: no snapshot is called 'test-9'\n  run `./inv mirror.sync`\n"
        )


# ---- gc ----


def test_gc_says_what_it_would_do_and_does_it_when_told(moved: Mirrored, rpms: Rpms) -> None:
    moved.commit()
    dry = moved.inv("mirror.gc", "--newest=1")
    told = result(dry)
    assert "nothing was changed: --delete marks, and deletes what is due" in said(dry)
    assert (told["snapshots"], told["images"]) == (1, 0)
    assert told["to_mark"]["files"] > 0
    assert result(moved.inv("mirror.gc", "--newest=1", "--delete")) == told
    after = result(moved.inv("mirror.gc", "--newest=1"))
    assert (after["waiting"], after["due"]["files"]) == (told["to_mark"], 0)
    assert sha256_file(rpms.needed) in moved.pool


def test_gc_refuses_what_it_cannot_see(moved: Mirrored) -> None:
    moved.checkout.git("remote", "add", "away", str(moved.top / "nowhere"))
    text = refused(moved.inv("mirror.gc", "--delete"))
    assert text.startswith("error: away: its branches cannot be read: ")
    assert "git remote remove away" in text
    moved.checkout.git("remote", "remove", "away")
    text = refused(moved.inv("mirror.gc", "--delete", "--grace-days=0"))
    assert text.startswith("error: gc: a grace period of 0:00:00 and 10 snapshots")


def test_an_image_is_forgotten(project: Mirrored) -> None:
    digest = f"sha256:{'a' * 64}"
    project.ws.store.enter("image", "app.test-9.x86_64", digest)
    assert refused(project.inv("mirror.forget-image", "b" * 8)) == (
        "error: no image begins with bbbbbbbb\n  there are: aaaaaaaaaaaa\n"
    )
    done = project.inv("mirror.forget-image", "a" * 8)
    assert result(done) == {"forgotten": ["app.test-9.x86_64"]}
    assert project.ws.store.names("image") == ()


# ---- a shared store ----


def test_two_machines_share_a_store(project: Mirrored, emulator: Emulator) -> None:
    url = emulator.objects().name
    environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": emulator.url, "GOLDPRESS_STORE": url}
    here = replace(project, store_url=url, environment=environment)
    result(here.inv("mirror.sync"))
    result(here.inv("lock", "--image=app"))
    shutil.rmtree(project.build)
    shutil.rmtree(project.upstream("base") / "Packages")
    (row,) = result(here.inv("mirror.sync"))
    assert row["new"] is False
    assert refused(here.inv("mirror.view", "test-9")).startswith(
        f"error: where machines reach {url} over http is not known\n  say it: --base="
    )
    done = here.inv("mirror.view", "test-9", "--base=https://mirror.example.com")
    assert "packages: base 2 of 2" in said(done)


# ---- interruption ----


@contextmanager
def hanging(project: Mirrored) -> Iterator[threading.Event]:
    """Upstream begins to answer and goes no further; the event tells that it was asked."""
    asked, end = threading.Event(), threading.Event()

    def hang(request: Request) -> None:
        request.head(200, {"Content-Length": "1000"})
        request.send(b"<")
        asked.set()
        end.wait(END_SECONDS)
        request.end()

    with upstream.serving(project.upstream("base").parent) as server:
        project.distribution("test-9", "base", places={"base": f"{server.url}base/"})
        server.on("*repomd.xml", hang)
        try:
            yield asked
        finally:
            end.set()


def test_an_interruption_ends_a_sync_at_once(project: Mirrored) -> None:
    with hanging(project) as asked, project.running("mirror.sync") as process:
        assert asked.wait(END_SECONDS)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=END_SECONDS / 2)
    assert (process.returncode, out) == (130, "")
    assert errors.endswith("interrupted: nothing half-made is kept; run it again to go on\n")
    assert "Traceback" not in errors
