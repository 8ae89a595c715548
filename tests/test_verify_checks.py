"""Every check of the verify suite passes on a good machine, and fails on one that is not."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from goldpress.host.run import run

SUITE = Path(__file__).parent.parent / "verify"
UUID = "0e1f2a3b-0000-4000-8000-000000000001"

#: What a good machine answers: section -> (status, text).
GOOD: dict[str, tuple[int, str]] = {
    "state": (0, "running"),
    "units": (
        0,
        (
            "Id=nginx.service\nLoadState=loaded\nActiveState=active\nResult=success\nType=notify\n"
            "UnitFileState=enabled\nExecMainPID=7\n\n"
            "Id=once.service\nLoadState=loaded\nActiveState=inactive\nResult=success\nType=oneshot\n"
            "UnitFileState=enabled\nExecMainPID=9"
        ),
    ),
    "failed-units": (0, ""),
    "uefi": (0, "/sys/firmware/efi"),
    "command-line": (0, "root=PARTUUID=1 ro console=ttyS0 panic=30"),
    "architecture": (0, "x86_64"),
    "selinux-enforce": (0, "1"),
    "selinux-config": (0, "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted"),
    "selinux-booleans": (0, "httpd_execmem 0 0\nhttpd_unified 1 1"),
    "root-mount": (0, "/dev/nvme0n1p2 ext4 ro,seclabel,relatime"),
    "var-mount": (0, "/dev/nvme0n1p3 ext4 rw,seclabel,nosuid"),
    "partitions": (0, f"{UUID} /dev/nvme0n1p2\nffff /dev/nvme0n1p3"),
    "write-usr": (1, "touch: cannot touch '/usr/.goldpress-probe': Read-only file system"),
    "write-etc": (1, "touch: cannot touch '/etc/.goldpress-probe': Read-only file system"),
    "write-var": (0, ""),
    "page": (0, "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\ngoldpress-php 8.2.30 fpm-fcgi"),
    "packages": (0, "bash-0:5.1.8-9.el9.x86_64\ngpg-pubkey-0:8483c65d-5ccc5b19.(none)"),
    "listening": (
        0,
        (
            "udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:*\n"
            "udp UNCONN 0 0 169.254.10.15%ens3:68 0.0.0.0:*\n"
            "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"
            "tcp LISTEN 0 128 [::]:22 [::]:*"
        ),
    ),
    "processes": (
        0,
        (
            "1 system_u:system_r:init_t:s0 systemd\n"
            "2 system_u:system_r:kernel_t:s0 kthreadd\n"
            "7 system_u:system_r:httpd_t:s0 nginx\n"
            "8 system_u:system_r:httpd_t:s0 php-fpm"
        ),
    ),
    "audit-rules": (0, "## comment\n-D\n-b 8192\n-w /run/x/ -p wa -k identity"),
    "audit-rules-loaded": (0, "-w /run/x -p wa -k identity"),
    "shadow": (0, "root:!*:19000::::::\nec2-user:!!:19000::::::\nnginx:*:1::::::"),
    "machine-id": (0, "0" * 32),
    "metadata-v1": (0, "401"),
    "baked": (0, "machine-id regular empty file 0\nsearched"),
    "denials": (0, "type=1403 audit(1:2): auid=4294967295 lsm=selinux res=1"),
}
INPUT: dict[str, Any] = {
    "image": "web",
    "distribution": "sandbox",
    "stand_in": True,
    "arch": "x86_64",
    "packages": ["bash-0:5.1.8-9.el9.x86_64"],
    "listen": [
        {"port": 22, "protocol": "tcp"},
        {"port": 323, "protocol": "udp", "address": "loopback"},
        {"port": 68, "protocol": "udp", "address": "interface"},
    ],
    "services": ["nginx.service", "once.service"],
    "booleans": {"httpd_execmem": False, "httpd_unified": True},
    "root_uuid": UUID,
}
AVC = (
    'audit: type=1400 audit(1:3): avc:  denied  { read } for  pid=9 comm="nginx" name="x"'
    " scontext=u:r:httpd_t:s0 tcontext=u:object_r:shadow_t:s0 tclass=file permissive=0"
)

#: (control, section, status, text, message): the section that is wrong, and what is said of it.
BAD: list[tuple[str, str, int, str, str]] = [
    ("boot-uefi", "uefi", 2, "", "there is no /sys/firmware/efi: not booted by UEFI"),
    ("boot-architecture", "architecture", 0, "aarch64", "the kernel is aarch64, promised is x86"),
    ("boot-state-running", "state", 1, "degraded", "systemd says degraded, not running"),
    ("boot-state-running", "state", 124, "", "systemd says nothing until the time limit"),
    (
        "boot-no-failed-unit",
        "failed-units",
        0,
        "nginx.service loaded failed failed nginx",
        "failed units: nginx.service",
    ),
    ("boot-services-active", "units", 0, "", "nginx.service (?/?/?), once.service (?/?/?)"),
    (
        "boot-services-active",
        "units",
        0,
        GOOD["units"][1].replace("ActiveState=active", "ActiveState=failed"),
        "not enabled and active: nginx.service (loaded/enabled/failed)",
    ),
    (
        "boot-services-active",
        "units",
        0,
        GOOD["units"][1].replace("UnitFileState=enabled", "UnitFileState=disabled", 1),
        "not enabled and active: nginx.service (loaded/disabled/active)",
    ),
    (
        "boot-services-active",
        "units",
        0,
        GOOD["units"][1].replace("ExecMainPID=9", "ExecMainPID=0"),
        "not enabled and active: once.service (loaded/enabled/inactive)",
    ),
    ("boot-command-line", "command-line", 0, "ro selinux=0", "kernel command line: selinux=0"),
    ("boot-command-line", "command-line", 0, "ro enforcing=0 rw", "line: enforcing=0 rw"),
    ("boot-command-line", "command-line", 0, "init=/bin/sh", "line: init=/bin/sh"),
    ("boot-command-line", "command-line", 0, "", "the command line is empty"),
    ("disk-root-read-only", "root-mount", 0, "/dev/x xfs ro", "the root is xfs, not ext4"),
    (
        "disk-root-read-only",
        "root-mount",
        0,
        "/dev/nvme0n1p2 ext4 rw,errors=remount-ro",
        "the root is mounted rw,errors=remount-ro",
    ),
    (
        "disk-root-identity",
        "root-mount",
        0,
        "/dev/nvme1n1p2 ext4 ro",
        f"the root is /dev/nvme1n1p2; partition {UUID} is /dev/nvme0n1p2",
    ),
    ("disk-root-identity", "partitions", 0, "ffff /dev/x", f"partition {UUID} is absent"),
    ("disk-usr-not-writable", "write-usr", 0, "", "a file could be made in /usr"),
    (
        "disk-usr-not-writable",
        "write-usr",
        1,
        "touch: Permission denied",
        "refused for another reason: touch: Permission denied",
    ),
    ("disk-etc-not-writable", "write-etc", 0, "", "a file could be made in /etc"),
    ("disk-etc-not-writable", "write-etc", 1, "", "refused for another reason"),
    (
        "disk-var-separate",
        "var-mount",
        0,
        "/dev/nvme0n1p2 ext4 rw",
        "/var is on the root's device /dev/nvme0n1p2",
    ),
    ("disk-var-separate", "var-mount", 0, "/dev/nvme0n1p3 ext4 ro", "/var is mounted ro"),
    ("disk-var-separate", "var-mount", 1, "", "looking at 'var-mount' failed with 1"),
    ("disk-var-separate", "write-var", 1, "", "looking at 'write-var' failed with 1"),
    ("os-selinux-enforcing", "selinux-enforce", 0, "0", "/sys/fs/selinux/enforce is '0'"),
    ("os-selinux-enforcing", "selinux-enforce", 1, "", "looking at 'selinux-enforce' failed"),
    (
        "os-selinux-targeted",
        "selinux-config",
        0,
        "SELINUX=permissive\nSELINUXTYPE=targeted",
        "/etc/selinux/config says ('permissive', 'targeted')",
    ),
    (
        "os-selinux-targeted",
        "selinux-config",
        0,
        "SELINUX=enforcing\nSELINUXTYPE=minimum",
        "/etc/selinux/config says ('enforcing', 'minimum')",
    ),
    (
        "os-selinux-booleans",
        "selinux-booleans",
        0,
        "httpd_execmem 1 1\nhttpd_unified 1 1",
        "not as promised: httpd_execmem is True",
    ),
    ("os-selinux-booleans", "selinux-booleans", 0, "", "httpd_execmem is None, httpd_unified is"),
    (
        "os-selinux-booleans",
        "selinux-booleans",
        0,
        "httpd_execmem 0 1\nhttpd_unified 1 1",
        "changed and not committed: httpd_execmem",
    ),
    (
        "os-selinux-no-unconfined-service",
        "processes",
        0,
        "5 system_u:system_r:unlabeled_t:s0 bash",
        "outside every domain: bash in unlabeled_t",
    ),
    ("os-selinux-no-unconfined-service", "processes", 0, "", "no process was seen"),
    (
        "os-selinux-init-domain",
        "processes",
        0,
        "1 u:r:init_t:s0 systemd\n8 u:r:init_t:s0 php-fpm",
        "in init_t run ['php-fpm', 'systemd']",
    ),
    (
        "web-nginx-domain",
        "processes",
        0,
        "7 u:r:httpd_t:s0 nginx\n8 u:r:init_t:s0 nginx",
        "nginx runs in ['httpd_t', 'init_t']",
    ),
    ("web-nginx-domain", "processes", 0, "1 u:r:init_t:s0 systemd", "nginx runs in no process"),
    ("web-php-domain", "processes", 0, "8 u:r:initrc_t:s0 php-fpm8.2", "php-fpm runs in ['initrc"),
    ("web-php-domain", "processes", 0, "1 u:r:init_t:s0 systemd", "php-fpm runs in no process"),
    ("os-selinux-no-denial", "denials", 0, "", "no audit record could be read at all"),
    (
        "os-selinux-no-denial",
        "denials",
        0,
        f"{GOOD['denials'][1]}\n{AVC}\n{AVC}",
        "denied: httpd_t shadow_t:file { read } (nginx)",
    ),
    (
        "os-selinux-no-denial",
        "denials",
        0,
        f"{GOOD['denials'][1]}\navc:  denied odd",
        "denied: avc:  denied odd",
    ),
    (
        "os-selinux-no-denial",
        "denials",
        0,
        f"{GOOD['denials'][1]}\ntype=SELINUX_ERR msg=audit(1:1): op=x",
        "denied: type=SELINUX_ERR",
    ),
    (
        "web-php-answers",
        "page",
        0,
        "HTTP/1.1 502 Bad Gateway\r\n\r\nx",
        "answered: 'HTTP/1.1 502 Bad Gateway'",
    ),
    ("web-php-answers", "page", 7, "refused", "looking at 'page' failed with 7: refused"),
    ("web-php-answers", "page", 0, "HTTP/1.1 200 OK\r\n\r\n<?php echo", "no PHP: '<?php echo'"),
    (
        "web-php-answers",
        "page",
        0,
        "HTTP/1.1 200 OK\r\n\r\ngoldpress-php 8.2.1 cli-server",
        "another server API: 'goldpress-php 8.2.1 cli-server'",
    ),
    (
        "net-listen-exactly",
        "listening",
        0,
        f"{GOOD['listening'][1]}\ntcp LISTEN 0 5 *:9000 *:*",
        "listening, not promised: tcp/9000 on any",
    ),
    (
        "net-listen-exactly",
        "listening",
        0,
        GOOD["listening"][1].replace("127.0.0.1:323", "0.0.0.0:323"),
        "listening, not promised: udp/323 on any",
    ),
    (
        "net-listen-exactly",
        "listening",
        0,
        "",
        "promised, not listening: tcp/22 on any, udp/323 on loopback, udp/68 on interface",
    ),
    ("packages-rpmdb-readable", "packages", 1, "", "looking at 'packages' failed with 1"),
    ("packages-rpmdb-readable", "packages", 0, "", "rpm -qa names no package"),
    (
        "packages-none-missing",
        "packages",
        0,
        "bash-0:5.1.8-8.el9.x86_64",
        "locked, not installed: bash-0:5.1.8-9.el9.x86_64",
    ),
    (
        "packages-none-added",
        "packages",
        0,
        f"{GOOD['packages'][1]}\nnmap-0:7-1.x86_64",
        "installed, not locked: nmap-0:7-1.x86_64",
    ),
    (
        "identity-machine-id-baked-empty",
        "baked",
        0,
        "machine-id regular file 33\nsearched",
        "/etc/machine-id on the root: ['regular file 33']",
    ),
    (
        "identity-machine-id-baked-empty",
        "baked",
        0,
        "searched",
        "/etc/machine-id on the root: absent",
    ),
    ("identity-machine-id-own", "machine-id", 0, "", "/etc/machine-id holds ''"),
    ("identity-machine-id-own", "machine-id", 0, "uninitialized", "holds 'uninitialized'"),
    (
        "identity-no-baked-host-key",
        "baked",
        0,
        "machine-id regular empty file 0\nhost-key etc/ssh/ssh_host_rsa_key\nsearched",
        "host keys on the root: etc/ssh/ssh_host_rsa_key",
    ),
    ("identity-no-baked-host-key", "baked", 0, "machine-id x", "the search did not end"),
    ("identity-no-baked-host-key", "baked", 1, "", "looking at 'baked' failed with 1"),
    (
        "identity-no-baked-login-key",
        "baked",
        0,
        "authorized-keys ./home/a/.ssh/authorized_keys\nsearched",
        "login keys on the root: ./home/a/.ssh/authorized_keys",
    ),
    (
        "identity-no-history",
        "baked",
        0,
        "history ./home/a/.bash_history\nsearched",
        "shell histories on the root: ./home/a/.bash_history",
    ),
    (
        "os-audit-rules-loaded",
        "audit-rules-loaded",
        0,
        "No rules",
        "audit rules that the kernel has not: -w /run/x -p wa -k identity",
    ),
    ("os-audit-rules-loaded", "audit-rules-loaded", 0, "", "has not: -w /run/x"),
    ("os-audit-rules-loaded", "audit-rules", 0, "-D", "/etc/audit/rules.d has no rule"),
    ("os-audit-rules-loaded", "audit-rules-loaded", 4, "", "'audit-rules-loaded' failed with 4"),
    ("identity-no-password", "shadow", 0, "root:$6$x:1:", "accounts with a password: root"),
    ("identity-no-password", "shadow", 0, "a::1:\nb:!$6$x:1:", "with a password: a, b"),
    ("identity-no-password", "shadow", 0, "", "/etc/shadow is empty"),
    ("identity-metadata-v2-only", "metadata-v1", 0, "200", "was answered with 200"),
    ("identity-metadata-v2-only", "metadata-v1", 28, "000", "looking at 'metadata-v1' failed"),
]


@pytest.fixture(scope="module")
def suite(request: pytest.FixtureRequest) -> Iterator[dict[str, ModuleType]]:
    """The suite's modules, under names of their own; its helpers are found as it finds them."""
    # The marker belongs to the suite's own configuration, which does not apply here.
    request.config.addinivalue_line("markers", "control(id): the control that a check proves")
    sys.path.insert(0, str(SUITE))
    try:
        found = {name: importlib.import_module(name) for name in ("facts", "promise")}
        for path in sorted(SUITE.glob("test_*.py")):
            name = f"goldpress_suite_{path.stem}"
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            found[path.stem] = module
        yield found
    finally:
        sys.path.remove(str(SUITE))


