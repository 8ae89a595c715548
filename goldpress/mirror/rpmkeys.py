"""Owns looking at RPM files with rpm's own tools: who signed them, and what their headers say."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import TrustError
from goldpress.host.run import Completed, failure_text, run
from goldpress.mirror.keys import PublicKey

#: For a batch of some forty files; one needs 20 ms, and a kernel a second.
SECONDS = 300.0
_SIGNATURE = re.compile(r"(?:Header )?V[34] \S+ Signature, key ID ([0-9a-f]{8,16}): (\w+)")
#: Without these a file is not covered by what was signed.
_NEEDED = ("Header SHA256 digest: OK", "Payload SHA256 digest: OK")
_DAMAGED = "delete the file in the pool and run `./inv mirror.sync`"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a file turned out to be: its signer's full fingerprint, and its header's words."""

    signer: str
    nevra: str
    source_rpm: str


def import_argv(database: Path, key_files: Sequence[Path]) -> list[str]:
    """What makes a database of keys that no other package or key of the host can reach."""
    return ["rpmkeys", "--dbpath", str(database), "--import", *map(str, key_files)]


def checksig_argv(database: Path, files: Iterable[Path]) -> list[str]:
    """What checks signatures and digests; without level `all` an unsigned file would pass."""
    level = ["--define", "_pkgverify_level all"]
    return ["rpmkeys", "--dbpath", str(database), *level, "--checksig", "-v", *map(str, files)]


def query_argv(database: Path, files: Iterable[Path]) -> list[str]:
    """What prints a line a file: NEVRA and source. Only for files that passed `checksig_argv`."""
    words = "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH}\\t%|SOURCERPM?{%{SOURCERPM}}|\\n"
    options = ["--nosignature", "--nodigest", "--qf", words]
    return ["rpm", "--dbpath", str(database), "-qp", *options, *map(str, files)]


def key_database(directory: Path, key_files: Sequence[Path]) -> Path:
    """The key database in `directory`, made once and then whole; its keys are those files'."""
    database = directory / "rpmdb"
    if database.is_dir():
        return database
    scratch = directory / f".rpmdb.{secrets.token_hex(6)}"
    scratch.mkdir(parents=True)
    try:
        run(import_argv(scratch, key_files), timeout=SECONDS, what="import signing keys")
        try:
            scratch.rename(database)
        except OSError:
            # Another process was faster; its database has the same keys.
            if not database.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return database


def look(
    files: Mapping[Path, str], keys: Sequence[PublicKey], database: Path
) -> dict[Path, Verdict]:
    """What each file is; `files` gives the NEVRA by which messages call it.

    Raises TrustError for the first that is damaged, unsigned, or signed by a key not in `keys`.
    """
    checked = run(
        checksig_argv(database, files), check=False, timeout=SECONDS, what="check signatures"
    )
    signers = signers_in(checked, files, keys)
    queried = run(query_argv(database, files), timeout=SECONDS, what="read package headers")
    lines = queried.text.splitlines()
    if len(lines) != len(files):
        raise TrustError(f"rpm described {len(lines)} of {len(files)} packages")
    verdicts = {}
    for path, line in zip(files, lines, strict=True):
        nevra, _, source_rpm = line.partition("\t")
        verdicts[path] = Verdict(signer=signers[path], nevra=nevra, source_rpm=source_rpm)
    return verdicts


def signers_in(
    checked: Completed, files: Mapping[Path, str], keys: Sequence[PublicKey]
) -> dict[Path, str]:
    """The signer's fingerprint by file, from what `checksig_argv` printed."""
    sections = _sections(checked.text, files)
    errors = checked.stderr.decode(errors="replace").strip()
    signers = {
        path: _signer(nevra, sections.get(path, []), keys, errors) for path, nevra in files.items()
    }
    if checked.returncode != 0:
        raise TrustError(f"packages were refused: {failure_text(checked)}")
    return signers


def _sections(text: str, files: Iterable[Path]) -> dict[Path, list[str]]:
    titles = {f"{path}:": path for path in files}
    sections: dict[Path, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line in titles:
            current = sections.setdefault(titles[line], [])
        else:
            current.append(line.strip())
    return sections


def _signer(nevra: str, lines: Sequence[str], keys: Sequence[PublicKey], errors: str) -> str:
    allowed = ", ".join(key.fingerprint for key in keys)
    if not lines:
        reason = f": {errors}" if errors else ""
        raise TrustError(f"{nevra}: damaged{reason}; expected a whole RPM file", hint=_DAMAGED)
    signatures = [match for line in lines if (match := _SIGNATURE.fullmatch(line))]
    if not signatures:
        raise TrustError(
            f"{nevra}: not signed; expected a signature by {allowed}",
            hint="the repository offers what its distributor did not sign: do not build from it",
        )
    for match in signatures:
        if match[2] == "NOKEY":
            raise TrustError(
                f"{nevra}: signed by a key with the id {match[1]}; expected {allowed}",
                hint="if the distributor changed keys, name the new one in `rpm-mirror/`",
            )
    bad = [line for line in lines if not line.endswith(": OK")]
    if bad or any(needed not in lines for needed in _NEEDED):
        found = "; ".join(bad) or "a digest of the header or the payload is not there"
        raise TrustError(f"{nevra}: damaged: {found}; expected a valid signature", hint=_DAMAGED)
    fingerprints = {_fingerprint(match[1], keys, nevra) for match in signatures}
    if len(fingerprints) != 1:
        raise TrustError(f"{nevra}: signed by several keys: {', '.join(sorted(fingerprints))}")
    return fingerprints.pop()


def _fingerprint(key_id: str, keys: Sequence[PublicKey], nevra: str) -> str:
    """The allowed key with this id; rpm prints only the last digits of a fingerprint."""
    found = {
        key.fingerprint
        for key in keys
        for signing in key.signing
        if signing.endswith(key_id.upper())
    }
    if len(found) != 1:
        raise TrustError(f"{nevra}: {len(found)} allowed keys have the id {key_id}, expected one")
    return found.pop()
