"""Installing: what dnf is told, and which of rpm's forgiving lines are not forgiven."""

from pathlib import Path

import pytest

from goldpress.errors import BuildError
from goldpress.rootfs import install


@pytest.mark.parametrize(
    "line",
    [
        "warning: user nginx does not exist - using root",
        "warning: group apache does not exist - using root",
        "warning: %post(audit-3.0.9-1.x86_64) scriptlet failed, exit status 1",
        "Error in POSTIN scriptlet in rpm package audit",
        "error: lua script failed",
        "  Warning: RPMDB altered outside of DNF.",
    ],
)
def test_complaints_are_not_forgiven(line: str) -> None:
    assert install.complaints(f"Installing : audit 1/2\n{line}\nInstalled:\n") == [line.strip()]


def test_a_missing_key_is_forgiven_since_signatures_were_judged_before() -> None:
    line = "warning: /repository/a.rpm: Header V4 RSA/SHA256 Signature, key ID 8483c65d: NOKEY"
    assert install.complaints(f"{line}\nCreated symlink /etc/x.\n") == []


def test_dnf_is_told_exact_versions_and_no_plugin() -> None:
    argv = install.dnf_argv(["bash-0:5.1-1.el9.x86_64"], release="9")
    assert argv[0] == "dnf"
    assert {"--installroot=/target", "--releasever=9", "--noplugins"} < set(argv)
    assert argv[-2:] == ("install", "bash-0:5.1-1.el9.x86_64")
    text = install.DNF_CONFIGURATION.format(platform="el9")
    for line in ("install_weak_deps=0", "strict=1", "skip_if_unavailable=0", "plugins=0"):
        assert f"\n{line}\n" in text


def test_largest_packages_come_first() -> None:
    assert list(install.largest({"a": 1, "c": 3, "b": 3, "d": 2}, count=3)) == ["b", "c", "d"]


def test_one_kernel_and_no_initramfs(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="exactly one kernel, found 0"):
        install._kernel_version(tmp_path)  # noqa: SLF001 - what `install` stands on
    modules = tmp_path / "usr/lib/modules/5.14"
    modules.mkdir(parents=True)
    (modules / "vmlinuz").touch()
    assert install._kernel_version(tmp_path) == "5.14"  # noqa: SLF001 - as above
    install._check_no_initramfs(tmp_path)  # noqa: SLF001 - as above
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/initramfs-5.14.img").touch()
    with pytest.raises(BuildError, match=r"/boot/initramfs-5\.14\.img: a kernel scriptlet made"):
        install._check_no_initramfs(tmp_path)  # noqa: SLF001 - as above
