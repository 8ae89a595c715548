"""Owns the image's SELinux policy: our CIL modules and booleans compiled into its store.

Compiled by the image's own semodule inside the image's root, so that tool and policy versions
match. Module assertions are switched on (`expand-check=1`; EL9 and Debian ship 0, which makes
every neverallow silent).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldpress.errors import BuildError
from goldpress.host.confine import Confinement, in_namespace

POLICY_TYPE = "targeted"
PRIORITY = "400"


def semodule_argv(modules: Sequence[str]) -> tuple[str, ...]:
    """Install these module files and rebuild, without loading anything into a kernel."""
    base = ("semodule", "-N", "-s", POLICY_TYPE)
    return (*base, "-X", PRIORITY, "-i", *modules) if modules else (*base, "-B")


def booleans_local(booleans: Mapping[str, bool]) -> str:
    """The store's booleans.local, as `setsebool -P` writes it."""
    return "".join(f"{name}={int(on)}\n" for name, on in sorted(booleans.items()))


def compile_policy(
    tree: Path, modules: Sequence[Path], booleans: Mapping[str, bool], directory: Path
) -> Mapping[str, Any]:
    """Compile into ``directory/etc-selinux`` and ``directory/store``. Raises CommandError."""
    etc, store, work = directory / "etc-selinux", directory / "store", directory / "work"
    work.mkdir()
    in_namespace(("cp", "-a", tree / "etc/selinux", etc))
    in_namespace(("cp", "-a", tree / "var/lib/selinux", store))
    for module in modules:
        (work / module.name).write_bytes(module.read_bytes())
    semanage = etc / "semanage.conf"
    if not semanage.exists():
        raise BuildError("the image has no /etc/selinux/semanage.conf", hint="lock `libsemanage`")
    lines = [
        line for line in semanage.read_text().splitlines() if not line.startswith("expand-check")
    ]
    semanage.write_text("\n".join([*lines, "expand-check=1", ""]))
    local = store / POLICY_TYPE / "active" / "booleans.local"
    local.write_text(booleans_local(booleans))
    confinement = Confinement(
        root=tree,
        root_writable=False,
        readable={"/tmp/modules": work},
        writable={"/etc/selinux": etc, "/var/lib/selinux": store},
    )
    confinement.run(
        semodule_argv([f"/tmp/modules/{m.name}" for m in modules]),
        what="compile the SELinux policy",
    )
    policies = sorted((etc / POLICY_TYPE / "policy").glob("policy.*"))
    if len(policies) != 1:
        raise BuildError(f"expected one compiled SELinux policy, found {len(policies)}")
    policy = policies[0].name
    check_contexts(confinement, policy)
    in_namespace(("rm", "-rf", work))
    return {"policy": policy}


def check_contexts(confinement: Confinement, policy: str) -> None:
    """Raises CommandError when a file context names a type that the compiled policy lacks.

    Without `-c`, setfiles takes any type on a host without SELinux and exits 0.
    """
    base = f"/etc/selinux/{POLICY_TYPE}"
    confinement.run(
        ("setfiles", "-c", f"{base}/policy/{policy}", f"{base}/contexts/files/file_contexts"),
        what="check the file contexts against the compiled policy",
    )
