"""Owns probes: what a PHP pool under an attacker's control tries, and how that is told.

A PHP-FPM of its own is started as the pool's user and in its SELinux domain, without any of PHP's
own limits (`disable_functions`, `open_basedir`) and without its unit's sandbox: only the policy is
left to deny what the probe tries, and has to say so in the audit log. Where file permissions would
hide that, the target is a file that everybody may use, with the label of the real one.
"""

from __future__ import annotations

import base64
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promise import Pool, Promise

#: On the machine; made and removed by root.
FOLDER = "/var/tmp/goldpress-probe"
BEGIN = "goldpress-probes-begin"
END = "goldpress-probes-end"

CONFIGURATION = """\
[global]
daemonize = no
error_log = {folder}/own/log
[probe]
listen = {folder}/own/fpm.sock
pm = static
pm.max_children = 1
"""

#: A FastCGI client: the script to run is the second argument, its query the third.
CLIENT = """\
function record($type, $data) {
    return pack('CCnnCC', 1, $type, 1, strlen($data), 0, 0) . $data;
}
$parameters = '';
foreach (['SCRIPT_FILENAME' => $argv[2], 'QUERY_STRING' => $argv[3], 'REQUEST_METHOD' => 'GET',
          'SCRIPT_NAME' => '/probe', 'REQUEST_URI' => '/probe', 'SERVER_PROTOCOL' => 'HTTP/1.1']
         as $name => $value) {
    $parameters .= pack('CN', strlen($name), strlen($value) | 0x80000000) . $name . $value;
}
$socket = stream_socket_client("unix://$argv[1]", $number, $message, 10);
stream_set_timeout($socket, 60);
fwrite($socket, record(1, pack('nCx5', 1, 0)) . record(4, $parameters) . record(4, '')
    . record(5, ''));
while (($head = stream_get_contents($socket, 8)) !== '' && strlen($head) === 8) {
    $head = unpack('Cversion/Ctype/nid/nlength/Cpadding/Creserved', $head);
    $body = stream_get_contents($socket, $head['length'] + $head['padding']);
    if ($head['type'] === 6) {
        echo substr($body, 0, $head['length']);
    }
    if ($head['type'] === 3) {
        break;
    }
}
"""

#: What is tried; one line each: name, `done` or `refused`, and what PHP says.
SCRIPT = """\
<?php
function tried($name, $try) {
    error_clear_last();
    $done = @$try();
    $said = str_replace(["\\n", "\\t"], ' ', error_get_last()['message'] ?? '');
    echo $name, "\\t", $done === false || $done === '' ? 'refused' : 'done', "\\t", $said, "\\n";
}
function ran($command) {
    $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);
    return $process === false ? false : trim(stream_get_contents($pipes[1]));
}
$folder = $_GET['folder'];
$other = $_GET['other'];
tried('own-state', fn () => file_put_contents("$folder/own/state", 'x'));
tried('code-write', fn () => file_put_contents("$folder/code", 'x'));
tried('shell', fn () => ran(['/bin/sh', '-c', 'echo ran']));
tried('program', fn () => ran(['/usr/bin/id']));
tried('connect-metadata', fn () => stream_socket_client('tcp://169.254.169.254:80', $n, $m, 3));
tried('connect-ssh', fn () => stream_socket_client('tcp://127.0.0.1:22', $n, $m, 3));
tried('listen', fn () => stream_socket_server('tcp://127.0.0.1:9000', $n, $m));
foreach (['shadow', 'host-key', 'certificate-key', 'secret', 'user-data'] as $name) {
    tried($name, fn () => file_get_contents("$folder/$name"));
}
if ($other !== '') {
    tried('other-state', fn () => file_get_contents("$folder/other-state"));
    tried('other-code', fn () => file_get_contents($_GET['code']));
    tried('other-sessions', fn () => scandir("$_GET[state]/sessions"));
    tried('other-socket', fn () => stream_socket_client("unix://$_GET[socket]", $n, $m, 3));
    tried('other-environment', fn () => file_get_contents("/proc/$other/environ"));
}
echo "ended\\n";
"""


def written(text: str, path: str) -> str:
    """The command that writes `text`, whatever is in it."""
    coded = base64.b64encode(text.encode()).decode()
    return f"echo {coded} | base64 --decode >{path}"


def targets(pool: Pool, other: Pool | None) -> dict[str, str]:
    """File of the probe's folder -> the SELinux type of what it stands for."""
    found = {
        "code": f"{pool.types}_code_t",
        "shadow": "shadow_t",
        "host-key": "sshd_key_t",
        "certificate-key": "gp_tls_t",
        "secret": "gp_secret_t",
        "user-data": "gp_run_t",
    }
    if other:
        found["other-state"] = f"{other.types}_state_t"
    return found


def probe(pool: Pool, other: Pool | None) -> str:
    """The command that lets `pool` try it all; `other` is a pool whose things it tries to reach."""
    unit = f"goldpress-probe-{pool.name}"
    query = f"folder={FOLDER}&other="
    pid = "x=; "
    if other:
        pid = f"x=$(systemctl show --property=MainPID --value {shlex.quote(other.unit)}) && "
        query += f"'$x'&code={other.public}/index.php&state={other.state}&socket={other.socket}"
    start = (
        f"systemd-run --quiet --collect --unit={unit} --service-type=notify"
        f" --property=User={pool.user} --property=Group={pool.user}"
        f" --property=SELinuxContext=system_u:system_r:{pool.domain}:s0"
        " --property=NoNewPrivileges=yes"
        f" /usr/sbin/php-fpm -n --nodaemonize --fpm-config {FOLDER}/own/fpm.conf"
    )
    ask = (
        f"{pid}php -n -r {shlex.quote(CLIENT)} {FOLDER}/own/fpm.sock {FOLDER}/own/probe.php"
        f" '{query}'"
    )
    rows = [
        f"rm -rf {FOLDER} && mkdir -m 0755 {FOLDER} && mkdir -m 0755 {FOLDER}/own",
        f"chcon -t {pool.types}_state_t {FOLDER}",
        *(
            f"echo probe >{FOLDER}/{name} && chmod 0666 {FOLDER}/{name}"
            f" && chcon -t {kind} {FOLDER}/{name}"
            for name, kind in targets(pool, other).items()
        ),
        written(CONFIGURATION.format(folder=FOLDER), f"{FOLDER}/own/fpm.conf"),
        written(SCRIPT, f"{FOLDER}/own/probe.php"),
        f"chown -R {pool.user}:{pool.user} {FOLDER}/own",
        f"chcon -R -t {pool.types}_state_t {FOLDER}/own",
        start,
        ask,
    ]
    clean = f"systemctl stop {unit} 2>/dev/null; rm -rf {FOLDER}"
    return f"( {' && '.join(rows)} ); status=$?; {clean}; exit $status"


def sections(promise: Promise) -> dict[str, str]:
    """Section -> command: each pool's probe, and the audit log from before them to after."""
    found = {"probe-begin": f"auditctl -m {BEGIN}"}
    for index, pool in enumerate(promise.pools):
        other = promise.pools[index - 1] if len(promise.pools) > 1 else None
        found[f"probe-{pool.name}"] = probe(pool, other)
    log = "/var/log/audit/audit.log"
    found["probe-log"] = (
        f"auditctl -m {END} && for _ in $(seq 1 20); do grep -q {END} {log} && break; sleep 0.5;"
        f' done; awk \'/{BEGIN}/ {{ seen = "" }} {{ seen = seen $0 "\\n" }}'
        f' END {{ printf "%s", seen }}\' {log}'
    )
    return found
