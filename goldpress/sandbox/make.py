"""Owns making the sandbox's repository: from Debian's packages to signed RPMs with metadata.

    WORK/repository/        the product: RPMs, repodata/, the public key, made.json
    WORK/debs/ closure.json key/ policy/ apt/   kept between makes
    WORK/scratch/           a make that is under way, or was interrupted: removed by the next

The product appears by one rename: it is whole or it is not there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.digest import (
    canonical_json,
    combined,
    sha256_bytes,
    sha256_file,
    sha256_tree,
)
from goldpress.errors import DocumentError
from goldpress.host.run import run
from goldpress.progress import note, step
from goldpress.sandbox import closure as closures
from goldpress.sandbox import mirror, policy, signing
from goldpress.sandbox.assembly import assemble
from goldpress.sandbox.layout import lay_out, settle
from goldpress.sandbox.rpmbuild import build_rpms, plan_rpms
from goldpress.sandbox.table import Table, load_tables
from goldpress.sandbox.tree import read_tree, unpack

HERE = Path(__file__).parent
FIXUPS = HERE / "files"
POLICY_PACKAGE = "selinux-policy-targeted"
POLICY_DEB = "selinux-policy-default"
KEY_FILE = "RPM-GPG-KEY-goldpress-sandbox"


@dataclass(frozen=True, kw_only=True)
class SandboxRepository:
    """`root` holds RPMs and repodata/; `key` is the armoured public key; 40 upper-case hex."""

    root: Path
    key: Path
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One make: where it works, what it is made from, and the time that is on it."""

    work: Path
    scratch: Path
    table: Table
    closure: closures.Closure
    files: Mapping[str, Path]
    epoch: int


def make_sandbox(work: Path, *, refresh: bool = False) -> SandboxRepository:
    """The sandbox's repository below `work`, made when it is not there or its makings changed.

    With `refresh` the set of Debian packages is chosen anew, from the network; otherwise the set
    that was chosen stands. Raises MissingError, DocumentError, BuildError, CommandError,
    TrustError.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work):
        kept = None if refresh else closures.read_closure(work / "closure.json")
        if kept is not None and not _why(work, _inputs(kept)):
            return read_made(work / "repository")
        table = load_tables(HERE)
        fresh = kept is None or kept.wanted != table.wanted
        if kept is None or fresh:
            kept = _choose(work, table)
        if why := _why(work, _inputs(kept)):
            note(f"sandbox: made because {why}")
            _make(work, kept, fresh=fresh)
        return read_made(work / "repository")


def _choose(work: Path, table: Table) -> closures.Closure:
    """Choose Debian's packages from the signed indexes, and keep the choice."""
    with step("sandbox: choose Debian's packages") as now:
        apt = mirror.Apt(state=work / "apt")
        apt.prepare(mirror.find_sources(os.environ))
        chosen = closures.resolve(apt, table.wanted)
        now.update(f"{len(chosen.debs)} packages")
    closures.check_mapped(chosen, load_tables(HERE, kernel=chosen.kernel))
    closures.store_closure(work / "closure.json", chosen)
    return chosen


def _make(work: Path, kept: closures.Closure, *, fresh: bool) -> None:
    """Make the product anew; with `fresh` indexes, they are not fetched again."""
    table = load_tables(HERE, kernel=kept.kernel)
    closures.check_mapped(kept, table)
    inputs = _inputs(kept)
    files = _bring(work, kept, table, fresh=fresh)
    scratch = work / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    job = _Job(
        work=work,
        scratch=scratch,
        table=table,
        closure=kept,
        files=files,
        epoch=closures.newest_epoch(files.values()),
    )
    try:
        built = _packages(job)
        key = signing.load_key(work / "key" / "secret.gpg")
        with step("sandbox: sign"):
            signing.sign(built, key, epoch=job.epoch)
        with step("sandbox: repository"):
            _repository(scratch / "repository", built, key, inputs=inputs, epoch=job.epoch)
        if (work / "repository").exists():
            (work / "repository").rename(scratch / "before")
        (scratch / "repository").rename(work / "repository")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _bring(work: Path, kept: closures.Closure, table: Table, *, fresh: bool) -> dict[str, Path]:
    """Every .deb whose files are used, downloaded and judged: package name -> file."""
    debs = closures.kept(kept, table)
    folder = work / "debs"
    with step("sandbox: download") as now:
        absent = closures.missing(debs, folder)
        if absent:
            apt = mirror.Apt(state=work / "apt")
            if not fresh:
                apt.prepare(mirror.find_sources(os.environ))
                apt.update()
            closures.download(apt, absent, folder)
        now.update(f"{len(absent)} packages")
    return {deb.name: folder / deb.file_name for deb in debs}


