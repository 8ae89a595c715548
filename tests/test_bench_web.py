"""The web benchmark's plans and figures; a run of it is `./inv bench.web`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pressing import PROJECT

sys.path.append(str(PROJECT / "tests" / "bench"))

import web
import web_apache
import web_cases
import web_child
import web_database
import web_debian
import web_image
import web_inside
import web_load
import web_memory
import web_result
import web_service
import web_table
from web_cases import Case, Name
from web_load import Answers
from web_memory import Peaks, Sample
from web_result import Found

from goldpress.definition import load_definition
from goldpress.errors import (
    DocumentError,
    MachineError,
    MissingError,
    VerifyError,
)
from goldpress.host.confine import Confinement
from goldpress.host.run import Completed
from goldpress.machine import process
from goldpress.sandbox.closure import Closure, Deb

MIB = 1 << 20
TITLE = "postgres: sample sample "


@pytest.fixture(scope="module")
def image() -> web_image.Image:
    return web_image.read_image(load_definition(PROJECT / "images/web"))


# memory


def write_process(proc: Path, pid: int, parent: int, *, kib: int | None, title: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1 0\n")
    (folder / "cmdline").write_text(title)
    rollup = "" if kib is None else f"0-1 ---p 0 00:00 0 [rollup]\nRss: 9999 kB\nPss: {kib} kB\n"
    (folder / "smaps_rollup").write_text(rollup)


def test_pss_is_that_of_the_rollup_and_nothing_else() -> None:
    text = "0-1 ---p 0 00:00 0 [rollup]\nRss:  50 kB\nPss:  20 kB\nPss_Anon:  8 kB\nSwapPss: 1 kB\n"
    assert web_memory.parse_pss(text) == 20 << 10
    assert web_memory.parse_pss("") == 0  # a process that is ending has no memory


@pytest.mark.parametrize("text", ["Rss: 5 kB\n", "Pss: 5 MB\n", "Pss: 1 kB\nPss: 2 kB\n"])
def test_another_rollup_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"smaps_rollup has no line `Pss: N kB`: '(Rss|Pss)"):
        web_memory.parse_pss(text)


def test_a_look_sums_each_service_and_counts_connections(tmp_path: Path) -> None:
    write_process(tmp_path, 10, 1, kib=100, title="postgres -D /kept/data")
    write_process(tmp_path, 11, 10, kib=30, title=f"{TITLE}[local] idle")
    write_process(tmp_path, 12, 10, kib=30, title="postgres: checkpointer ")
    write_process(tmp_path, 20, 1, kib=5, title="nginx: master process")
    write_process(tmp_path, 21, 20, kib=7, title="nginx: worker process")
    write_process(tmp_path, 22, 20, kib=None, title="")  # it is ending
    write_process(tmp_path, 30, 1, kib=1000, title=f"{TITLE}of somebody else")
    (tmp_path / "self").mkdir()
    found = web_memory.look({"database": 10, "nginx": 20, "ended": 99}, TITLE, tmp_path)
    assert found.pss == {"database": 160 << 10, "nginx": 12 << 10, "ended": 0}
    assert found.processes == {"database": 3, "nginx": 3, "ended": 0}
    assert found.connections == 1


def test_memory_that_may_not_be_read_is_no_small_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_process(tmp_path, 10, 1, kib=100, title="nginx")
    read = Path.read_text

    def refuse(path: Path, **options: Any) -> str:
        if path.name == "smaps_rollup":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        web_memory.look({"nginx": 10}, TITLE, tmp_path)


def sample(nginx: int, database: int, connections: int) -> Sample:
    pss = {"nginx": nginx * MIB, "pool app": 4 * MIB, "database": database * MIB}
    processes = {"nginx": 3, "pool app": 9, "database": 20}
    return Sample(pss=pss, processes=processes, connections=connections)


def test_each_peak_is_its_own_look() -> None:
    looks = [sample(1, 50, 7), sample(9, 10, 8), *[sample(1, 1, 1)] * 3]
    assert web_memory.peaks(looks) == Peaks(
        web=13 * MIB,
        database=50 * MIB,
        together=55 * MIB,
        connections=8,
        processes=12,
        services={"nginx": 9 * MIB, "pool app": 4 * MIB, "database": 50 * MIB},
    )


def test_few_looks_are_no_peak() -> None:
    case = Case(name="fpm", title="nginx as baked")
    looks = [{"pss": {}, "processes": {}, "connections": 0}] * 4
    answers = Answers(requests_per_second=1, p50_ms=1, p99_ms=1, failures={})
    with pytest.raises(VerifyError, match="nginx as baked: 4 looks at the memory are no peak: at"):
        web_result.read_found(case, looks, answers)


# units


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    text = (
        "[Unit]\nUser=no\n[Service]\n# User=no\nUser=a\nEnvironment=A=1\nEnvironment=B=2\n"
        "Group=x\nGroup=\nExecStart=/bin/x \\\n  y\n\n[Install]\nUser=no\n"
    )
    assert web_service.parse_unit(text) == {
        "User": ["a"],
        "Environment": ["A=1", "B=2"],
        "Group": [],
        "ExecStart": ["/bin/x    y"],
    }


def test_nginx_starts_as_its_unit_says(image: web_image.Image) -> None:
    service = web_service.plan_unit("nginx", image.units[web_image.NGINX], processes=2)
    *how, line = service.argv
    assert how == ["unshare", "--mount", "chroot", "/image", "/bin/sh", "-e", "-c"]
    assert line.split(" && ") == [
        "mount -t tmpfs tmpfs /var/lib",
        "install -d -o nginx -g nginx -m 0700 /run/goldpress-nginx",
        "install -d -o nginx -g nginx -m 0700 /var/lib/goldpress-nginx",
        "umask 0077",
        "ulimit -n 8192",
        (
            "exec env setpriv --reuid=nginx --regid=nginx --clear-groups"
            " --inh-caps=+net_bind_service --ambient-caps=+net_bind_service --no-new-privs"
            " -- /usr/sbin/nginx"
        ),
    ]
    assert not service.once


def test_a_pool_starts_as_its_unit_says(image: web_image.Image) -> None:
    services = {service.name: service for service in web_image.plan_web(image)}
    assert list(services) == ["settings", "certificate", "pool app", "pool status", "nginx"]
    assert [name for name, service in services.items() if service.once] == [
        "settings",
        "certificate",
    ]
    pool = services["pool app"]
    assert pool.processes == 1 + image.measured.workers
    line = pool.argv[-1]
    assert "install -d -o gp-app -g gp-app -m 0711 /run/goldpress-php-app" in line
    assert "-m 0700 /var/lib/goldpress-php-app/uploads" in line
    path = "/run/goldpress/pools/app.env"
    assert f"set -a; ! [ -e {path} ] || . {path}; set +a" in line
    assert line.endswith(
        "exec env PHP_INI_SCAN_DIR=:/etc/goldpress/php/app setpriv --reuid=gp-app --regid=gp-app"
        " --clear-groups --no-new-privs -- /usr/sbin/php-fpm --nodaemonize --fpm-config"
        " /etc/goldpress/php/app/fpm.conf"
    )
    assert services["certificate"].argv[-1].endswith(" 2>/dev/null")  # as its unit has it


def test_without_the_second_application_only_the_measured_pool_runs(
    image: web_image.Image,
) -> None:
    names = [service.name for service in web_image.plan_web(image, alone=True)]
    assert names == ["settings", "certificate", "pool app", "nginx"]


def test_a_unit_that_wants_a_secret_is_refused() -> None:
    with pytest.raises(DocumentError) as caught:
        web_service.plan_unit("pool app", "[Service]\nLoadCredential=K:/run/k\nExecStart=/bin/x\n")
    assert caught.value.message == (
        "the unit of pool app has LoadCredential=K:/run/k, which the benchmark has not"
    )


def test_an_image_without_a_database_is_refused(image: web_image.Image) -> None:
    status = tuple(pool for pool in image.pools if not pool.pool.database)
    with pytest.raises(MissingError, match="no pool of the image has a database"):
        _ = web_image.Image(pools=status, units={}, keep_seconds=75).measured


# cases


def test_both_sides_get_the_same_clients_page_and_php(image: web_image.Image) -> None:
    cases = {case.name: case for case in web_cases.plan_cases(image.measured.workers)}
    own, other = (web_cases.plan_job(cases[name], image, "") for name in ("fpm", "prefork"))
    assert own.load == other.load
    assert "-c500" in own.load
    assert own.files["wrk.lua"] == other.files["wrk.lua"]
    assert own.pages == other.pages == {"/database?id=10000": web_database.page(10_000)}
    assert own.services[0] == other.services[0] == web_database.plan_database()
    apache = other.services[1]
    assert apache.processes == 501
    assert apache.env["PHP_INI_SCAN_DIR"] == "/etc/php.d:/etc/goldpress/php/app"
    mounts = other.furniture
    for shared in ("srv", "etc/php.ini", "etc/php.d", "etc/goldpress"):
        assert f"mount --bind /image/{shared} /debian/{shared}" in mounts


def test_static_files_need_no_database(image: web_image.Image) -> None:
    cases = web_cases.plan_cases(8)
    static = [case for case in cases if case.path != web_cases.DATABASE_PAGE]
    assert [case.name for case in static] == ["fpm_static", "prefork_static"]
    for case in static:
        job = web_cases.plan_job(case, image, "body{}")
        assert "database" not in [service.name for service in job.services]
        assert job.pages == {"/sample.css": "body{}"}
        assert "?id=" not in job.files["wrk.lua"]


def test_the_counter_cases_are_there() -> None:
    cases = {case.name: case for case in web_cases.plan_cases(8)}
    assert cases["prefork_few"].prefork == web_apache.Prefork(children=8, keep_alive=False)
    assert cases["prefork_default"].prefork == web_apache.Prefork(children=150)


def test_a_job_is_told_as_plain_values(image: web_image.Image) -> None:
    job = web_cases.plan_job(web_cases.plan_cases(8)[0], image, "")
    told = json.loads(web_cases.write_job(job))
    assert told["title"] == TITLE
    assert [row["name"] for row in told["services"]][0::5] == ["database", "nginx"]
    assert told["greeting"] == "/"


def test_apache_keeps_or_closes_connections(image: web_image.Image) -> None:
    def lines(prefork: web_apache.Prefork) -> list[str]:
        text = web_apache.configuration(
            prefork, image.measured, host="app.example.com", keep_seconds=75
        )
        return [line.strip() for line in text.splitlines()]

    kept = lines(web_apache.Prefork(children=500))
    for name in ("ServerLimit", "StartServers", "MaxRequestWorkers", "MaxSpareServers"):
        assert f"{name} 500" in kept
    assert {"KeepAlive On", "KeepAliveTimeout 75", "DocumentRoot /srv/sample/public"} < set(kept)
    assert len([line for line in kept if line.startswith("LoadModule ")]) == 5
    assert "KeepAlive Off" in lines(web_apache.Prefork(children=8, keep_alive=False))


def test_the_page_has_about_a_kilobyte() -> None:
    assert web_database.page(7).startswith("<!doctype html><title>Page 7</title><h1>Page 7</h1><p>")
    assert 950 < len(web_database.page(10_000)) < 1050


# load


def test_thinking_is_asked_of_wrk_only_where_it_is_wanted() -> None:
    at_once = web_load.script("a.example.com", "/database", rows=100)
    assert 'wrk.headers["Host"] = "a.example.com"' in at_once
    assert 'wrk.format("GET", "/database?id=" .. math.random(100))' in at_once
    assert "delay" not in at_once  # wrk waits as soon as there is such a function
    assert "math.random(500, 1500)" in web_load.script("a", "/", think=True)


def test_what_wrk_tells_is_read() -> None:
    row = {"requests": 3000, "microseconds": 1_500_000, "p50": 1500, "p99": 40_000}
    failures = {"connect": 0, "read": 2, "write": 0, "status": 0, "timeout": 5}
    text = f"Running 20s test\n  Latency\n{json.dumps(row | failures)}\n"
    assert web_load.parse_answers(text) == Answers(
        requests_per_second=2000.0, p50_ms=1.5, p99_ms=40.0, failures={"read": 2, "timeout": 5}
    )


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:80\n", '{"requests": 1}\n'])
def test_a_wrk_that_tells_nothing_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="wrk did not tell what it found: '"):
        web_load.parse_answers(text)


# what is not the image's


def deb(name: str, version: str) -> Deb:
    return Deb(
        name=name, version=version, architecture="amd64", sha256="0" * 64, depends="",
        pre_depends="", provides="",
    )  # fmt: skip


def test_php_is_asked_for_in_the_version_of_the_sandbox() -> None:
    names = ("php8.2-fpm", "php8.2-opcache", "php8.2-pgsql")
    debs = (*(deb(name, "8.2.36-1") for name in names), deb("php8.2-apcu", "5.1"))
    wanted = web_debian.wanted_packages(Closure(wanted=(), debs=debs))
    assert set(wanted) - set(web_debian.WANTED) == {
        "libapache2-mod-php8.2=8.2.36-1",
        "php8.2-apcu=5.1",
        "php8.2-opcache=8.2.36-1",
        "php8.2-pgsql=8.2.36-1",
    }


def test_without_a_sandbox_there_is_no_version_to_ask_for() -> None:
    with pytest.raises(MissingError) as caught:
        web_debian.wanted_packages(Closure(wanted=(), debs=(deb("php8.2-fpm", "8.2.36-1"),)))
    assert str(caught.value) == (
        "the sandbox is made of no package that tells the version of php8.2-apcu, php8.2-opcache,"
        " php8.2-pgsql\n  make it: ./inv mirror.sync --sandbox"
    )


# inside


class Told(Confinement):
    """A confinement whose program has said something already."""

    def run(self, *_: Any, **__: Any) -> Completed:
        return Completed(
            argv=("web_child.py",), returncode=1, stdout=self.readable["said"].name.encode(),
            stderr=b"Traceback\nKeyError: 'x'\n",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{"error": "nginx ended: x"}', "a case: nginx ended: x"),
        ("", "(?s)a case: exit status 1.*KeyError: 'x'"),
        ("no JSON", "(?s)a case: exit status 1.*KeyError: 'x'"),
        ("{}", "(?s)a case: exit status 1.*KeyError: 'x'"),
    ],
)
def test_what_failed_inside_is_told_outside(said: str, message: str) -> None:
    with pytest.raises(MachineError, match=message):
        web_inside.call(Told(readable={"said": Path(said)}), "case", b"", timeout=1, what="a case")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> web_child.Journal:
    monkeypatch.setattr(web_child, "LOGS", tmp_path)
    return web_child.Journal(str(tmp_path / "journal.socket"))


def service(name: str, *argv: str, once: bool = False) -> dict[str, Any]:
    return {"name": name, "argv": argv, "env": {}, "once": once, "processes": 1}


def test_a_service_that_ends_is_told_with_its_last_lines(journal: web_child.Journal) -> None:
    broken = service("pool app", "sh", "-c", "echo starting; echo 'no such user: gp-app'; exit 78")
    job = {"services": [broken], "host": "x", "greeting": "/", "title": TITLE, "pages": {"/": ""}}
    with (
        pytest.raises(MachineError) as caught,
        web_child.started([broken], journal) as running,
    ):
        web_child.wait_ready(job, running, journal)
    told = caught.value.message.splitlines()
    assert told[0] in {"pool app ended:", "pool app ended as soon as it started:"}
    assert told[1:] == ["    pool-app: starting", "    pool-app: no such user: gp-app"]


def test_one_that_is_run_once_has_to_end_well_and_silently(journal: web_child.Journal) -> None:
    assert web_child.start(service("settings", "true", once=True), journal) is None
    for line in ("exit 1", "echo DB_HOST is left out"):
        broken = service("settings", "sh", "-c", line, once=True)
        with pytest.raises(
            MachineError,
            match=r"^settings did not end well:(?: its log is empty|\n    settings: DB_HOST)",
        ):
            web_child.start(broken, journal)


def test_what_was_started_is_stopped_when_the_next_one_fails(journal: web_child.Journal) -> None:
    seen: list[process.Process] = []

    def two() -> None:
        with web_child.started([service("a", "sleep", "60")], journal) as running:
            seen.extend(running.values())
            assert process.is_running(seen[0])
            web_child.start(service("b", "false", once=True), journal)

    with pytest.raises(MachineError, match=r"^b did not end well"):
        two()
    assert not process.is_running(seen[0])


# results

ANSWERS = Answers(requests_per_second=2000.4, p50_ms=10.04, p99_ms=99.96, failures={})


def found(web_mib: int, database: int, connections: int, *, nginx: int = 0) -> Found:
    services = {"nginx": nginx * MIB} if nginx else {"apache": web_mib * MIB}
    most = Peaks(
        web=web_mib * MIB,
        database=database * MIB,
        together=(web_mib + database) * MIB,
        connections=connections,
        processes=11,
        services=services,
    )
    return Found(title="a case", peaks=most, answers=ANSWERS)


def run_of(workers: int, pool: int) -> dict[Name, Found]:
    """A run in which PHP-FPM's pool takes so much memory."""
    own, other = found(pool, 50, workers, nginx=5), found(350, 650, 500)
    return {
        "fpm": own,
        "prefork": other,
        "fpm_thinking": own,
        "prefork_thinking": other,
        "fpm_alone": found(pool - 10, 50, workers, nginx=5),
        "prefork_default": found(100, 250, 150),
        "prefork_few": found(25, 50, workers),
        "fpm_static": found(pool, 0, 0, nginx=5),
        "prefork_static": found(100, 0, 0),
    }


