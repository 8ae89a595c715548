"""Owns installing packages: exactly the locked RPMs, by dnf, confined, into an empty tree.

dnf sees one repository that holds the locked packages and nothing else, so it can only choose
what the lock chose. Signatures were judged before (`goldpress.mirror.trust`); a warning that
rpm prints and forgives (an unknown owner, a failed scriptlet) is an error here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldpress.errors import BuildError
from goldpress.host import trees
from goldpress.host.confine import Confinement
from goldpress.host.run import run
from goldpress.mirror.trust.packages import TrustedPackages

#: The rpm database lives on the read-only root, not on the writable /var: it tells what the
#: image *is*. EL10 keeps it there too.
RPM_DATABASE = "/usr/lib/sysimage/rpm"

#: kernel-install plug-ins that would write boot entries or run dracut at each kernel package;
#: the names are those of CentOS Stream 9's and Debian's packages. depmod stays.
KERNEL_INSTALL_MASKED = (
    "20-grub.install", "40-dracut.install", "50-dracut.install", "51-dracut-rescue.install",
    "55-initrd.install", "90-loaderentry.install", "90-uki-copy.install",
    "92-crashkernel.install", "92-tuned.install", "99-grub-mkconfig.install",
)  # fmt: skip

#: rpm warns that it has no key for each package: the target's database is empty by design, the
#: signatures were judged against the allowed keys before.
FORGIVEN = (re.compile(r"Signature, key ID [0-9a-f]+: NOKEY$"),)
SUSPECT = re.compile(
    r"does not exist - using|scriptlet failed|^(warning|error)\b|\b(warning|error): ",
    re.IGNORECASE,
)

DNF_CONFIGURATION = """\
[main]
installroot=/target
reposdir=/nowhere
pluginconfpath=/nowhere
cachedir=/tmp/dnf-cache
plugins=0
gpgcheck=0
install_weak_deps=0
best=1
strict=1
skip_if_unavailable=0
tsflags=nodocs
keepcache=0
zchunk=0
module_platform_id=platform:{platform}

