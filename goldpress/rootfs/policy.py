"""Owns the image's SELinux policy: our CIL modules and booleans compiled into its store.

Compiled by the image's own semodule inside the image's root, so that tool and policy versions
match. Module assertions are switched on (`expand-check=1`; EL9 and Debian ship 0, which makes
every neverallow silent).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goldpress.definition import Definition, SELinux
from goldpress.errors import BuildError, CommandError
from goldpress.host.confine import Confinement, in_namespace
from goldpress.host.run import failure_text
from goldpress.rootfs.overlay import TEMPLATE_SUFFIX, expand, render, template_names
from goldpress.rootfs.pools import plan_pools

POLICY_TYPE = "targeted"
PRIORITY = "400"

#: The control that a policy breaks which allows what a neverallow forbids.
ASSERTIONS = "os-selinux-assertions"
#: What semodule says of such a policy: the assertion; and for each rule that breaks it the place
#: where it comes from, which may be a call, the blocks around it, and the rule.
FORBIDDEN = re.compile(r"neverallow check failed at \S*?([\w.-]+)/cil:(\d+)\s+(\(neverallow .*\))")
ALLOWED = re.compile(r"<root>\n\s+\w+ at \S*?([\w.-]+)/cil:(\d+)\n(?:\s+\w+ at .*\n)*\s+(\(.*\))")


def semodule_argv(modules: Sequence[str], disabled: Sequence[str] = ()) -> tuple[str, ...]:
    """Install these module files and rebuild, without loading anything into a kernel.

    `disabled` are modules of the store, by name, that the policy is to be without.
    """
    base = ("semodule", "-N", "-s", POLICY_TYPE)
    off = tuple(word for name in disabled for word in ("-d", name))
    return (*base, *off, "-X", PRIORITY, "-i", *modules) if modules else (*base, *off, "-B")


def booleans_local(booleans: Mapping[str, bool]) -> str:
    """The store's booleans.local, as `setsebool -P` writes it."""
    return "".join(f"{name}={int(on)}\n" for name, on in sorted(booleans.items()))


def plan_modules(definition: Definition) -> dict[str, bytes]:
    """File name -> text of every CIL module of the image; templates are rendered.

    semodule takes a module's name from its file's. Raises BuildError as rendering does.
    """
    given = template_names(definition)
    pools = plan_pools(definition)
    modules: dict[str, bytes] = {}
    for path in definition.selinux_modules:
        for name, known in expand(path.name, given, pools):
            is_template = name.endswith(TEMPLATE_SUFFIX)
            text = render(path, known) if is_template else path.read_bytes()
            modules[name.removesuffix(TEMPLATE_SUFFIX)] = text
    return dict(sorted(modules.items()))


def compile_policy(
    tree: Path,
    modules: Mapping[str, bytes],
    settings: SELinux,
    directory: Path,
    *,
    what_to_do: str,
) -> Mapping[str, Any]:
    """Compile into ``directory/etc-selinux`` and ``directory/store``.

    Raises BuildError for a policy that breaks an assertion, with `what_to_do` about it, and
    CommandError for one that does not compile.
    """
    etc, store, work = directory / "etc-selinux", directory / "store", directory / "work"
    work.mkdir()
    in_namespace(("cp", "-a", tree / "etc/selinux", etc))
    in_namespace(("cp", "-a", tree / "var/lib/selinux", store))
    for name, text in modules.items():
        (work / name).write_bytes(text)
    semanage = etc / "semanage.conf"
    if not semanage.exists():
        raise BuildError("the image has no /etc/selinux/semanage.conf", hint="lock `libsemanage`")
    lines = [
        line for line in semanage.read_text().splitlines() if not line.startswith("expand-check")
    ]
    semanage.write_text("\n".join([*lines, "expand-check=1", ""]))
    active = store / POLICY_TYPE / "active"
    (active / "booleans.local").write_text(booleans_local(settings.booleans))
    confinement = Confinement(
        root=tree,
        root_writable=False,
        readable={"/tmp/modules": work},
        writable={"/etc/selinux": etc, "/var/lib/selinux": store},
    )
    what = "compile the SELinux policy"
    # What a stand-in's policy does not have cannot be disabled there.
    disabled = [name for name in settings.disabled if any(active.glob(f"modules/*/{name}"))]
    argv = semodule_argv([f"/tmp/modules/{name}" for name in modules], disabled)
    done = confinement.run(argv, check=False, merge=True, what=what)
    if broken := broken_assertions(done.text):
        rows = [f"the SELinux policy breaks {len(broken)} of the image's assertions"]
        rows += [f"  {ASSERTIONS}: {row}" for row in broken]
        raise BuildError(
            "\n".join([*rows, f"    what to do: {what_to_do}"]), hint="no tree was made with it"
        )
    if done.returncode != 0:
        raise CommandError(failure_text(done, what=what))
    policies = sorted((etc / POLICY_TYPE / "policy").glob("policy.*"))
    if len(policies) != 1:
        raise BuildError(f"expected one compiled SELinux policy, found {len(policies)}")
    policy = policies[0].name
    check_contexts(confinement, policy)
    in_namespace(("rm", "-rf", work))
    return {"policy": policy}


def broken_assertions(output: str) -> list[str]:
    """What semodule's output tells of rules that a neverallow forbids, a line for each."""
    return list(_broken(output.split("\n\n")))


def _broken(paragraphs: Iterable[str]) -> Iterable[str]:
    for text in paragraphs:
        if forbidden := FORBIDDEN.search(text):
            rules = [f"{m[1]}.cil:{m[2]} {m[3]}" for m in ALLOWED.finditer(text)]
            told = ", ".join(rules) or " ".join(text.split())
            yield f"{told} against {forbidden[1]}.cil:{forbidden[2]} {forbidden[3]}"


def check_contexts(confinement: Confinement, policy: str) -> None:
    """Raises CommandError when a file context names a type that the compiled policy lacks.

    Without `-c`, setfiles takes any type on a host without SELinux and exits 0.
    """
    base = f"/etc/selinux/{POLICY_TYPE}"
    confinement.run(
        ("setfiles", "-c", f"{base}/policy/{policy}", f"{base}/contexts/files/file_contexts"),
        what="check the file contexts against the compiled policy",
    )