def test_ratios_tell_how_many_times_as_much_apache_takes() -> None:
    ratios = web_result.ratios(run_of(8, 50))
    assert ratios["saturated"] == {
        "together": 10.0,
        "web": 7.0,
        "database": 13.0,
        "connections": 62.5,
    }
    assert ratios["one_pool"]["together"] == 11.1
    assert ratios["few_children"]["together"] == 0.8
    assert ratios["few_children"]["connections"] == 1.0
    assert ratios["static"] == {"web": 2.0, "what_serves": 20.0}


@pytest.mark.parametrize(
    ("workers", "pool", "memory", "connections"),
    [
        (8, 50, "tenth holds.", "fiftieth holds."),
        (8, 60, "tenth is not reached.", "fiftieth holds."),
        (12, 50, "tenth holds.", "fiftieth is not reached."),
    ],
)
def test_what_is_claimed_is_said_to_hold_only_where_it_does(
    workers: int, pool: int, memory: str, connections: str
) -> None:
    said = web_result.sentences(run_of(workers, pool))
    assert said[0].endswith(memory)
    assert connections in said[1]
    assert f"500 to the database against {workers}." in said[1]


def answers(rate: float, **failures: int) -> Answers:
    return Answers(requests_per_second=rate, p50_ms=1, p99_ms=1, failures=failures)


