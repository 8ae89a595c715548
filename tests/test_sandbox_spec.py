"""The spec: what rpmbuild is told, word for word."""

import json
from pathlib import Path
from typing import Any

import pytest

from goldpress.sandbox.layout import Content
from goldpress.sandbox.spec import Rpm, escaped, files_text, package_text, scriptlets, spec_text
from goldpress.sandbox.table import Package
from goldpress.sandbox.tree import Entry


def an_rpm(owners: dict[str, tuple[str, str]], **values: Any) -> Rpm:
    """A package whose paths are given as path -> (kind, ownership)."""
    entries = {
        path: Entry(kind=kind, mode=0)  # type: ignore[arg-type]
        for path, (kind, _) in owners.items()
    }
    return Rpm(
        name="chrony",
        version="4.3",
        release="2.sandbox",
        origin="Debian's chrony 4.3-2",
        requires=["glibc", "libcap"],
        package=Package.model_validate_json(json.dumps({"parts": ["chrony"], **values})),
        content=Content(entries=entries, owners={p: o for p, (_, o) in owners.items()}),
    )


def test_a_package() -> None:
    rpm = an_rpm(
        {},
        provides=["ntp = 4"],
        users={"chrony.conf": ['u chrony 992 "NTP" - -']},
        units=["chronyd.service"],
        scriptlets={"post -p <lua>": 'posix.mkdir("/50%")'},
    )
    assert package_text(rpm, file_list=Path("/l/chrony")) == (
        "%package -n chrony\n"
        "Version: 4.3\n"
        "Release: 2.sandbox\n"
        "Summary: Sandbox stand-in: chrony from Debian's chrony 4.3-2\n"
        "AutoReqProv: no\n"
        "Provides: ntp = 4\n"
        "Requires: glibc\n"
        "Requires: libcap\n"
        "Requires(pre): systemd\n"
        "Requires(post): systemd\n"
        "Requires(preun): systemd\n"
        "%description -n chrony\n"
        "Made from Debian's chrony 4.3-2 for rehearsals.\n"
        "%pre -n chrony\n"
        "systemd-sysusers --replace=/usr/lib/sysusers.d/chrony.conf - <<'END'\n"
        'u chrony 992 "NTP" - -\n'
        "END\n"
        "%post -n chrony\n"
        "if [ $1 -eq 1 ] && [ -x /usr/bin/systemctl ]; then\n"
        "    systemctl --no-reload preset chronyd.service || :\n"
        "fi\n"
        "%preun -n chrony\n"
        "if [ $1 -eq 0 ] && [ -x /usr/bin/systemctl ]; then\n"
        "    systemctl --no-reload disable --now chronyd.service || :\n"
        "fi\n"
        "%post -n chrony -p <lua>\n"
        'posix.mkdir("/50%%")\n'
        "%files -n chrony\n"
        "\n"
    )


def test_a_trigger_keeps_its_paths_last() -> None:
    rpm = an_rpm(
        {"/usr/x": ("file", "0644 root root")},
        scriptlets={"transfiletriggerin -P 9 -- /usr/lib": "/sbin/ldconfig"},
    )
    text = package_text(rpm, file_list=Path("/l/chrony"))
    assert "%transfiletriggerin -n chrony -P 9 -- /usr/lib\n/sbin/ldconfig\n" in text
    assert text.endswith("%files -n chrony -f /l/chrony\n\n")


def test_the_file_list() -> None:
    rpm = an_rpm(
        {
            "/etc/x.conf": ("file", "0640 root chrony"),
            "/etc/shadow": ("file", "0000 root root"),
            "/etc/x.d": ("dir", "0750 root chrony"),
            "/proc": ("dir", "0555 root root"),
            "/usr/bin/[": ("file", "0755 root root"),
            "/usr/bin/ping": ("file", "0755 root root"),
            "/usr/share/doc/R": ("file", "0644 root root"),
            "/usr/sbin/x": ("link", "0777 root root"),
        },
        capabilities={"/usr/bin/ping": "cap_net_raw=p"},
        docs=["/usr/share/doc/R"],
        unverified=["/etc/shadow"],
        ghosts={"/proc": "0555 root root", "/run/x": "0644 root root"},
    )
    assert files_text(rpm).splitlines() == [
        '%config(noreplace) %verify(not md5 size mtime) %attr(0000, root, root) "/etc/shadow"',
        '%config(noreplace) %attr(0640, root, chrony) "/etc/x.conf"',
        '%dir %attr(0750, root, chrony) "/etc/x.d"',
        '%ghost %dir %attr(0555, root, root) "/proc"',
        '%attr(0755, root, root) "/usr/bin/["',
        '%caps(cap_net_raw=p) %attr(0755, root, root) "/usr/bin/ping"',
        '"/usr/sbin/x"',
        '%doc %attr(0644, root, root) "/usr/share/doc/R"',
        '%ghost %attr(0644, root, root) "/run/x"',
    ]


@pytest.mark.parametrize(
    ("path", "text"), [("/a b", '"/a b"'), ("/50%x", '"/50%%x"'), ("/[", '"/["')]
)
def test_paths_as_rpmbuild_reads_them(path: str, text: str) -> None:
    assert escaped(path) == text


def test_scriptlets_of_the_table_follow_those_of_units() -> None:
    package = an_rpm({}, units=["a.service"], scriptlets={"post": "true"}).package
    assert scriptlets(package)["post"].splitlines()[-2:] == ["fi", "true"]


def test_the_head_makes_packages_that_depend_on_no_builder() -> None:
    text = spec_text([], tree=Path("/t"), lists=Path("/l"))
    for line in (
        "%global _binary_payload w3.zstdio",
        "%global _buildhost goldpress-sandbox",
        "%global __os_install_post %{nil}",
        "%global use_source_date_epoch_as_buildtime 1",
        "%global clamp_mtime_to_source_date_epoch 1",
        "Vendor: goldpress sandbox",
        "mv /t/* %{buildroot}/",
    ):
        assert line in text.splitlines()