@pytest.fixture(scope="module")
def checks(suite: dict[str, ModuleType]) -> dict[str, Callable[..., None]]:
    """Control -> the check that proves it."""
    found: dict[str, Callable[..., None]] = {}
    for module in suite.values():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                (mark,) = vars(function)["pytestmark"]
                assert mark.args[0] not in found
                found[mark.args[0]] = function
    return found


def make(
    suite: dict[str, ModuleType],
    tmp_path: Path,
    sections: dict[str, tuple[int, str]],
    **changes: Any,
) -> dict[str, Any]:
    facts = suite["facts"]
    path = tmp_path / "input.json"
    path.write_text(json.dumps({**INPUT, **changes}))
    made = {name: facts.Section(status=s, text=t) for name, (s, t) in sections.items()}
    return {
        "facts": facts.Facts(sections=made),
        "promise": suite["promise"].read_promise(path),
    }


def call(check: Callable[..., None], given: dict[str, Any]) -> None:
    check(**{name: given[name] for name in inspect.signature(check).parameters})


def test_every_check_passes_on_a_good_machine(
    suite: dict[str, ModuleType], checks: dict[str, Callable[..., None]], tmp_path: Path
) -> None:
    given = make(suite, tmp_path, GOOD)
    for check in checks.values():
        call(check, given)


