"""Owns a good machine and a good tree, as sections of the verify suite: name -> (status, text)."""

from __future__ import annotations

import json
from typing import Any

from suites import web_controls

CONTROLS = web_controls()
ROOT_HASH = "0e1f2a3b000040008000000000000001" + "5" * 32
HOST_KEY = "SHA256:" + "A" * 43
UUID = "0e1f2a3b-0000-4000-8000-000000000001"
TREE_UUID = "55555555-5555-5555-5555-555555555555"
TABLE = f"root: 0 712704 verity 1 259:2 259:3 4096 4096 89088 1 sha256 {ROOT_HASH} 4685"


def pool(name: str, database: str) -> dict[str, Any]:
    return {
        "name": name,
        "unit": f"goldpress-php-{name}.service",
        "user": f"gp-{name}",
        "domain": f"gp_php_{name}_t",
        "workers": 1,
        "host": f"{name}.example.com",
        "root": f"/srv/{name}",
        "public": f"/srv/{name}/public",
        "run": f"/run/goldpress-php-{name}",
        "socket": f"/run/goldpress-php-{name}/fpm.sock",
        "state": f"/var/lib/goldpress-php-{name}",
        "database": database,
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
    "services": ["nginx.service", "once.service", "goldpress-php-app.service"],
    "masked": ["php-fpm.service"],
    "booleans": {"httpd_execmem": False, "httpd_unified": True},
    "pools": [pool("app", "postgresql_port_t"), pool("status", "")],
    "expected": {"offline": [], "booted": []},
    "not_exercised": {},
    "parameters": CONTROLS.parameters(),
    "root_hash": ROOT_HASH,
    "host_key": HOST_KEY,
}


def sysctl() -> str:
    """Every kernel setting that controls want; the first of several."""
    rows = []
    for name, values in CONTROLS.parameters().items():
        if name.startswith("os-sysctl-"):
            for key, value in values["values"].items():
                rows.append(f"{key} = {value[0] if isinstance(value, list) else value}")
    return "\n".join(rows)


def settings(control: str, key: str = "settings", mark: str = "=") -> str:
    """The settings of a control as lines; the first of several."""
    rows = CONTROLS.parameters()[control][key].items()
    return "\n".join(f"{k}{mark}{v[0] if isinstance(v, list) else v}" for k, v in rows)


SSHD = "\n".join(
    [
        settings("os-sshd-settings", mark=" ")
        .lower()
        .replace("loglevel verbose", "loglevel VERBOSE"),
        *(
            f"{k} {','.join(v)}"
            for k, v in CONTROLS.parameters()["os-sshd-algorithms"]["allowed"].items()
        ),
    ]
)

HEADERS = "".join(f"{name}: x\r\n" for name in CONTROLS.parameters()["web-headers"]["headers"])


def answer(status: str, body: str, *, more: str = "", headers: str = HEADERS) -> str:
    return f"HTTP/1.1 {status}\r\nServer: nginx\r\n{more}{headers}\r\n{body}"


NOT_FOUND = answer("404 Not Found", "<center>nginx</center>")


def handshake(protocol: str, cipher: str, alert: str = "") -> str:
    return f"{alert}\n---\nNew, {protocol}, Cipher is {cipher}\nSecure Renegotiation IS supported"


def process(name: str, uid: int, capabilities: str) -> str:
    return (
        f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{capabilities}\n"
        f"CapBnd:\t{capabilities}\nNoNewPrivs:\t1\nSeccomp:\t2"
    )


def places(name: str, uid: str) -> str:
    state = f"/var/lib/goldpress-php-{name}"
    return (
        f"/run/goldpress-php-{name} 711 {uid}\n/run/goldpress-php-{name}/fpm.sock 660 {uid}\n"
        f"{state} 700 {uid}\n{state}/sessions 700 {uid}\n{state}/uploads 700 {uid}"
    )


PROBES = (
    "code-write", "shell", "program", "connect-metadata", "connect-ssh", "listen", "shadow",
    "host-key", "certificate-key", "secret", "user-data", "other-state", "other-code",
    "other-sessions", "other-socket", "other-environment",
)  # fmt: skip
PROBE = "\n".join(["own-state\tdone\t", *(f"{name}\trefused\tdenied" for name in PROBES), "ended"])


