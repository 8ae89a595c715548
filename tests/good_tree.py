"""Owns a good tree, as sections of the offline level: name -> (status, text)."""

from __future__ import annotations

import json

from good_machine import CONTROLS, INPUT, SSHD, settings, sysctl

PARAMETERS = CONTROLS.parameters()
POOLS = INPUT["pools"]

FILES = "\n".join(
    [
        *(f"f 0644 0 0 10 /usr/share/doc/{n}" for n in range(100)),
        "f 04755 0 0 10 /usr/bin/su",
        "d 01777 0 0 40 /var/tmp",
        "l 0777 0 0 7 /usr/lib/x",
        "f 0444 0 0 0 /etc/machine-id",
        "f 0640 0 0 10 /etc/nginx/nginx.conf",
        "f 0644 0 0 10 /etc/goldpress/php/app/fpm.conf",
        "f 0644 0 0 10 /srv/app/public/index.php",
        "f 0644 0 0 10 /srv/status/public/index.php",
    ]
)


def unit(control: str, *rows: str) -> str:
    """A unit with the directives that a control wants."""
    return "\n".join(["[Service]", settings(control, "directives"), *rows])


def pool_unit(name: str, *rows: str) -> str:
    return unit(
        "web-php-sandbox",
        f"User=gp-{name}",
        f"SELinuxContext=system_u:system_r:gp_php_{name}_t:s0",
        "IPAddressDeny=any",
        "After=goldpress-logs.service",
        *rows,
    )


OWN = PARAMETERS["os-service-sandbox"]


LOGS = PARAMETERS["os-logs-shipped"]


def own_unit(name: str) -> str:
    """The unit of a small service of ours."""
    context = f"SELinuxContext=system_u:system_r:{OWN['domains'][name]}:s0"
    return unit("os-service-sandbox", context, *logs_rows(name))


def logs_rows(name: str) -> list[str]:
    """What sending the logs wants of a unit: its place in the order, and its commands."""
    orders = [f"{k}={' '.join(v)}" for k, v in LOGS["orders"].get(name, {}).items()]
    commands = LOGS["commands"].get(name, {}).items()
    return [*orders, *(f"{key}={row}" for key, rows in commands for row in rows)]


def exposure(name: str, value: str) -> str:
    return f"-> Overall exposure level for {name}: {value} OK :-)"


PHP_CONTROLS = (
    "web-php-errors-hidden", "web-php-remote-code", "web-php-sessions", "web-php-jit-off",
    "web-php-code-cached",
)  # fmt: skip


def php(name: str) -> str:
    """What `php-fpm -i` says of a pool."""
    rows = [
        row.replace("=", " => ", 1) + " => master"
        for control in PHP_CONTROLS
        for row in settings(control).splitlines()
    ]
    functions = ",".join(PARAMETERS["web-php-functions-off"]["functions"])
    places = f"/srv/{name}:/var/lib/goldpress-php-{name}:/usr/share/goldpress/php"
    return "\n".join(
        [
            "phpinfo()",
            *(f"x{n} => 1 => 1" for n in range(20)),
            *rows,
            f"session.save_path => /var/lib/goldpress-php-{name}/sessions => x",
            f"disable_functions => {functions},mail => x",
            f"open_basedir => {places} => x",
        ]
    )


def fpm(name: str) -> str:
    """What `php-fpm -tt` says of a pool."""
    rows = [*settings("web-php-pool-settings", mark=" = ").splitlines(), "pm.max_children = 1"]
    rows.append(f"listen = /run/goldpress-php-{name}/fpm.sock")
    return "\n".join(f"[23-Nov-2026 02:56:00] NOTICE: \t{row}" for row in rows)


def rule(source: str, target: str, kind: str, permissions: str) -> str:
    return f"allow {source} {target}:{kind} {{ {permissions} }};"


