"""Owns the one run of rpmbuild: what each package is, and the RPMs that come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from goldpress.errors import BuildError
from goldpress.host.run import run
from goldpress.sandbox.closure import Closure
from goldpress.sandbox.layout import Content
from goldpress.sandbox.relations import requires, rpm_version
from goldpress.sandbox.spec import Rpm, files_text, spec_text
from goldpress.sandbox.table import Table


def plan_rpms(table: Table, closure: Closure, contents: Mapping[str, Content]) -> list[Rpm]:
    """Every package of the table with its version, relations and content. Raises BuildError."""
    debs = closure.by_name
    rpms: list[Rpm] = []
    for name, package in table.packages.items():
        if package.parts:
            first = debs[package.parts[0].deb]
            version, release = rpm_version(first.version)
            origin = f"Debian's {first.name} {first.version}"
        else:
            version, release, origin = package.version, "1.sandbox", "goldpress"
        rpms.append(
            Rpm(
                name=name,
                version=version,
                release=release,
                origin=origin,
                requires=requires(name, package, table, debs),
                package=package,
                content=contents[name],
            )
        )
    return rpms


def rpmbuild_argv(spec: Path, top: Path) -> list[str | Path]:
    """How to build `spec` below `top`."""
    return ["rpmbuild", "-bb", "--target", "x86_64", "--define", f"_topdir {top}", spec]


def build_rpms(rpms: Sequence[Rpm], scratch: Path, *, epoch: int) -> list[Path]:
    """Build `rpms` from the files at `scratch`/tree, dated `epoch`; the files, sorted.

    Raises CommandError, BuildError when a package did not come out.
    """
    lists = scratch / "lists"
    lists.mkdir()
    for rpm in rpms:
        (lists / rpm.name).write_text(files_text(rpm))
    spec = scratch / "sandbox.spec"
    spec.write_text(spec_text(rpms, tree=scratch / "tree", lists=lists))
    # The user's ~/.rpmmacros has no say in what the packages are.
    env = {"SOURCE_DATE_EPOCH": str(epoch), "HOME": str(scratch)}
    argv = rpmbuild_argv(spec, scratch / "rpmbuild")
    run(argv, env=env, merge=True, what="rpmbuild of the sandbox")
    built = sorted((scratch / "rpmbuild" / "RPMS").rglob("*.rpm"))
    if len(built) != len(rpms):
        raise BuildError(f"rpmbuild wrote {len(built)} packages of {len(rpms)}")
    return built
