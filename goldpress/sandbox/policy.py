"""Owns the SELinux policy of the sandbox: Debian's modules compiled into a store named targeted.

Compiling takes half a minute, and the table changes more often than the policy: the last compiled
one is kept beside its key.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from goldpress.digest import combined, sha256_file, short
from goldpress.errors import BuildError
from goldpress.host.run import run

STORE = "targeted"
PRIORITY = "100"
DEBIAN_STORE = "default"

# `usepasswd` off: homes are below /home, whoever has an account where the sandbox is made.
_SEMANAGE = """\
module-store = direct
expand-check = 0
usepasswd = false
bzip-blocksize = 1
bzip-small = true
"""


def semodule_argv(root: Path, modules: list[Path]) -> list[str | Path]:
    """How to compile `modules` into the store below `root`, loading nothing."""
    argv: list[str | Path] = ["semodule", "-p", root, "-s", STORE, "-N", "-X", PRIORITY]
    for module in modules:
        argv += ["-i", module]
    return argv


def compile_policy(debian: Path, extra: Path, root: Path) -> None:
    """Compile every module of the unpacked selinux-policy-default, and `extra` (CIL), in `root`.

    `root` then holds /etc/selinux/targeted and /var/lib/selinux/targeted, and nothing else.
    Raises BuildError without modules, CommandError when one does not link.
    """
    modules = sorted((debian / "usr/share/selinux" / DEBIAN_STORE).glob("*.pp.bz2"))
    if not modules:
        raise BuildError(f"{debian.name}: no policy modules in it")
    settings = root / "etc/selinux"
    settings.mkdir(parents=True)
    shutil.copytree(debian / "etc/selinux" / DEBIAN_STORE, settings / STORE)
    (settings / "semanage.conf").write_text(_SEMANAGE)
    (settings / "config").write_text(f"SELINUX=enforcing\nSELINUXTYPE={STORE}\n")
    (root / "var/lib/selinux").mkdir(parents=True)
    run(semodule_argv(root, [*modules, extra]), what="compile the SELinux policy")
    for needless in ("semanage.conf", "config"):
        (settings / needless).unlink()
    # libsemanage's workshop, and its locks.
    shutil.rmtree(root / "var/lib/selinux/final", ignore_errors=True)
    for lock in (root / "var/lib/selinux" / STORE).glob("*.LOCK"):
        lock.unlink()


def policy_key(deb: Path, extra: Path) -> str:
    """What a compiled policy follows from, as twelve hex digits."""
    code = Path(__file__)
    return short(combined({p.name: sha256_file(p) for p in (deb, extra, code)}))


def kept_policy(kept: Path, key: str, *, debian: Path, extra: Path, scratch: Path) -> Path:
    """The compiled policy of `key` below `kept`, compiled in `scratch` first when it is not there.

    Only the newest is kept. Raises as compile_policy does.
    """
    final = kept / key
    if not final.is_dir():
        compile_policy(debian, extra, scratch)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        scratch.rename(final)
    return final
