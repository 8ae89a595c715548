"""Owns what is wrong with how machines answer probes."""

from __future__ import annotations

#: (control, section, status, text, message): the section that is wrong, and what is said of it.
BAD: list[tuple[str, str, int, str, str]] = [
    ("web-probe-network-denied", "probe-app", 1, "", "looking at 'probe-app' failed with 1"),
]
#: (control, section, its old text, the new one, message); an empty old text is all of it.
CHANGED: list[tuple[str, str, str, str, str]] = [
    (
        "web-probe-code-denied",
        "probe-app",
        "code-write\trefused",
        "code-write\tdone",
        "app: code-write was done",
    ),
    (
        "web-probe-code-denied",
        "probe-log",
        "gp_php_status_code_t:s0 tclass=file",
        "x_t:s0 tclass=file",
        "status: code-write left no denial in the audit log",
    ),
    ("web-probe-code-denied", "probe-app", "\nended", "", "the probe of app did not end"),
    (
        "web-probe-code-denied",
        "probe-app",
        "own-state\tdone",
        "own-state\trefused",
        "cannot even write its own file: it is refused",
    ),
    (
        "web-probe-programs-denied",
        "probe-status",
        "shell\trefused",
        "shell\tdone",
        "status: shell was done",
    ),
    (
        "web-probe-programs-denied",
        "probe-log",
        "shell_exec_t",
        "x_t",
        "app: shell left no denial in the audit log",
    ),
    (
        "web-probe-programs-denied",
        "probe-log",
        "goldpress-probes-begin",
        "x",
        "the audit log has no beginning",
    ),
    (
        "web-probe-programs-denied",
        "probe-log",
        "goldpress-probes-end",
        "x",
        "the audit log has no end",
    ),
    (
        "web-probe-network-denied",
        "probe-app",
        "connect-metadata\trefused",
        "connect-metadata\tdone",
        "app: connect-metadata was done",
    ),
    (
        "web-probe-network-denied",
        "probe-app",
        "listen\trefused\tdenied\n",
        "",
        "app: listen was not tried",
    ),
    (
        "web-probe-network-denied",
        "probe-log",
        "{ create }",
        "{ bind }",
        "status: connect-ssh left no denial in the audit log",
    ),
    (
        "web-probe-secrets-denied",
        "probe-app",
        "shadow\trefused",
        "shadow\tdone",
        "app: shadow was done",
    ),
    (
        "web-probe-secrets-denied",
        "probe-log",
        "gp_secret_t",
        "x_t",
        "app: secret left no denial in the audit log",
    ),
    (
        "web-probe-other-pool-denied",
        "probe-app",
        "other-sessions\trefused",
        "other-sessions\tdone",
        "app: other-sessions was done",
    ),
    (
        "web-probe-other-pool-denied",
        "probe-log",
        "tcontext=s:r:gp_php_status_t:s0 tclass=dir",
        "tcontext=s:r:x_t:s0 tclass=dir",
        "app: other-environment left no denial in the audit log",
    ),
]