def pool_rules(name: str) -> list[str]:
    own = f"gp_php_{name}"
    return [
        rule(f"{own}_t", f"{own}_state_t", "file", "append create getattr open read write"),
        rule(f"{own}_t", f"{own}_code_t", "file", "getattr open read"),
        rule(f"{own}_t", "httpd_exec_t", "file", "entrypoint execute"),
        rule(f"{own}_t", f"{own}_t", "process", "fork sigkill"),
    ]


RULES = "\n".join(
    [
        rule("gp_nginx_t", "http_port_t", "tcp_socket", "name_bind"),
        rule("gp_nginx_t", "gp_php_app_public_t", "file", "getattr open read"),
        rule("gp_logs_t", "http_port_t", "tcp_socket", "name_connect"),
        rule("gp_logs_t", "gp_logs_state_t", "file", "create getattr open read write"),
        rule("gp_logs_t", "var_log_t", "file", "getattr open read"),
        "allow domain proc_t:dir search; [ allow_x ]:True",
        *pool_rules("app"),
        rule("gp_php_app_t", "postgresql_port_t", "tcp_socket", "name_connect"),
        *pool_rules("status"),
    ]
)
ENTRY = "\n".join(
    rule("init_t", f"gp_{name}_t", "process", "transition")
    for name in ("nginx", "php_app", "php_status")
)
LABELS = {
    **PARAMETERS["os-selinux-labels"]["types"],
    **{f"{p['public']}/index.php": f"gp_php_{p['name']}_public_t" for p in POOLS},
    **{p["root"]: f"gp_php_{p['name']}_code_t" for p in POOLS},
}


def listed(*controls: str) -> str:
    """The nginx directives that controls want."""
    return "".join(
        f"    {key} {value};\n"
        for control in controls
        for key, value in PARAMETERS[control]["directives"].items()
    )


ADDED = "".join(f'add_header {h} "x" always;\n' for h in PARAMETERS["web-headers"]["headers"])
NGINX = f"""\
# configuration file /etc/nginx/nginx.conf:
# a comment; {{ not a block }}
http {{
    include /etc/nginx/mime.types;
{listed("web-nginx-version-hidden", "web-nginx-timeouts", "web-nginx-buffers", "web-tls")}
    log_format json escape=json '{{"path":"$uri"}}';
    access_log {PARAMETERS["web-access-log"]["access_log"]};
    limit_conn_zone $binary_remote_addr zone=connections:10m;
    limit_req_zone $binary_remote_addr zone=requests:10m rate=50r/s;
    limit_conn_status 429;
    limit_req_status 429;
    server {{
        listen 80 default_server;
        server_name _;
        location = /healthz {{
            access_log off;
            include /etc/nginx/goldpress/php.conf;
        }}
        location / {{ return 444; }}
    }}
    include /etc/nginx/pools.d/*.conf;
}}
# configuration file /etc/nginx/mime.types:
types {{ text/html html; }}
# configuration file /etc/nginx/goldpress/php.conf:
fastcgi_param SCRIPT_FILENAME /usr/share/goldpress/php/healthz.php;
fastcgi_hide_header X-Powered-By;
fastcgi_pass unix:/run/goldpress-php-app/fpm.sock;
# configuration file /etc/nginx/pools.d/app.conf:
server {{
    listen 80;
    server_name app.example.com;
    client_max_body_size 9m;
    limit_conn connections 64;
    limit_req zone=requests burst=200 nodelay;
{ADDED}
    location ~ /\\.(?!well-known/) {{ return 404; }}
    location / {{ include /etc/nginx/goldpress/php.conf; }}
}}
"""

