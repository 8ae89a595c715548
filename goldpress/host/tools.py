"""Owns which host programs are needed, what for, and whether this machine can build and boot."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldpress import progress
from goldpress.errors import CommandError, MissingError
from goldpress.host.confine import (
    Confinement,
    check_subordinate_ids,
    has_subordinate_ids,
    subordinate_ids_argv,
)
from goldpress.host.run import CLEAN_ENVIRONMENT, run


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A host program (or file), the Debian package that brings it, and what it is for."""

    program: str
    package: str
    purpose: str

    def path(self) -> Path | None:
        """Where it is, or None."""
        if self.program.startswith("/"):
            found = Path(self.program)
            return found if found.exists() else None
        where = shutil.which(self.program, path=CLEAN_ENVIRONMENT["PATH"])
        return Path(where) if where else None


def _tool(program: str, package: str, purpose: str) -> Tool:
    return Tool(program=program, package=package, purpose=purpose)


TOOLS = (
    _tool("unshare", "util-linux", "user namespaces"),
    _tool("newuidmap", "uidmap", "user namespaces of an ordinary user"),
    _tool("bwrap", "bubblewrap", "confinement of package scripts"),
    _tool("rpm", "rpm", "packages: signatures, database"),
    _tool("rpmbuild", "rpm", "packages of the sandbox"),
    _tool("rpmkeys", "rpm", "packages: signatures"),
    _tool("gpg", "gnupg", "keys: fingerprints, the sandbox's throw-away key"),
    _tool("dnf", "dnf", "installing exactly the locked packages"),
    _tool("createrepo_c", "createrepo-c", "repositories: index of the locked packages"),
    _tool("mke2fs", "e2fsprogs", "file systems: ext4"),
    _tool("debugfs", "e2fsprogs", "file systems: labels and times"),
    _tool("mkfs.vfat", "dosfstools", "file systems: the EFI partition"),
    _tool("mcopy", "mtools", "file systems: the EFI partition's file"),
    _tool("veritysetup", "cryptsetup-bin", "hash tree of the read-only root"),
    _tool("sfdisk", "fdisk", "partition table"),
    _tool("objcopy", "binutils", "unified kernel image"),
    _tool("semodule", "policycoreutils", "SELinux policy of the sandbox"),
    _tool("semodule_expand", "semodule-utils", "SELinux policy of the sandbox"),
    _tool("sesearch", "setools", "what a compiled SELinux policy allows"),
    _tool("apt-get", "apt", "sandbox: Debian packages"),
    _tool("dpkg-deb", "dpkg", "sandbox: Debian packages"),
    _tool("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring",
          "sandbox: who signs Debian's index"),
    _tool("xz", "xz-utils", "sandbox: Debian packages"),
    _tool("zstd", "zstd", "compression of packages"),
    _tool("qemu-system-x86_64", "qemu-system-x86", "booting images"),
    _tool("qemu-img", "qemu-utils", "booting a copy, never the image itself"),
    _tool("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf", "UEFI firmware of local machines"),
    _tool("ssh", "openssh-client", "verifying booted machines"),
    _tool("ssh-keyscan", "openssh-client", "pinning a machine's host key"),
    _tool("git", "git", "which locks are in use; what changed since a commit"),
)  # fmt: skip

#: What bringing and judging packages needs, where no image is built.
MIRROR_TOOLS = tuple(tool for tool in TOOLS if tool.program in {"rpm", "rpmkeys", "gpg", "git"})

#: What only a benchmark compares with.
BENCH_TOOLS = (
    _tool("/usr/lib/python3/dist-packages/dnf-plugins/reposync.py", "dnf-plugins-core",
          "comparing a sync with dnf reposync"),
)  # fmt: skip

#: What only rehearsing a roll under real traffic needs.
BALANCER = _tool("haproxy", "haproxy", "load balancers of the embedded cloud")

#: Packages whose version shapes bytes, by stage; part of a stage's key.
INSTALLERS = ("rpm", "librpm9", "dnf", "libdnf2", "libsolv1", "createrepo-c", "bubblewrap")
LABELLERS = ("libselinux1", "bubblewrap")
#: What the offline checks ask on the host.
JUDGES = ("setools", "bubblewrap")
DISK_MAKERS = ("e2fsprogs", "mtools", "dosfstools", "fdisk", "binutils", "libselinux1",
               "cryptsetup-bin", "libcryptsetup12")  # fmt: skip


def versions(packages: Iterable[str]) -> str:
    """``name=version`` of each host package, for a stage's key.

    Raises MissingError on a host without dpkg's database.
    """
    names = sorted(packages)
    done = run(
        ("dpkg-query", "-W", "-f", "${Package}=${Version} ${db:Status-Status}\\n", *names),
        check=False,
        what="versions of the host's tools",
    )
    rows = [line.split() for line in done.text.splitlines()]
    return " ".join(sorted(row[0] for row in rows if row[1:] == ["installed"]))