def avc(source: str, permission: str, target: str, kind: str) -> str:
    return (
        f'type=AVC msg=audit(9:9): avc:  denied  {{ {permission} }} for  pid=9 comm="php-fpm"'
        f" scontext=s:r:{source}:s0 tcontext=s:r:{target}:s0 tclass={kind} permissive=0"
    )


def probed(name: str, other: str, *, network: bool) -> list[str]:
    own, foreign = f"gp_php_{name}", f"gp_php_{other}"
    connects = (
        [("name_connect", "http_port_t"), ("name_connect", "ssh_port_t"), ("name_bind", "x_port_t")]
        if network
        else [("create", f"{own}_t")]
    )
    files = ("shadow_t", "sshd_key_t", "gp_tls_t", "gp_secret_t", "gp_run_t", f"{foreign}_state_t")
    rows = [
        ("write", f"{own}_code_t", "file"),
        ("execute", "shell_exec_t", "file"),
        ("execute", "bin_t", "file"),
        *((permission, target, "tcp_socket") for permission, target in connects),
        *(("read", target, "file") for target in files),
        ("search", f"{foreign}_code_t", "dir"),
        ("search", f"{foreign}_run_t", "dir"),
        ("search", f"{foreign}_t", "dir"),
    ]
    return [avc(f"{own}_t", *row) for row in rows]


PROBE_LOG = "\n".join(
    [
        "type=USER msg=audit(9:1): text=goldpress-probes-begin",
        *probed("app", "status", network=True),
        *probed("status", "app", network=False),
        "type=USER msg=audit(9:2): text=goldpress-probes-end",
    ]
)
LOG_ROW = json.dumps(
    dict.fromkeys(("time", "client", "host", "method", "seconds"), "x")
    | {"path": "/", "status": 200}
)

