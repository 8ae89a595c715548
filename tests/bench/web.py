"""What nginx with PHP-FPM, as baked, takes beside Apache prefork with mod_php, in the same run.

Run by `./inv bench.web`; prints one JSON document, shows it as a table, and keeps it in web.json.
With `--markdown` it measures nothing and prints the kept one for the README. Not a test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent)]

from pressing import sandbox_press  # noqa: E402 - found through the path above
from rich.console import Console  # noqa: E402 - as above
from web_cases import (  # noqa: E402 - as above
    MEASURED_SECONDS,
    STATIC_FILE,
    WARM_UP_SECONDS,
    Case,
    Name,
    plan_cases,
    plan_job,
    write_job,
)
from web_database import ROWS, make_steps, page  # noqa: E402 - as above
from web_debian import debian_tree, versions  # noqa: E402 - as above
from web_image import Image, read_image  # noqa: E402 - as above
from web_inside import FURNITURE, call, confinement  # noqa: E402 - as above
from web_load import CLIENTS, THREADS, USERS, parse_answers  # noqa: E402 - as above
from web_result import (  # noqa: E402 - as above
    Found,
    check_php,
    document,
    judge,
    ratios,
    read_found,
    sentences,
)
from web_table import conditions, markdown, plain, tables  # noqa: E402 - as above

from goldpress import progress  # noqa: E402 - as above
from goldpress.errors import GoldpressError, MissingError  # noqa: E402 - as above
from goldpress.host.confine import Confinement, remove_tree  # noqa: E402 - as above
from goldpress.press import Press  # noqa: E402 - as above
from goldpress.store import write_atomically  # noqa: E402 - as above

KEPT = Path(__file__).with_name("web.json")
INTERRUPTED = 130


def measure(
    inside: Confinement, case: Case, image: Image, static: str, work: Path
) -> tuple[Found, str]:
    """One case's figures, and how its PHP greets. Raises MachineError or VerifyError."""
    job = plan_job(case, image, static)
    for name, text in job.files.items():
        (work / name).write_text(text)
    with progress.step(case.title) as step:
        said = call(inside, "case", write_job(job), timeout=job.timeout, what=case.title)
        found = read_found(case, said["samples"], parse_answers(said["wrk"]))
        judge(case, found.answers)
        step.update(f"{found.peaks.together / 1e6:.0f} MB, {found.peaks.connections} connections")
    return found, str(said["greeting"])


def known(press: Press, image: Image, php: str, others: Mapping[str, str]) -> dict[str, Any]:
    """In what conditions it is measured, beside the cases' own."""
    pool = image.measured
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "image": press.definition.name,
        "distribution": press.distribution.name,
        "stand_in": press.distribution.stand_in,
        "pool": f"{pool.workers} workers: {pool.sizes.arithmetic}",
        "pools": {p.name: p.workers for p in image.pools},
        "php": php,
        "nginx": next(p.version for p in press.lock.packages if p.name == "nginx"),
        **others,
        "clients": CLIENTS,
        "users": USERS * THREADS,
        "warm_up_seconds": WARM_UP_SECONDS,
        "measured_seconds": MEASURED_SECONDS,
        "rows": ROWS,
        "page_bytes": len(page(ROWS)),
        "processors": os.cpu_count(),
        "memory_mb": memory // 1_000_000,
        "kernel": os.uname().release,
        "load_average": round(os.getloadavg()[0], 2),
    }


def run_cases(press: Press) -> dict[str, Any]:
    """Everything; what is made for it is gone afterwards, whatever ends it."""
    image = read_image(press.definition)
    packages = press.packages()
    rootfs = press.rootfs(packages, press.policy(packages))
    debian, closure = debian_tree(press.workspace)
    static = (
        press.definition.directory
        / str(image.measured.app.directory)
        / image.measured.app.public
        / STATIC_FILE.lstrip("/")
    ).read_text()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=press.workspace.build))
    try:
        work.chmod(0o755)  # users of the confinement pass through it
        load_average = round(os.getloadavg()[0], 2)
        inside = confinement(rootfs.directory, debian.directory / "tree", work)
        steps = json.dumps({"furniture": FURNITURE, "steps": make_steps()}).encode()
        with progress.step("make the database"):
            call(inside, "database", steps, timeout=300, what="make the database")
        found: dict[Name, Found] = {}
        greetings: dict[str, str] = {}
        for case in plan_cases(image.measured.workers):
            found[case.name], greetings[case.name] = measure(inside, case, image, static, work)
            php = check_php(greetings)
    finally:
        remove_tree(work)
    return {
        "conditions": {
            **known(press, image, php, versions(closure)),
            "load_average": load_average,
        },
        "ratios": ratios(found),
        "findings": sentences(found),
        "cases": document(found),
    }


def show(result: Mapping[str, Any]) -> None:
    """The result for people, on stderr: tables on a terminal, plain columns elsewhere."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        for table in tables(result):
            console.print(table)
    else:
        sys.stderr.write(plain(result))
    for sentence in result["findings"]:
        sys.stderr.write(f"- {sentence}\n")
    sys.stderr.write(f"Conditions: {conditions(result)}\nkept in {KEPT.relative_to(PROJECT)}\n")


def main(arguments: list[str]) -> None:
    """Measure, keep and show; or print what was kept."""
    if arguments == ["--markdown"]:
        if not KEPT.exists():
            raise MissingError("nothing was measured yet", hint="run: ./inv bench.web")
        sys.stdout.write(markdown(json.loads(KEPT.read_text())))
        return
    # As Ctrl-C: what was started and made is ended and removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    result = run_cases(sandbox_press())
    text = json.dumps(result, indent=2) + "\n"
    write_atomically(KEPT, text.encode())
    show(result)
    sys.stdout.write(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GoldpressError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
