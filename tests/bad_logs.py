"""Owns what is wrong with the sending of logs: on machines, and in trees and their policies."""

from __future__ import annotations

#: As `bad_machines` has it: (control, section, status, text, message).
BAD: list[tuple[str, str, int, str, str]] = [
    (
        "os-logs-shipped",
        "logs",
        0,
        "\n\n".join(
            f"Id={unit}.service\nLoadState=loaded\nActiveState=inactive\nConditionResult=no"
            "\nResult=success"
            for unit in ("goldpress-logs", "goldpress-logs-last")
        ),
        "names no log host, but there is 6 system_u:system_r:gp_logs_t:s0 systemd-journal",
    ),
    ("os-logs-shipped", "logs", 1, "", "looking at 'logs' failed with 1"),
]
#: (control, section, its old text, the new one, message).
CHANGED: list[tuple[str, str, str, str, str]] = [
    (
        "os-logs-shipped",
        "logs",
        "ActiveState=active",
        "ActiveState=failed",
        "names a log host, but goldpress-logs.service is failed",
    ),
    (
        "os-logs-shipped",
        "logs",
        "LoadState=loaded",
        "LoadState=not-found",
        "the image has no goldpress-logs-last.service and no goldpress-logs.service",
    ),
    (
        "os-logs-shipped",
        "logs",
        "LAST_CURSOR",
        "CURSOR",
        "the log host has not acknowledged a line",
    ),
    (
        "os-logs-shipped",
        "processes",
        "gp_logs_t",
        "init_t",
        "no process runs in gp_logs_t",
    ),
    (
        "os-logs-shipped",
        "logs",
        "Id=goldpress-logs-last.service",
        "",
        "systemd knows ['goldpress-logs.service']",
    ),
    (
        "os-logs-shipped",
        "logs",
        "named\n",
        "",
        "names no log host: goldpress-logs.service, goldpress-logs-last.service is not skipped",
    ),
]
#: The same of a good tree.
TREES: list[tuple[str, str, str, str, str]] = [
    (
        "os-logs-policy",
        "policy-rules",
        "gp_logs_t http_port_t",
        "gp_logs_t ssh_port_t",
        "the sender of logs may connect to ['ssh_port_t']",
    ),
    (
        "os-logs-policy",
        "policy-rules",
        "gp_logs_t http_port_t:tcp_socket { name_connect }",
        "gp_logs_t http_port_t:tcp_socket { name_bind name_connect }",
        "the sender of logs may listen at ['http_port_t']",
    ),
    (
        "os-logs-policy",
        "policy-rules",
        "gp_logs_t http_port_t:tcp_socket { name_connect }",
        "gp_logs_t http_port_t:tcp_socket { name_bind }",
        "the sender of logs may connect to nothing",
    ),
    (
        "os-logs-policy",
        "policy-rules",
        "gp_logs_t var_log_t:file { getattr open read }",
        "gp_logs_t var_log_t:file { append open }",
        "the sender of logs may write ['var_log_t']",
    ),
    (
        "os-logs-policy",
        "policy-rules",
        "gp_logs_t var_log_t:file { getattr open read }",
        "gp_logs_t bin_t:file { execute_no_trans }",
        "the sender of logs may run ['bin_t']",
    ),
    (
        "os-logs-shipped",
        "unit-nginx.service",
        "goldpress-logs.service",
        "x.service",
        "nginx.service: Wants has not goldpress-logs.service",
    ),
    (
        "os-logs-shipped",
        "unit-goldpress-php-app.service",
        "After=goldpress-logs.service",
        "",
        "goldpress-php-app.service: After has not goldpress-logs.service",
    ),
    (
        "os-logs-shipped",
        "unit-goldpress-logs-last.service",
        "NetworkManager.service ",
        "",
        "goldpress-logs-last.service: After has not NetworkManager.service",
    ),
    (
        "os-logs-shipped",
        "unit-goldpress-logs-last.service",
        "ExecStop=-+/usr/bin/journalctl --sync\n",
        "",
        "goldpress-logs-last.service: ExecStop is ['/usr/lib/systemd/systemd-journal-upload",
    ),
]