def _packages(job: _Job) -> list[Path]:
    """The unsigned RPMs."""
    with step("sandbox: unpack") as now:
        roots = unpack(job.files, job.scratch / "debs")
        now.update(f"{len(roots)} packages")
    with step("sandbox: SELinux policy"):
        extra = FIXUPS / POLICY_PACKAGE / "sandbox.cil"
        compiled = policy.kept_policy(
            job.work / "policy",
            policy.policy_key(job.files[POLICY_DEB], extra),
            debian=roots[POLICY_DEB],
            extra=extra,
            scratch=job.scratch / "policy",
        )
    with step("sandbox: cut packages") as now:
        trees = {name: read_tree(root) for name, root in roots.items()}
        entries = assemble(job.table, trees, fixups=FIXUPS, generated={POLICY_PACKAGE: compiled})
        contents = settle(job.table, entries, trees.values())
        lay_out(contents.values(), job.scratch / "tree", epoch=job.epoch)
        now.update(f"{len(contents)} packages")
    with step("sandbox: rpmbuild"):
        rpms = plan_rpms(job.table, job.closure, contents)
        return build_rpms(rpms, job.scratch, epoch=job.epoch)


def _repository(
    folder: Path, built: list[Path], key: signing.Key, *, inputs: Mapping[str, str], epoch: int
) -> None:
    """The whole product in `folder`: packages, metadata, key, and what it was made of."""
    folder.mkdir()
    for rpm in built:
        rpm.rename(folder / rpm.name)
    (folder / KEY_FILE).write_bytes(key.public)
    argv = ["createrepo_c", "--quiet", "--no-database", "--workers", "2"]
    argv += ["--revision", str(epoch), "--set-timestamp-to-revision", str(folder)]
    run(argv, what="make the sandbox's metadata")
    made = {"fingerprint": key.fingerprint, "inputs": dict(inputs)}
    (folder / "made.json").write_bytes(canonical_json(made))


def read_made(repository: Path) -> SandboxRepository:
    """The product that lies at `repository`. Raises DocumentError."""
    made = _made(repository)
    return SandboxRepository(
        root=repository, key=repository / KEY_FILE, fingerprint=made["fingerprint"]
    )


def _made(repository: Path) -> dict[str, Any]:
    path = repository / "made.json"
    try:
        made: dict[str, Any] = json.loads(path.read_bytes())
        str(made["fingerprint"]), dict(made["inputs"])
    except (ValueError, KeyError, TypeError) as error:
        raise DocumentError(
            f"{path}: not what a make of the sandbox wrote: {error}",
            hint=f"remove {repository}: it is made again",
        ) from error
    return made


def _inputs(closure: closures.Closure) -> dict[str, str]:
    return {
        "the table": combined(
            {name: sha256_file(HERE / name) for name in ("packages.yaml", "zoo.yaml")}
        ),
        "the fix-up files": sha256_tree(FIXUPS),
        "the code of goldpress/sandbox": sha256_tree(HERE, list(HERE.glob("*.py"))),
        "the set of Debian packages": sha256_bytes(closures.closure_json(closure)),
    }


def _why(work: Path, inputs: Mapping[str, str]) -> str:
    """Why the product has to be made again; empty when it stands."""
    if not (work / "repository" / "made.json").is_file():
        return "there is none yet"
    before = _made(work / "repository")["inputs"]
    changed = [name for name, value in inputs.items() if before.get(name) != value]
    return f"{' and '.join(changed)} changed" if changed else ""


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """One make at a time; another one says that it waits, then finds the product."""
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("sandbox: another make is under way; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