GOOD: dict[str, tuple[int, str]] = {
    "files": (0, FILES),
    "capabilities": (0, "/usr/bin/ping cap_net_raw=ep"),
    "sysctl": (0, f"# /etc/sysctl.d/60-goldpress.conf\n-{sysctl()}"),
    "coredump": (0, "[Coredump]\n#Storage=external\nStorage=none\nProcessSizeMax=0"),
    "journald": (0, settings("os-journal-persistent")),
    "manager": (0, "[Manager]\nDefaultLimitCORE=0"),
    "limits": (0, "* hard core 0"),
    "modprobe": (
        0,
        "\n".join(
            f"install {name} /bin/false\nblacklist  {name}"
            for name in PARAMETERS["os-kernel-modules"]["modules"]
        ),
    ),
    "fstab": (
        0,
        (
            "# comment\nPARTUUID=1 /var ext4 rw,nodev,nosuid 0 0\n"
            "tmpfs /tmp tmpfs nodev,nosuid,noexec 0 0\ntmpfs /dev/shm tmpfs nodev,nosuid,noexec 0 0"
        ),
    ),
    "unit-var-log.mount": (0, "[Mount]\nWhere=/var/log\nOptions=bind,nodev,nosuid,noexec"),
    "sshd": (0, SSHD),
    "audit-rules": (
        0,
        "\n".join(
            [
                "-D",
                *(f"-w /x -p wa -k {key}" for key in PARAMETERS["os-audit-rules-loaded"]["keys"]),
                "-a always,exit -S x -F key=y",
                "-e 2",
            ]
        ),
    ),
    "passwd": (
        0,
        (
            "root:x:0:0::/root:/bin/bash\nec2-user:x:1000:1000::/:/bin/bash\n"
            "sync:x:5:0::/sbin:/bin/sync\nnginx:x:990:990::/:/sbin/nologin\n"
            "gp-app:x:995:995::/:/usr/sbin/nologin\ngp-status:x:996:996::/:/usr/sbin/nologin"
        ),
    ),
    "shadow": (0, "root:!*:19000::::::\nec2-user:!!:1::::::"),
    "enabled": (
        0,
        (
            "nginx.service enabled enabled\nonce.service enabled enabled\n"
            "goldpress-php-app.service enabled enabled\n"
            "NetworkManager-dispatcher.service enabled disabled"
        ),
    ),
    "masked": (0, "php-fpm.service masked disabled"),
    "sudoers": (
        0,
        (
            "Defaults use_pty\nDefaults   logfile=/var/log/sudo.log\n"
            "# bob ALL=(ALL) NOPASSWD: ALL\nec2-user ALL=(ALL) NOPASSWD: ALL"
        ),
    ),
    "chrony": (0, "# x\nserver 169.254.169.123 prefer iburst\ncmdport 0\nport 0"),
    "crypto-policy": (0, "# comment\nDEFAULT\nDEFAULT"),
    "selinux-config": (0, "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted"),
    "semanage": (0, "module-store = direct\nexpand-check=1"),
    "secrets": (0, ""),
    "rpm": (0, "S.5......  c /etc/chrony.conf\nmissing     /run/lock"),
    "nginx": (0, NGINX),
    "unit-nginx.service": (
        0,
        unit(
            "web-nginx-sandbox",
            "User=nginx",
            "TimeoutStopSec=310",
            "KillSignal=SIGQUIT",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
            *logs_rows("nginx.service"),
        ),
    ),
    "exposure-nginx.service": (0, exposure("nginx.service", "1.6")),
    **{f"unit-{name}": (0, own_unit(name)) for name in OWN["domains"]},
    **{f"exposure-{name}": (0, exposure(name, "1.7")) for name in OWN["domains"]},
    "policy-booleans": (0, "   bool httpd_execmem false;\n   bool httpd_unified true;"),
    "policy-permissive": (0, ""),
    "policy-rules": (0, RULES),
    "policy-entry": (0, ENTRY),
    "labels": (0, json.dumps({path: f"system_u:object_r:{t}:s0" for path, t in LABELS.items()})),
    "unit-goldpress-php-app.service": (0, pool_unit("app", "IPAddressAllow=10.0.0.0/8")),
    "unit-goldpress-php-status.service": (0, pool_unit("status", "PrivateNetwork=yes")),
    **{f"exposure-{p['unit']}": (0, exposure(p["unit"], "1.2")) for p in POOLS},
    **{f"php-{p['name']}": (0, php(p["name"])) for p in POOLS},
    **{f"fpm-{p['name']}": (0, fpm(p["name"])) for p in POOLS},
}