@pytest.mark.parametrize("row", BAD, ids=lambda row: f"{row[0]}-{row[4][:30]}")
def test_a_check_fails_on_a_bad_machine(
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    row: tuple[str, str, int, str, str],
) -> None:
    control, section, status, text, message = row
    given = make(suite, tmp_path, {**GOOD, section: (status, text)})
    with pytest.raises(AssertionError, match=re.escape(message)):
        call(checks[control], given)


def test_every_check_has_a_bad_machine(checks: dict[str, Callable[..., None]]) -> None:
    assert {row[0] for row in BAD} == set(checks)


@pytest.mark.parametrize(
    ("control", "key", "message"),
    [
        ("packages-none-missing", "packages", "the input promises no package"),
        ("boot-services-active", "services", "the input promises no service"),
    ],
)
def test_an_empty_promise_proves_nothing(  # noqa: PLR0917 - fixtures and one row of the table
    suite: dict[str, ModuleType],
    checks: dict[str, Callable[..., None]],
    tmp_path: Path,
    control: str,
    key: str,
    message: str,
) -> None:
    with pytest.raises(AssertionError, match=message):
        call(checks[control], make(suite, tmp_path, GOOD, **{key: []}))


def test_an_unknown_key_of_the_input_is_refused(
    suite: dict[str, ModuleType], tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'pakages'"):
        make(suite, tmp_path, GOOD, pakages=[])


def test_sections_carry_output_status_and_complaints(suite: dict[str, ModuleType]) -> None:
    facts = suite["facts"]
    sections = {
        "plain": "printf 'a\\n\\nb'",
        "silent": "true",
        "bad": "echo half; echo no such thing >&2; exit 7",
        "quotes": """sh -c 'echo "it is" '"'"'quoted'"'"; (exit 3)""",
    }
    mark = "goldpress-0011"
    output = run(["sh", "-c", facts.script(sections, mark)]).text
    found = facts.parse(output, sections, mark)
    assert found["plain"] == facts.Section(status=0, text="a\n\nb", error="\n")
    assert found["silent"].lines == []
    assert (found["bad"].status, found["bad"].text) == (7, "half")
    assert found["quotes"] == facts.Section(status=3, text="it is quoted", error="\n")
    with pytest.raises(AssertionError, match="looking at 'bad' failed with 7: no such thing"):
        facts.Facts(sections=found).good("bad")


def test_an_answer_that_breaks_off_is_refused(suite: dict[str, ModuleType]) -> None:
    facts = suite["facts"]
    output = run(["sh", "-c", facts.script({"a": "echo 1"}, "m")]).text
    with pytest.raises(ValueError, match="the machine's answer has no section 'a': "):
        facts.parse(output.replace("m done a", ""), ["a"], "m")


def test_every_section_is_valid_shell(suite: dict[str, ModuleType]) -> None:
    facts = suite["facts"]
    for command in (*facts.STARTED.values(), *facts.SECTIONS.values(), facts.unit_section(["a"])):
        assert run(["sh", "-n", "-c", command]).stderr == b""
