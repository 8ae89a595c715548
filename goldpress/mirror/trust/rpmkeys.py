"""Owns looking at RPM files with rpm's own tools: who signed them, and what their headers say."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress.errors import TrustError
from goldpress.host.run import Completed, failure_text, run
from goldpress.mirror.trust.keys import PublicKey, import_argv
from goldpress.mirror.trust.rpmfile import read_rpm

#: For a batch of some forty files; one needs 20 ms, and a kernel a second.
SECONDS = 300.0
_SIGNATURE = re.compile(r"(?:Header )?V[34] \S+ Signature, key ID ([0-9a-f]{8,16}): (\w+)")
#: Anything that rpm calls a signature: what it says has to be understood, or nothing passes.
_ABOUT_SIGNATURES = re.compile(r"\bsignature\b.*: (?!NOTFOUND$)\w+$", re.IGNORECASE)
#: Without these a file is not covered by what was signed.
_NEEDED = ("Header SHA256 digest: OK", "Payload SHA256 digest: OK")
_DAMAGED = "delete the file in the pool and run `./inv mirror.sync`"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a file turned out to be: its signer's full fingerprint, and its header's words."""

    signer: str
    nevra: str
    source_rpm: str


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

    Raises TrustError for the first that is damaged, unsigned, signed in a format that this host's
    rpm cannot judge, or signed by a key not in `keys`.
    """
    shapes = {path: read_rpm(path, nevra=nevra) for path, nevra in files.items()}
    newer = {path for path, shape in shapes.items() if shape.newer and not shape.judged}
    checked = run(
        checksig_argv(database, files), check=False, timeout=SECONDS, what="check signatures"
    )
    signers = signers_in(checked, files, keys, newer=newer)
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
    checked: Completed,
    files: Mapping[Path, str],
    keys: Sequence[PublicKey],
    *,
    newer: Collection[Path] = (),
) -> dict[Path, str]:
    """The signer's fingerprint by file, from what `checksig_argv` printed.

    `newer` are the files whose only signatures are in a format that this host's rpm passes over.
    """
    sections = _sections(checked.text, files)
    errors = checked.stderr.decode(errors="replace").strip()
    signers = {}
    for path, nevra in files.items():
        lines = sections.get(path, [])
        if lines and path in newer:
            raise TrustError(
                f"{nevra}: signed only in a format that this host's rpm cannot judge (rpm 6's)",
                hint="nothing passes unjudged: lock an older package, or use a host with rpm 6",
            )
        signers[path] = _signer(nevra, lines, keys, errors)
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
    for line in lines:
        if _ABOUT_SIGNATURES.search(line) and not _SIGNATURE.fullmatch(line):
            raise TrustError(
                f"{nevra}: rpm says {line!r} of its signature, which cannot be judged",
                hint="RSA, DSA and EdDSA signatures of OpenPGP versions 3 and 4 can, by rpm 4.14 "
                "to 4.19",
            )
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
