"""Owns making the sandbox's repository: from Debian's packages to signed RPMs with metadata.

    WORK/repository/        the product: RPMs, repodata/, the public key, made.json
    WORK/debs/ closure.json key/   kept between makes
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

from goldpress.digest import canonical_json, combined, sha256_file, sha256_tree
from goldpress.errors import BuildError
from goldpress.host.run import run
from goldpress.progress import note, step
from goldpress.sandbox import closure as closures
from goldpress.sandbox import mirror, policy, signing
from goldpress.sandbox.assembly import assemble, lay_out
from goldpress.sandbox.relations import requires, rpm_version
from goldpress.sandbox.spec import Rpm, files_text, spec_text
from goldpress.sandbox.table import Table, load_tables
from goldpress.sandbox.tree import read_tree, unpack

HERE = Path(__file__).parent
FIXUPS = HERE / "files"
POLICY_PACKAGE = "selinux-policy-targeted"
KEY_FILE = "RPM-GPG-KEY-goldpress-sandbox"


@dataclass(frozen=True, kw_only=True)
class SandboxRepository:
    """`root` holds RPMs and repodata/; `key` is the armoured public key; 40 upper-case hex."""

    root: Path
    key: Path
    fingerprint: str


def make_sandbox(work: Path, *, refresh: bool = False) -> SandboxRepository:
    """The sandbox's repository below `work`, made when it is not there or its makings changed.

    With `refresh` the set of Debian packages is chosen anew, from the network; otherwise the set
    that was chosen stands. Raises MissingError, BuildError, CommandError, TrustError.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work):
        table = load_tables(HERE)
        kept = None if refresh else closures.read_closure(work / "closure.json")
        if kept is not None and kept.wanted == table.wanted:
            why = _why(work, _inputs(kept))
            if not why:
                return read_made(work / "repository")
        else:
            why = "the set of Debian packages is chosen anew" if refresh or kept else "none yet"
            kept = None
        return _make(work, table, kept, why)


def _make(work: Path, table: Table, kept: closures.Closure | None, why: str) -> SandboxRepository:
    note(f"the sandbox is made: {why}")
    apt = mirror.Apt(state=work / "apt")
    if kept is None:
        with step("sandbox: choose Debian's packages") as now:
            apt.prepare(mirror.find_sources(os.environ))
            kept = closures.resolve(apt, table.wanted)
            now.update(f"{len(kept.debs)} packages")
    table = load_tables(HERE, kernel=kept.kernel)
    closures.check_mapped(kept, table)
    inputs = _inputs(kept)
    with step("sandbox: download") as now:
        count = _download(apt, kept, table, work / "debs")
        now.update(f"{count} packages")
    closures.store_closure(work / "closure.json", kept)
    scratch = work / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        _fill(scratch, work, table, kept, inputs)
        return _put_in_place(scratch, work)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(apt: mirror.Apt, kept: closures.Closure, table: Table, folder: Path) -> int:
    debs = closures.kept(kept, table)
    if all((folder / deb.file_name).is_file() for deb in debs):
        return closures.download(apt, debs, folder)
    if not (apt.state / "apt.conf").is_file():
        apt.prepare(mirror.find_sources(os.environ))
        apt.run("apt-get", "-qq", "update", what="update Debian's indexes")
    return closures.download(apt, debs, folder)