[locked]
name=exactly the locked packages
baseurl=file:///repository
module_hotfixes=1
"""


def dnf_argv(packages: Sequence[str], *, release: str) -> tuple[str, ...]:
    """The dnf command inside the confinement that installs these NEVRAs."""
    return (
        "dnf", "--config=/configuration/dnf.conf", "--installroot=/target",
        f"--releasever={release}", "--noplugins", "--assumeyes", "--quiet", "install", *packages,
    )  # fmt: skip


def complaints(output: str) -> list[str]:
    """The lines of rpm's and dnf's output that must not be forgiven."""
    lines = (line.strip() for line in output.splitlines())
    return [
        line
        for line in lines
        if SUSPECT.search(line) and not any(rule.search(line) for rule in FORGIVEN)
    ]


def install(trusted: TrustedPackages, directory: Path) -> Mapping[str, Any]:
    """Install the packages into ``directory/tree``. Returns facts about it.

    Raises CommandError when dnf fails, and BuildError when it succeeds with a complaint or the
    result is not exactly the lock.
    """
    lock = trusted.lock
    tree = directory / "tree"
    repository = directory / "repository"
    configuration = directory / "configuration"
    for path in (tree, repository, configuration):
        path.mkdir()
    for package, path in zip(lock.packages, trusted.paths, strict=True):
        shutil.copyfile(path, repository / f"{package.rpm_name}.rpm")
    run(
        ("createrepo_c", "--quiet", "--no-database", "--workers", "2", repository),
        what="index the locked packages",
    )
    (configuration / "dnf.conf").write_text(DNF_CONFIGURATION.format(platform=lock.platform))
    (configuration / ".rpmmacros").write_text(
        f"%_dbpath {RPM_DATABASE}\n"
        # mounts that are only there while scriptlets run; their directories are made below
        "%_netsharedpath /proc:/sys:/dev\n"
        "%_install_langs C:en\n"
    )
    trees.apply(tree, _skeleton())
    done = Confinement(
        readable={"/repository": repository, "/configuration": configuration},
        writable={"/target": tree},
        api_mounts="/target",
    ).run(
        dnf_argv([p.nevra for p in lock.packages], release=lock.platform.removeprefix("el")),
        env={"HOME": "/configuration", "SOURCE_DATE_EPOCH": str(lock.source_date_epoch)},
        merge=True,
        what="install the locked packages",
        timeout=1800,
    )
    if found := complaints(done.text):
        raise BuildError(
            f"installing the packages: rpm complained: {found[0]}",
            hint=f"{len(found)} such lines; a user, group or program that a package needs is "
            "not provided by any locked package",
        )
    sizes = _check_installed(tree, [p.nevra for p in lock.packages])
    kernel = _kernel_version(tree)
    _check_no_initramfs(tree)
    Confinement(root=tree).run(("depmod", "-a", kernel), what="depmod")
    trees.apply(tree, _leftovers())
    for path in (repository, configuration):
        run(("rm", "-rf", path))
    return {"packages": len(lock.packages), "kernel": kernel, "largest": largest(sizes)}


def _skeleton() -> list[trees.Change]:
    """What has to be there before the first package."""
    directories = [
        trees.Change(kind="directory", path=path, mode=0o755) for path in ("/proc", "/sys", "/dev")
    ]
    masks = [
        trees.Change(kind="link", path=f"/etc/kernel/install.d/{name}", target="/dev/null")
        for name in KERNEL_INSTALL_MASKED
    ]
    return [*directories, *masks]


def _leftovers() -> list[trees.Change]:
    """What the installation leaves that is not part of an image."""
    names = [f"/etc/kernel/install.d/{name}" for name in KERNEL_INSTALL_MASKED]
    names += ["/var/lib/dnf", "/var/cache/dnf", "/var/lib/rpm-state", "/var/log/dnf.log"]
    names += ["/var/log/dnf.librepo.log", "/var/log/dnf.rpm.log", "/var/log/hawkey.log"]
    return [trees.Change(kind="remove", path=name) for name in names]


def installed_argv(database: str) -> tuple[str, ...]:
    """The rpm command that lists every installed NEVRA and its bytes, epoch always written."""
    return (
        "rpm", "--dbpath", database, "-qa", "--qf",
        "%{NAME}-%{EPOCHNUM}:%{VERSION}-%{RELEASE}.%{ARCH} %{LONGSIZE}\\n",
    )  # fmt: skip


def _check_installed(tree: Path, wanted: Sequence[str]) -> dict[str, int]:
    """NEVRA to installed bytes. Raises BuildError when it is not exactly what was wanted."""
    # rpm opens the database for writing (its WAL), so the host's works on a copy.
    script = f'cp -r /target{RPM_DATABASE} /tmp/db && exec "$@"'
    done = Confinement(readable={"/target": tree}).run(
        ("sh", "-c", script, "sh", *installed_argv("/tmp/db")), what="read the rpm database"
    )
    sizes = {row[0]: int(row[1]) for row in map(str.split, done.text.splitlines())}
    missing, extra = sorted(set(wanted) - set(sizes)), sorted(set(sizes) - set(wanted))
    if missing or extra:
        raise BuildError(
            f"the installed packages are not the lock: missing {missing[:5]}, extra {extra[:5]}"
        )
    return sizes


def largest(sizes: Mapping[str, int], count: int = 10) -> dict[str, int]:
    """The `count` packages with the most bytes, largest first."""
    rows = sorted(sizes.items(), key=lambda row: (-row[1], row[0]))
    return dict(rows[:count])


def _check_no_initramfs(tree: Path) -> None:
    """Raises BuildError when a kernel's scriptlet ran dracut: it runs once, later, for the disk."""
    found = [*tree.glob("boot/*init*"), *tree.glob("usr/lib/modules/*/init*")]
    if found:
        raise BuildError(
            f"/{found[0].relative_to(tree)}: a kernel scriptlet made an initramfs",
            hint="add its kernel-install plug-in to KERNEL_INSTALL_MASKED",
        )


def _kernel_version(tree: Path) -> str:
    found = sorted((tree / "usr/lib/modules").glob("*/vmlinuz"))
    if len(found) != 1:
        raise BuildError(
            f"the image needs exactly one kernel, found {len(found)} under /usr/lib/modules",
            hint="name `kernel-core` in image.yaml, then `./inv lock`",
        )
    return found[0].parent.name