def test_failed_requests_are_no_figures() -> None:
    case = Case(name="fpm", title="A")
    web_result.judge(case, answers(1, timeout=4))  # late ones change none
    with pytest.raises(VerifyError, match=r"^A: requests failed \(3 status, 1 read\): its"):
        web_result.judge(case, answers(1, status=3, read=1, timeout=4))
    with pytest.raises(VerifyError, match=r"^A: no request was answered"):
        web_result.judge(case, answers(0, timeout=500))


def test_two_versions_of_php_are_not_compared() -> None:
    own, other = "goldpress-php 8.2.36 fpm-fcgi", "goldpress-php 8.2.36 apache2handler"
    assert web_result.check_php({"fpm": own, "prefork": other}) == "8.2.36"
    with pytest.raises(VerifyError, match=r"PHP 8.2.30 \(prefork\) and PHP 8.2.36 \(fpm\) are two"):
        web_result.check_php({"fpm": own, "prefork": other.replace("36", "30")})
    with pytest.raises(
        VerifyError, match=r"prefork: PHP greets with '.* fpm-fcgi', not as apache2h"
    ):
        web_result.check_php({"prefork": own})


def conditions() -> dict[str, Any]:
    return {
        "clients": 500, "measured_seconds": 20, "warm_up_seconds": 5, "php": "8.2.36",
        "nginx": "1.22.1", "apache": "2.4", "postgresql": "15.20", "processors": 2,
        "load_average": 0.5, "page_bytes": 1000, "distribution": "Sandbox", "pool": "8 workers",
    }  # fmt: skip


