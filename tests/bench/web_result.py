"""Owns the result: what a case found, the ratios between cases, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from web_cases import Case, Name
from web_load import CLIENTS, Answers
from web_memory import Peaks, Sample, peaks

from goldpress.errors import VerifyError

MB = 1_000_000
#: What is published: a tenth of the memory, a fiftieth of the connections.
CLAIMED_MEMORY = 10
CLAIMED_CONNECTIONS = 50


@dataclass(frozen=True, kw_only=True)
class Found:
    """One case's figures: the peaks under load, and the answers."""

    title: str
    peaks: Peaks
    answers: Answers


def judge(case: Case, answers: Answers) -> None:
    """Raises VerifyError when requests failed, or none was answered.

    A timeout is an answer that came late, as on a busy machine: it is told with the figures,
    which it does not change. wrk knows of no answer that never came.
    """
    if failed := {kind: n for kind, n in answers.failures.items() if kind != "timeout"}:
        what = ", ".join(f"{count} {kind}" for kind, count in failed.items())
        raise VerifyError(
            f"{case.title}: requests failed ({what}): its figures would be of something else",
            hint="see what it answers: ./inv boot --sandbox, and ask the same of that machine",
        )
    if not answers.requests_per_second:
        raise VerifyError(
            f"{case.title}: no request was answered", hint="run it on a machine that is less busy"
        )


def read_found(case: Case, looks: Sequence[Mapping[str, object]], answers: Answers) -> Found:
    """A case's figures from what it saw. Raises VerifyError for too few looks."""
    samples = [Sample(**look) for look in looks]  # type: ignore[arg-type]
    try:
        most = peaks(samples)
    except ValueError as error:
        raise VerifyError(f"{case.title}: {error}") from error
    return Found(title=case.title, peaks=most, answers=answers)


def check_php(greetings: Mapping[str, str]) -> str:
    """The one version of PHP that answered in every case. Raises VerifyError.

    The sample application greets with its name, PHP's version, and how PHP is run.
    """
    said: dict[str, str] = {}
    for name, greeting in greetings.items():
        words = greeting.split()
        way = "apache2handler" if name.startswith("prefork") else "fpm-fcgi"
        if len(words) != 3 or words[2] != way:
            raise VerifyError(f"{name}: PHP greets with {greeting!r}, not as {way}")
        said[words[1]] = name
    if len(said) != 1:
        both = " and ".join(f"PHP {version} ({name})" for version, name in sorted(said.items()))
        raise VerifyError(f"{both} are two versions: their figures cannot be compared")
    return next(iter(said))


def document(found: Mapping[Name, Found]) -> dict[str, dict[str, object]]:
    """The cases' figures for JSON: memory in MB (10^6 bytes) of PSS, times in ms."""
    return {
        name: {
            "title": case.title,
            "processes": case.peaks.processes,
            "web_mb": _mb(case.peaks.web),
            "database_mb": _mb(case.peaks.database),
            "together_mb": _mb(case.peaks.together),
            "services_mb": {key: _mb(value) for key, value in case.peaks.services.items()},
            "connections": case.peaks.connections,
            "requests_per_second": round(case.answers.requests_per_second),
            "p50_ms": round(case.answers.p50_ms, 1),
            "p99_ms": round(case.answers.p99_ms, 1),
            "late": case.answers.failures.get("timeout", 0),
        }
        for name, case in found.items()
    }


def _mb(size: int) -> float:
    return round(size / MB, 1)


def ratios(found: Mapping[Name, Found]) -> dict[str, dict[str, float]]:
    """How many times as much Apache takes as the image does, in the same condition."""

    def times(other: Name, own: Name) -> dict[str, float]:
        theirs, ours = asdict(found[other].peaks), asdict(found[own].peaks)
        keys = ("together", "web", "database", "connections")
        return {key: round(theirs[key] / ours[key], 1) for key in keys if ours[key]}

    static = found["prefork_static"].peaks.web
    nginx = found["fpm_static"].peaks
    return {
        "saturated": times("prefork", "fpm"),
        "thinking": times("prefork_thinking", "fpm_thinking"),
        "one_pool": times("prefork", "fpm_alone"),
        "few_children": times("prefork_few", "fpm"),
        "static": {
            "web": round(static / nginx.web, 1),
            "what_serves": round(static / nginx.services["nginx"], 1),
        },
    }


def sentences(found: Mapping[Name, Found]) -> list[str]:
    """What is true of the claim, and when."""
    rows = ratios(found)
    few = rows["few_children"]
    least, most = _span(rows, "together")
    children, workers = found["prefork"].peaks.connections, found["fpm"].peaks.connections
    default, thinking = found["prefork_default"], found["fpm_thinking"]
    nginx = _mb(found["fpm_static"].peaks.services["nginx"])
    memory = _verdict(holds=least >= CLAIMED_MEMORY)
    connections = _verdict(holds=children >= CLAIMED_CONNECTIONS * workers)
    return [
        (
            f"Memory: for {CLIENTS} keep-alive clients Apache prefork and its database take"
            f" {least:g} to {most:g} times the PSS of nginx, PHP-FPM and theirs, and"
            f" {rows['one_pool']['together']:g} times without the image's second application."
            f" The published tenth {memory}."
        ),
        (
            f"Connections: {children} to the database against {workers}. The published fiftieth"
            f" {connections}. It is arithmetic: a child for each client that is kept, against the"
            " workers of the pool."
        ),
        (
            "Both come from keeping idle clients away from PHP, and not from PHP-FPM itself:"
            f" Apache with as few children and KeepAlive Off has"
            f" {found['prefork_few'].peaks.connections} connections too and takes"
            f" {few['together']:g} times the image's memory. Then every request opens a TCP"
            " connection of its own."
        ),
        (
            f"As Debian sets it, Apache takes {_mb(default.peaks.together):g} MB, and serves"
            f" {default.peaks.connections} clients while the others wait:"
            f" {default.answers.requests_per_second:.0f} requests/s of clients that think, where"
            f" the image answers {thinking.answers.requests_per_second:.0f}."
        ),
        (
            f"Static files: nginx serves them with {nginx:g} MB, Apache prefork with"
            f" {_mb(found['prefork_static'].peaks.web):g} MB, since each child has PHP in it."
        ),
        (
            "PSS counts a page that processes share once. RSS counts it for each of them and"
            " would tell far more, so it is not used."
        ),
    ]


def _verdict(*, holds: bool) -> str:
    return "holds" if holds else "is not reached"


def _span(rows: Mapping[str, Mapping[str, float]], key: str) -> tuple[float, float]:
    """The least and the most of a ratio, saturated and with thinking clients."""
    both = [rows["saturated"][key], rows["thinking"][key]]
    return min(both), max(both)
