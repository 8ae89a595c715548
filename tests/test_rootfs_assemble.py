"""The root filesystem: presets, fstab, the rpm database at rest, and hygiene."""

import sqlite3
from pathlib import Path

import pytest
from suites import web_controls

from goldpress.definition import Services
from goldpress.errors import BuildError
from goldpress.host.trees import Entry, apply
from goldpress.rootfs import assemble
from goldpress.rootfs.labels import look_up


def entry(path: str, mode: int, size: int = 0) -> Entry:
    return Entry(path=path, mode=mode, uid=0, gid=0, size=size, mtime=0, links=1)


def test_units_are_turned_off_where_they_are(tmp_path: Path) -> None:
    system = tmp_path / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    for name in ("a.service", "b@.service"):
        (system / name).touch()
    services = Services(
        disable=("a.service", "b@1.service", "not-here.timer"), mask=("not-here.target",)
    )
    assert list(assemble.off_argvs(tmp_path, services)) == [
        ("systemctl", "disable", "a.service", "b@1.service"),
        ("systemctl", "mask", "not-here.target"),
    ]
    assert list(assemble.off_argvs(tmp_path, Services(disable=("not-here.timer",)))) == []


def test_preset_enables_these_and_nothing_else() -> None:
    assert assemble.preset(["a.service", "b.socket"]) == (
        "enable a.service\nenable b.socket\ndisable *\n"
    )


def test_fstab_names_var_by_its_content_and_never_the_root() -> None:
    rows = [r.split() for r in assemble.fstab("0-1").splitlines() if not r.startswith("#")]
    assert [row[1] for row in rows] == ["/var", "/tmp", "/dev/shm"]
    assert rows[0][0] == "PARTUUID=0-1"
    assert "x-systemd.growfs" in rows[0][3].split(",")
    for row in rows[1:]:
        assert {"noexec", "nosuid", "nodev"} < set(row[3].split(","))


@pytest.mark.parametrize(
    ("bad", "control"),
    [
        (entry("/etc/ssh/ssh_host_ed25519_key", 0o100600), "identity-no-baked-host-key"),
        (entry("/home/x/.ssh/authorized_keys", 0o100600), "identity-no-baked-login-key"),
        (entry("/etc/machine-id", 0o100444, 33), "identity-machine-id-baked-empty"),
        (entry("/srv/www/a", 0o100666), "os-world-writable-files"),
        (entry("/srv/www", 0o040777), "os-world-writable-files"),
    ],
)
def test_hygiene_refuses(bad: Entry, control: str) -> None:
    fine = [entry("/tmp", 0o041777), entry("/etc/machine-id", 0o100444), entry("/l", 0o120777)]
    assemble.check_hygiene(fine)
    with pytest.raises(BuildError) as caught:
        assemble.check_hygiene([*fine, bad])
    mode = f"{bad.mode & 0o7777:o}"
    assert caught.value.message == f"{control}: {bad.path} (mode {mode}, {bad.size} bytes)"
    assert caught.value.hint == f"what to do: {assemble.HYGIENE[control]}"


def test_hygiene_removes_what_no_image_may_have_and_leaves_the_folders(tmp_path: Path) -> None:
    left = (
        "etc/yum.repos.d/centos.repo", "etc/ssh/ssh_host_rsa_key", "etc/shadow-",
        "root/.bash_history", "var/log/dnf.log", "var/log/nginx/access.log",
        "var/cache/ldconfig/aux-cache",
    )  # fmt: skip
    kept = ("etc/yum.conf", "etc/ssh/sshd_config", "etc/shadow", "root/.bashrc", "var/lib/x")
    for name in (*left, *kept):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    apply(tmp_path, assemble.plan_hygiene(tmp_path))
    assert [name for name in left if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (tmp_path / "etc/yum.repos.d").is_dir()
    assert (tmp_path / "etc/machine-id").read_bytes() == b""


def test_hygiene_names_controls_that_there_are() -> None:
    assert set(assemble.HYGIENE) < set(web_controls().controls)


def test_the_rpm_database_is_left_without_a_log_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "rpmdb.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE Packages (a)")
    connection.commit()
    connection.close()
    (tmp_path / "rpmdb.sqlite-shm").touch()
    assemble.settle_database(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["rpmdb.sqlite"]
    assert path.read_bytes()[18:20] == b"\1\1"  # the header's "rollback journal" versions


def test_no_rpm_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no rpm database"):
        assemble.settle_database(tmp_path)


def test_labels_come_from_the_images_contexts(tmp_path: Path) -> None:
    contexts = tmp_path / "file_contexts"
    contexts.write_text(
        "/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n/etc/x\t--\tsystem_u:object_r:x_t:s0\n"
        "/proc\t-d\t<<none>>\n"
    )
    entries = [entry("/etc", 0o040755), entry("/etc/x", 0o100644), entry("/proc", 0o040555)]
    assert look_up(contexts, entries) == {
        "/etc": "system_u:object_r:etc_t:s0",
        "/etc/x": "system_u:object_r:x_t:s0",
    }
    with pytest.raises(BuildError, match="/srv: no SELinux context matches it"):
        look_up(contexts, [entry("/srv", 0o040755)])
