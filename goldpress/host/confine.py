"""Owns confinement: a user namespace, no network, and only the files that a step names.

The same for root and for an ordinary user: `unshare` maps the caller to root of a new user
namespace with the subordinate ids of /etc/subuid, and bubblewrap then builds a file system that
holds the host's /usr read-only and nothing else of the host. A package script that breaks out of
its chroot finds no network, no home, no other process, and no host root.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goldpress.errors import MissingError
from goldpress.host.run import CLEAN_ENVIRONMENT, Completed, run

#: Files of the host's /etc that its programs need to start; none tells who or where we are.
#: /etc/alternatives because Debian's programs are often links through it.
HOST_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/openssl.cnf")

USER_NAMESPACE = (
    "unshare", "--map-root-user", "--map-auto", "--mount", "--fork", "--kill-child", "--",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a confined program may see beside the host's read-only /usr.

    `writable` and `readable` map a path inside to a path of the host. With `root`, the program
    runs inside that tree instead of beside the host's /usr (as a chroot would, but confined).
    """

    writable: Mapping[str, Path] = field(default_factory=dict)
    readable: Mapping[str, Path] = field(default_factory=dict)
    root: Path | None = None
    root_writable: bool = True
    #: a tree inside (such as a dnf target) that gets /proc, /dev, /tmp and /run of its own
    api_mounts: str = ""
    chdir: str = "/"

    def argv(self, command: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
        """The whole command line that runs `command` confined."""
        return (*USER_NAMESPACE, *self._bwrap(), "--", *(os.fspath(c) for c in command))

    def _bwrap(self) -> tuple[str, ...]:
        words = [
            "bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
            "--hostname", "goldpress", "--die-with-parent", "--new-session", "--cap-add", "ALL",
        ]  # fmt: skip
        if self.root is None:
            words += ["--ro-bind", "/usr", "/usr"]
            for name in ("bin", "sbin", "lib", "lib64"):
                words += ["--symlink", f"usr/{name}", f"/{name}"]
            for name in HOST_ETC:
                words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
            words += ["--dir", "/var/tmp", "--tmpfs", "/run"]
        else:
            bind = "--bind" if self.root_writable else "--ro-bind"
            words += [bind, os.fspath(self.root), "/", "--tmpfs", "/run"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for inside, outside in sorted(self.readable.items()):
            words += ["--ro-bind", os.fspath(outside), inside]
        for inside, outside in sorted(self.writable.items()):
            words += ["--bind", os.fspath(outside), inside]
        if self.api_mounts:
            words += ["--proc", f"{self.api_mounts}/proc", "--dev", f"{self.api_mounts}/dev"]
            words += ["--tmpfs", f"{self.api_mounts}/tmp", "--tmpfs", f"{self.api_mounts}/run"]
        return (*words, "--chdir", self.chdir, "--clearenv", *_environment_words({}))

    def run(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float | None = None,
        check: bool = True,
        merge: bool = False,
        what: str = "",
    ) -> Completed:
        """Run `command` confined; the rest is `goldpress.host.run.run`'s. Raises CommandError."""
        inner = ("env", *(f"{k}={v}" for k, v in sorted((env or {}).items())), *command)
        return run(
            self.argv(inner), stdin=stdin, timeout=timeout, check=check, merge=merge, what=what
        )


def _environment_words(extra: Mapping[str, str]) -> list[str]:
    words: list[str] = []
    for name, value in {**CLEAN_ENVIRONMENT, "HOME": "/tmp", **extra}.items():
        words += ["--setenv", name, value]
    return words


def in_namespace(command: Sequence[str | os.PathLike[str]], *, what: str = "") -> Completed:
    """Run a host program as root of the user namespace, with the host's files in sight.

    For our own file work on trees that belong to subordinate ids (copy, remove): no code of an
    image runs here.
    """
    return run((*USER_NAMESPACE, *command), what=what)


def remove_tree(path: Path) -> None:
    """Remove a tree whose files belong to subordinate ids. Missing is fine."""
    if path.exists() or path.is_symlink():
        in_namespace(("rm", "-rf", "--one-file-system", path), what=f"remove {path.name}")


def check_subordinate_ids() -> None:
    """Raises MissingError when the caller has no 65,536 subordinate user and group ids."""
    user = getpass.getuser()
    for name in ("/etc/subuid", "/etc/subgid"):
        if not has_subordinate_ids(Path(name), user=user, uid=os.getuid()):
            raise MissingError(
                f"user {user} has no subordinate ids in {name}: builds run in a user namespace",
                hint=f"once, as root: {' '.join(subordinate_ids_argv(user))}",
            )


def has_subordinate_ids(path: Path, *, user: str, uid: int) -> bool:
    """Whether subuid(5) file `path` gives `user` (by name or number) at least 65,536 ids."""
    try:
        rows = [line.split(":") for line in path.read_text().splitlines()]
    except OSError:
        return False
    return any(
        len(row) == len(("name", "start", "count"))
        and row[0] in (user, str(uid))
        and int(row[2]) >= 1 << 16
        for row in rows
    )


def subordinate_ids_argv(user: str, *, start: int = 1 << 19) -> tuple[str, ...]:
    """The command that gives `user` subordinate ids; it needs root."""
    span = f"{start}-{start + (1 << 16) - 1}"
    return ("usermod", "--add-subuids", span, "--add-subgids", span, user)