def missing(tools: Iterable[Tool] = TOOLS) -> tuple[Tool, ...]:
    """The tools that this machine does not have."""
    return tuple(tool for tool in tools if tool.path() is None)


def install_argv(packages: Sequence[str]) -> tuple[str, ...]:
    """The apt command that installs these packages."""
    return ("apt-get", "install", "--yes", "--no-install-recommends", *packages)


def _as_root() -> tuple[str, ...] | None:
    """How to become root without a question, or None."""
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "-n")
    try:
        return sudo if run((*sudo, "true"), check=False).returncode == 0 else None
    except CommandError:
        return None


def ensure(*also: Tool) -> None:
    """Install what is missing of `TOOLS` and these, when that is possible without a question.

    Raises MissingError with the one command to run otherwise. Costs milliseconds when all is there.
    """
    _ensure((*TOOLS, *also), namespaces=True)


def ensure_mirror() -> None:
    """The same for `MIRROR_TOOLS` alone: a machine that only mirrors boots nothing."""
    _ensure(MIRROR_TOOLS, namespaces=False)


def _ensure(wanted: Sequence[Tool], *, namespaces: bool) -> None:
    lacking = missing(wanted)
    user = getpass.getuser()
    no_ids = namespaces and not all(
        has_subordinate_ids(Path(name), user=user, uid=os.getuid())
        for name in ("/etc/subuid", "/etc/subgid")
    )
    if not lacking and not no_ids:
        return
    packages = sorted({tool.package for tool in lacking})
    for tool in lacking:
        progress.note(f"missing: {tool.program}  (package {tool.package}: {tool.purpose})")
    commands: list[tuple[str, ...]] = []
    if packages:
        commands += [("apt-get", "update"), install_argv(packages)]
    if no_ids:
        commands.append(subordinate_ids_argv(user, start=_free_ids()))
    prefix = _as_root()
    if prefix is None or (packages and shutil.which("apt-get") is None):
        line = " && ".join(shlex.join(c) for c in commands)
        raise MissingError(
            f"{len(packages)} host packages or settings are missing and need root to install",
            hint=f"run once: sudo sh -c {shlex.quote(line)}",
        )
    for command in commands:
        with progress.step(f"setup: {shlex.join(command[:2])}"):
            run((*prefix, *command), env={"DEBIAN_FRONTEND": "noninteractive"}, what="setup")
    if still := missing(wanted):
        raise MissingError(f"after setup these are still missing: {[t.program for t in still]}")
    if namespaces:
        check_subordinate_ids()


def _free_ids() -> int:
    """A start of 65,536 subordinate ids behind everyone else's."""
    ends = [1 << 19]
    for name in ("/etc/subuid", "/etc/subgid"):
        path = Path(name)
        rows = path.read_text().splitlines() if path.exists() else []
        ends += [int(r.split(":")[1]) + int(r.split(":")[2]) for r in rows if r.count(":") == 2]  # noqa: PLR2004 - name:start:count
    return max(ends)


def report() -> list[tuple[str, str, str]]:
    """(what, state, purpose) of every tool and ability, for `invoke doctor`."""
    rows = []
    for tool in (*TOOLS, BALANCER):
        path = tool.path()
        lacking = "MISSING" if tool in TOOLS else "not installed; installed when it is needed"
        state = (versions((tool.package,)).partition("=")[2] or "there") if path else lacking
        rows.append((tool.program, state, tool.purpose))
    rows.append(("user namespaces", _try_namespace(), "builds as an ordinary user"))
    kvm = Path("/dev/kvm")
    access = os.access(kvm, os.R_OK | os.W_OK)
    rows.append(
        (
            "/dev/kvm",
            "accessible; a boot decides whether it works" if access else "not usable: TCG",
            "fast local machines",
        )
    )
    rows.append(("AWS credentials", _aws_credentials(os.environ), "publishing, promoting, rolling"))
    return rows


def _try_namespace() -> str:
    try:
        check_subordinate_ids()
        Confinement().run(("true",), what="a confined program")
    except (CommandError, MissingError) as error:
        return f"NOT USABLE: {error.message.splitlines()[0]}"
    return "usable"


def _aws_credentials(environment: Mapping[str, str]) -> str:
    """Whether a standard source of credentials is configured; their values are never read."""
    if "AWS_PROFILE" in environment:
        return f"profile {environment['AWS_PROFILE']}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        if name in environment:
            return f"from {name}"
    files = (Path.home() / ".aws" / name for name in ("credentials", "config"))
    return "from ~/.aws" if any(path.exists() for path in files) else "none"