def _fill(
    scratch: Path, work: Path, table: Table, kept: closures.Closure, inputs: Mapping[str, str]
) -> None:
    """Make the whole product in `scratch`/repository."""
    files = {d.name: work / "debs" / d.file_name for d in closures.kept(kept, table)}
    epoch = closures.newest_epoch(files.values())
    with step("sandbox: unpack") as now:
        roots = unpack(files, scratch / "debs")
        now.update(f"{len(roots)} packages")
    with step("sandbox: compile the SELinux policy"):
        extra = FIXUPS / POLICY_PACKAGE / "sandbox.cil"
        compiled = policy.compile_policy(roots["selinux-policy-default"], extra, scratch / "policy")
    with step("sandbox: cut packages") as now:
        trees = {name: read_tree(root) for name, root in roots.items()}
        contents = assemble(table, trees, fixups=FIXUPS, generated={POLICY_PACKAGE: compiled})
        lay_out(contents, scratch / "tree", epoch=epoch)
        rpms = [_rpm(name, table, kept, contents) for name in table.packages]
        now.update(f"{len(rpms)} packages")
    with step("sandbox: rpmbuild") as now:
        built = build_rpms(rpms, scratch, epoch=epoch)
        now.update(f"{len(built)} packages")
    with step("sandbox: sign"):
        key = signing.load_key(work / "key" / "secret.gpg")
        signing.sign(built, key, epoch=epoch)
    with step("sandbox: repository"):
        repository = scratch / "repository"
        repository.mkdir()
        for rpm in built:
            rpm.rename(repository / rpm.name)
        (repository / KEY_FILE).write_bytes(key.public)
        argv = ["createrepo_c", "--quiet", "--no-database", "--workers", "2"]
        argv += ["--revision", str(epoch), "--set-timestamp-to-revision"]
        run([*argv, str(repository)], what="make the repository's metadata")
        made = {"fingerprint": key.fingerprint, "inputs": dict(inputs)}
        (repository / "made.json").write_bytes(canonical_json(made))


def _rpm(name: str, table: Table, kept: closures.Closure, contents: Mapping[str, object]) -> Rpm:
    package = table.packages[name]
    debs = kept.by_name
    if package.parts:
        first = debs[package.parts[0].deb]
        version, release = rpm_version(first.version)
        origin = f"Debian's {first.name} {first.version}"
    else:
        version, release, origin = package.version, "1.sandbox", "goldpress"
    return Rpm(
        name=name,
        version=version,
        release=release,
        origin=origin,
        requires=requires(name, package, table, debs),
        package=package,
        content=contents[name],  # type: ignore[arg-type]
    )


def build_rpms(rpms: list[Rpm], scratch: Path, *, epoch: int) -> list[Path]:
    """Run rpmbuild once over `scratch`/tree; the packages it wrote, sorted. Raises BuildError."""
    lists = scratch / "lists"
    lists.mkdir()
    for rpm in rpms:
        (lists / rpm.name).write_text(files_text(rpm))
    spec = scratch / "sandbox.spec"
    spec.write_text(spec_text(rpms, tree=scratch / "tree", lists=lists))
    argv: list[str | Path] = ["rpmbuild", "-bb", "--target", "x86_64"]
    argv += ["--define", f"_topdir {scratch / 'rpmbuild'}", spec]
    # The user's ~/.rpmmacros has no say in what the packages are.
    env = {"SOURCE_DATE_EPOCH": str(epoch), "HOME": str(scratch)}
    run(argv, env=env, merge=True, what="rpmbuild of the sandbox")
    built = sorted((scratch / "rpmbuild" / "RPMS").rglob("*.rpm"))
    if len(built) != len(rpms):
        raise BuildError(f"rpmbuild wrote {len(built)} packages of {len(rpms)}")
    return built


def _put_in_place(scratch: Path, work: Path) -> SandboxRepository:
    final = work / "repository"
    if final.exists():
        final.rename(scratch / "before")
    (scratch / "repository").rename(final)
    return read_made(final)


def read_made(repository: Path) -> SandboxRepository:
    """The product that lies at `repository`."""
    made = json.loads((repository / "made.json").read_bytes())
    return SandboxRepository(
        root=repository, key=repository / KEY_FILE, fingerprint=made["fingerprint"]
    )


def _inputs(closure: closures.Closure) -> dict[str, str]:
    code = [p for p in HERE.glob("*.py")]
    return {
        "the table": combined(
            {name: sha256_file(HERE / name) for name in ("packages.yaml", "zoo.yaml")}
        ),
        "the fix-up files": sha256_tree(FIXUPS),
        "the code of goldpress/sandbox": sha256_tree(HERE, code),
        "the set of Debian packages": combined({d.name: d.sha256 for d in closure.debs}),
    }


def _why(work: Path, inputs: Mapping[str, str]) -> str:
    """Why the product has to be made again; empty when it stands."""
    made = work / "repository" / "made.json"
    if not made.is_file():
        return "none yet"
    before = json.loads(made.read_bytes())["inputs"]
    changed = [name for name, value in inputs.items() if before.get(name) != value]
    return f"changed: {', '.join(changed)}" if changed else ""


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """One make at a time; another one waits, then finds the product."""
    with (work / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