def result() -> dict[str, Any]:
    run = run_of(8, 50)
    return {
        "conditions": conditions(),
        "ratios": web_result.ratios(run),
        "findings": web_result.sentences(run),
        "cases": web_result.document(run),
    }


def test_the_tables_show_every_case_and_ratio() -> None:
    shown = result()
    text = web_table.plain(shown)
    assert len(text.splitlines()) == 1 + len(shown["cases"]) + 1 + 1 + len(shown["ratios"])
    row = next(line for line in text.splitlines() if line.startswith("a case"))
    assert row.split()[2:] == ["11", "52.4", "52.4", "104.9", "8", "2000", "100", "0"]
    first, second = web_table.tables(shown)
    assert (first.row_count, second.row_count) == (len(shown["cases"]), len(shown["ratios"]))
    page = web_table.markdown(shown)
    assert page.count("\n| a case | ") == len(shown["cases"])
    assert page.startswith("- Memory: for 500 keep-alive clients ")
    assert "500 keep-alive clients of wrk on the same machine (2 processors, its load" in page
    assert web_table.ratio_rows(shown)[0][1:] == ("10", "7", "13", "62.5")
    assert web_table.ratio_rows(shown)[-1][1:] == ("-", "2", "-", "-")


def test_the_kept_result_is_of_one_run() -> None:
    kept = json.loads(web.KEPT.read_text())
    rows = kept["cases"]
    assert list(rows) == [case.name for case in web_cases.plan_cases(8)]
    for name, own, other in (
        ("saturated", "fpm", "prefork"),
        ("thinking", "fpm_thinking", "prefork_thinking"),
        ("one_pool", "fpm_alone", "prefork"),
        ("few_children", "fpm", "prefork_few"),
    ):
        ratio = kept["ratios"][name]
        assert ratio["together"] == pytest.approx(
            rows[other]["together_mb"] / rows[own]["together_mb"], abs=0.1
        )
        assert ratio["connections"] == pytest.approx(
            rows[other]["connections"] / rows[own]["connections"], abs=0.1
        )
    assert kept["conditions"]["stand_in"] is True
    assert web_table.markdown(kept).count("\n| ") == 2 + len(rows)


def test_nothing_measured_is_nothing_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web, "KEPT", tmp_path / "web.json")
    with pytest.raises(MissingError, match=r"nothing was measured yet\n  run: ./inv bench.web"):
        web.main(["--markdown"])
    (tmp_path / "web.json").write_text(json.dumps(result()))
    web.main(["--markdown"])
    assert "| a case | 11 | 52.4 |" in capsys.readouterr().out
