"""Owns where Debian 12 comes from, and the apt configuration that is our own.

The host's apt knows a mirror; the variable GOLDPRESS_DEBIAN_MIRROR names one where it does not.
Nothing here prints a mirror's host, and indexes without a signature of Debian's are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import CommandError, MissingError
from goldpress.host.run import Completed, failure_text, run

MIRROR_VARIABLE = "GOLDPRESS_DEBIAN_MIRROR"
RELEASE = "bookworm"
SUITES = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_FORMAT = "$(CREATED_BY)|$(CODENAME)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)|$(REPO_URI)"
_FIELDS = 6
_HOST = re.compile(r"\b([a-z][a-z+]*://)[^/\s'\"]+")


@dataclass(frozen=True, kw_only=True, order=True)
class Source:
    """One suite of a Debian archive; always its component `main`, for amd64."""

    suite: str
    uri: str


def redacted(text: str) -> str:
    """`text` with the host of every address taken out."""
    return _HOST.sub(r"\1<mirror>", text)


def sources_from_host(listing: str) -> tuple[Source, ...]:
    """Debian 12's suites among what `apt-get indextargets` printed, security included."""
    found: dict[str, Source] = {}
    for line in listing.splitlines():
        fields = line.split("|")
        if len(fields) != _FIELDS or fields[0] != "Packages":
            continue
        _, codename, release, component, arch, uri = fields
        # Before the host's first `apt-get update` the code name is not known: apt then prints
        # the placeholder itself.
        suite = release if codename.startswith("$") or not codename else codename
        if suite in SUITES and component == "main" and arch == "amd64":
            found.setdefault(suite, Source(suite=suite, uri=uri))
    return tuple(found[suite] for suite in SUITES if suite in found)


def find_sources(environ: Mapping[str, str]) -> tuple[Source, ...]:
    """Where to get Debian 12 from. Raises MissingError when nothing says so."""
    if base := environ.get(MIRROR_VARIABLE, ""):
        return tuple(Source(suite=suite, uri=base.rstrip("/") + "/") for suite in SUITES[:2])
    listing = run(["apt-get", "indextargets", "--format", _FORMAT], what="ask apt for its mirrors")
    sources = sources_from_host(listing.text)
    if not any(source.suite == RELEASE for source in sources):
        raise MissingError(
            "the sandbox is made from Debian 12 packages, and apt here knows no mirror of them",
            hint=f"set {MIRROR_VARIABLE} to the base address of a Debian archive (the folder "
            f"that holds `dists/{RELEASE}`), then run the same again",
        )
    return sources


def sources_text(sources: Iterable[Source]) -> str:
    """apt's sources.list for `sources`, bound to Debian's own keys."""
    return "".join(
        f"deb [arch=amd64 signed-by={KEYRING}] {s.uri} {s.suite} main\n" for s in sources
    )


def configuration_text(state: Path) -> str:
    """An apt configuration that keeps to `state`; the host's proxy settings stay in force."""
    return f"""\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{state}/state";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Log "{state}/log";
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


@dataclass(frozen=True, kw_only=True)
class Apt:
    """apt with a state folder of its own; needs no root and leaves the host's apt alone."""

    state: Path

    def prepare(self, sources: Iterable[Source]) -> None:
        """Write the configuration. Raises MissingError without Debian's keys."""
        if not KEYRING.is_file():
            raise MissingError(
                f"{KEYRING} is not there: Debian's indexes cannot be verified",
                hint="install the package debian-archive-keyring",
            )
        for folder in ("state/lists/partial", "cache/archives/partial", "log"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "status").write_bytes(b"")
        (self.state / "sources.list").write_text(sources_text(sources))
        (self.state / "apt.conf").write_text(configuration_text(self.state))

    def update(self) -> None:
        """Fetch the signed indexes. Raises CommandError."""
        self.run("apt-get", "-qq", "update", what="update Debian's indexes")

    def run(
        self, program: str, *args: str, what: str, cwd: Path | None = None, hint: str = ""
    ) -> Completed:
        """Run an apt program under this configuration. Raises CommandError, host names removed."""
        done = run([program, "-c", self.state / "apt.conf", *args], cwd=cwd, check=False)
        if done.returncode != 0:
            raise CommandError(redacted(failure_text(done, what=what)), hint=hint)
        return done