#: What controls added to the machine of tests/test_verify_checks.py.
HARDENED: dict[str, tuple[int, str]] = {
    "page": (0, answer("200 OK", "goldpress-php 8.2.30 fpm-fcgi")),
    "page-status": (0, answer("200 OK", "{}")),
    "static": (0, answer("200 OK", "x", more="Cache-Control: max-age=31536000, immutable\r\n")),
    "missing": (0, NOT_FOUND),
    "healthz": (0, answer("200 OK", "ok", headers="")),
    "healthz-pool": (0, answer("200 OK", "ok")),
    "unknown-host": (52, "curl: (52) Empty reply from server"),
    "unknown-host-tls": (56, "curl: (56) Recv failure: Connection reset by peer"),
    "oversize": (0, answer("413 Request Entity Too Large", "x")),
    "php-file": (0, "\n".join([NOT_FOUND] * 4)),
    "source": (0, answer("400 Bad Request", "x")),
    "access-log": (0, f"nginx started\n{LOG_ROW}"),
    "tls-1.1": (1, handshake("(NONE)", "(NONE)", "tlsv1 alert protocol version")),
    "tls-1.2": (0, handshake("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
    "tls-1.3": (0, handshake("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
    "tls-cbc": (1, handshake("(NONE)", "(NONE)", "sslv3 alert handshake failure")),
    "sysctl": (0, sysctl()),
    "interfaces": (
        0,
        (
            "ipv4/conf/all/rp_filter 1\nipv4/conf/ens5/rp_filter 1\n"
            "ipv4/conf/lo/accept_redirects 1\nipv6/conf/ens5/accept_redirects 0"
        ),
    ),
    "mounts": (
        0,
        (
            "/ ext4 ro\n/tmp tmpfs rw,nosuid,nodev,noexec\n/dev/shm tmpfs rw,nosuid,nodev,noexec\n"
            "/var ext4 rw,nosuid,nodev\n/var/log ext4 rw,nosuid,nodev,noexec"
        ),
    ),
    "sshd": (0, SSHD),
    "audit-status": (0, "enabled 2\nfailure 1\npid 300"),
    "labels": (0, "Would relabel /var/lib/goldpress-mislabelled from a to b"),
    "accounts": (0, "uid=990(nginx) gid=990\nuid=995(gp-app) gid=1\nuid=996(gp-status) gid=1"),
    "confinement": (
        0,
        "\n".join(
            [
                process("systemd", 0, "1" * 16),
                process("nginx", 990, "0000000000000400"),
                *[process("php-fpm", 995, "0" * 16)] * 2,
                *[process("php-fpm", 996, "0" * 16)] * 2,
            ]
        ),
    ),
    "exposure": (
        0,
        (
            "UNIT EXPOSURE PREDICATE HAPPY\nnginx.service 1.4 OK :-)\n"
            "goldpress-php-app.service 1.1 OK :-)\ngoldpress-php-status.service 0.4 SAFE :-)"
        ),
    ),
    "pool-places": (0, f"{places('app', 'gp-app')}\n{places('status', 'gp-status')}"),
    "probe-begin": (0, ""),
    "probe-app": (0, PROBE),
    "probe-status": (0, PROBE),
    "probe-log": (0, PROBE_LOG),
}
#: What a good machine answers: section -> (status, text).
GOOD: dict[str, tuple[int, str]] = {
    "state": (0, "running"),
    "units": (
        0,
        (
            "Id=nginx.service\nLoadState=loaded\nActiveState=active\nResult=success\nType=notify\n"
            "UnitFileState=enabled\nExecMainPID=7\n\n"
            "Id=once.service\nLoadState=loaded\nActiveState=inactive\nResult=success\nType=oneshot\n"
            "UnitFileState=enabled\nExecMainPID=9\n\n"
            "Id=goldpress-php-app.service\nLoadState=loaded\nActiveState=active\nType=notify\n"
            "UnitFileState=enabled\nExecMainPID=8"
        ),
    ),
    "failed-units": (0, ""),
    "uefi": (0, "/sys/firmware/efi"),
    "command-line": (0, f"root=/dev/mapper/root roothash={ROOT_HASH} ro console=ttyS0 panic=30"),
    "architecture": (0, "x86_64"),
    "selinux-enforce": (0, "1"),
    "selinux-config": (0, "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted"),
    "selinux-booleans": (0, "httpd_execmem 0 0\nhttpd_unified 1 1"),
    "root-mount": (0, "/dev/mapper/root ext4 ro,seclabel,relatime"),
    "var-mount": (0, "/dev/nvme0n1p4 ext4 rw,seclabel,nosuid"),
    "partitions": (0, f"{UUID} 259:2\n{TREE_UUID} 259:3\nffff 259:4"),
    "verity-table": (0, TABLE),
    "verity-status": (0, "root: 0 712704 verity V"),
    "remount-root": (
        32,
        "mount: /: cannot remount /dev/mapper/root read-write, is write-protected.",
    ),
    "write-root-device": (1, "dd: error writing '/dev/mapper/root': Operation not permitted"),
    "var-size": (0, "851968 7342040 8194048 898496 4096"),
    "write-usr": (1, "touch: cannot touch '/usr/.goldpress-probe': Read-only file system"),
    "write-etc": (1, "touch: cannot touch '/etc/.goldpress-probe': Read-only file system"),
    "write-var": (0, ""),
    **HARDENED,
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
            "9 system_u:system_r:init_t:s0 (sd-pam)\n"
            "2 system_u:system_r:kernel_t:s0 kthreadd\n"
            "7 system_u:system_r:gp_nginx_t:s0 nginx\n"
            "8 system_u:system_r:gp_php_app_t:s0 php-fpm\n"
            "6 system_u:system_r:gp_logs_t:s0 systemd-journal"
        ),
    ),
    "logs": (
        0,
        "named\n# This is private data. Do not parse.\nLAST_CURSOR=s=1;i=2\n\n"
        + "\n\n".join(
            f"Id={unit}\nLoadState=loaded\nActiveState=active\nResult=success\nConditionResult=yes"
            for unit in ("goldpress-logs.service", "goldpress-logs-last.service")
        ),
    ),
    "audit-rules": (0, "## comment\n-D\n-b 8192\n-w /run/x/ -p wa -k identity"),
    "audit-rules-loaded": (0, "-w /run/x -p wa -k identity"),
    "shadow": (0, "root:!*:19000::::::\nec2-user:!!:19000::::::\nnginx:*:1::::::"),
    "machine-id": (0, "66d612a764d847deb6124d07d935470f"),
    "product-uuid": (0, "66d612a7-64d8-47de-b612-4d07d935470f"),
    "host-key": (0, f"256 {HOST_KEY} no comment (ED25519)"),
    "metadata-v1": (0, "401"),
    "baked": (0, "machine-id regular empty file 0\nsearched"),
    "denials": (0, "type=1403 audit(1:2): auid=4294967295 lsm=selinux res=1"),
}
