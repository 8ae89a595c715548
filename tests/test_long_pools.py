"""Pools on a booted machine: what one tries against another is denied, and said by the audit log.

The image is a variant: the second pool runs a probe, without open_basedir and disable_functions,
so that what refuses it is the policy and the unit; and it wants a secret that nobody has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pressing import PROJECT, apart, booted_directly, sandbox_press, variant

from goldpress.machine import ssh
from goldpress.machine.record import Machine

pytestmark = pytest.mark.long

PROBE = r"""<?php
$tries = [
    'its own code' => fn () => file_get_contents(__FILE__) !== false,
    'its own state' => fn () => file_put_contents(session_save_path() . '/x', 'x') === 1,
    'another code' => fn () => file_get_contents('/srv/sample/src/pages.php') !== false,
    'another state' => fn () => scandir('/var/lib/goldpress-php-app/sessions') !== false,
    'another socket' => fn () => stream_socket_client('unix:///run/goldpress-php-app/fpm.sock'),
    'login keys' => fn () => file_get_contents('/run/goldpress/authorized_keys/ec2-user'),
    'settings' => fn () => file_get_contents('/run/goldpress/user-data.env') !== false,
    'passing processes' => fn () => count(glob('/proc/[0-9]*')) > 20,
    'write code' => fn () => file_put_contents(__DIR__ . '/evil.php', '<?php') !== false,
    'write /tmp' => fn () => file_put_contents('/tmp/evil', 'x') !== false,
    'a shell' => fn () => str_contains((string) shell_exec('echo x'), 'x'),
    'the metadata service' => fn () => stream_socket_client('tcp://169.254.169.254:80', $e, $m, 3),
    'an open port' => fn () => stream_socket_server('tcp://127.0.0.1:8080'),
];
$found = [];
foreach ($tries as $name => $try) {
    try {
        $found[$name] = (bool) @$try();
    } catch (Throwable $error) {
        $found[$name] = $error->getMessage();
    }
}
header('Content-Type: application/json');
echo json_encode($found);
"""
GOOD = {"its own code", "its own state"}
#: What SELinux has to have denied, whatever else stood in the way.
DENIALS = {"gp_php_app_code_t:dir", "gp_run_t:dir", "shell_exec_t:file", "tmp_t:dir"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("pools")
    ini = PROJECT / "images/web/files/etc/goldpress/php/@pool@/goldpress.ini.j2"
    loose = [
        line
        for line in ini.read_text().splitlines()
        if not line.startswith(("open_basedir", "disable_functions"))
    ]
    image = (PROJECT / "images/web/image.yaml").read_text()
    line = "    apcu_mib: 8\n"
    assert line in image
    files = {
        "files/etc/goldpress/php/@pool@/goldpress.ini.j2": "\n".join([*loose, ""]),
        "apps/status/public/index.php": PROBE,
        "image.yaml": image.replace(line, f"{line}    secrets: {{DB_PASSWORD: status/password}}\n"),
    }
    with apart(sandbox_press(), directory / "apart") as press:
        pressed = variant(press, directory / "web", files).press()
        with booted_directly(pressed, directory / "machine") as started:
            yield started


def shell(machine: Machine, line: str) -> str:
    """What a line of shell prints, run by root."""
    done = ssh.execute(machine, "sudo", "-n", "sh", "-c", f"'{line}'", check=False, timeout=120)
    return done.text.strip()


def test_a_pool_without_its_secret_does_not_start(machine: Machine) -> None:
    assert shell(machine, "systemctl is-active goldpress-php-status.service") == "inactive"
    said = shell(machine, "journalctl --boot --unit goldpress-secrets-status.service --output cat")
    assert "goldpress-secrets: the user data has no SECRETS_PATH, such as /web/prod" in said
    assert shell(machine, "systemctl is-active goldpress-php-app.service") == "active"


def test_a_secret_is_its_pools_alone(machine: Machine) -> None:
    folder = "/run/goldpress-secrets/status"
    # Made on the machine: sudo logs the commands that it is given.
    make = "head --bytes 24 /dev/urandom | base64"
    shell(machine, f"umask 077; mkdir -p {folder}; {make} >{folder}/DB_PASSWORD")
    shell(machine, "chcon --recursive --type=gp_secret_t /run/goldpress-secrets")
    start = "systemctl start --job-mode=ignore-dependencies"
    shell(machine, f"{start} goldpress-php-status.service")
    assert shell(machine, "systemctl is-active goldpress-php-status.service") == "active"
    given = "/run/credentials/goldpress-php-status.service"
    rows = shell(machine, f'stat --format="%U %a" {given} {given}/DB_PASSWORD')
    assert rows.splitlines() == ["gp-status 500", "gp-status 400"]
    search = f"grep --count --fixed-strings --file={given}/DB_PASSWORD"
    found = shell(machine, f"journalctl --boot | {search}")
    assert found == "0"


def test_what_a_pool_may_not_is_denied_and_recorded(machine: Machine) -> None:
    page = shell(machine, 'curl --silent --header "Host: status.example.com" http://127.0.0.1/')
    found = json.loads(page)
    assert {name for name, result in found.items() if result is True} == GOOD, found
    records = shell(machine, "journalctl --boot --output cat _TRANSPORT=audit; dmesg")
    rows = [row for row in records.splitlines() if "avc:  denied" in row]
    denied = {
        f"{row.split('tcontext=')[1].split(':')[2]}:{row.split('tclass=')[1].split()[0]}"
        for row in rows
        if ":gp_php_status_t:" in row.split("tcontext=")[0]
    }
    assert denied >= DENIALS, rows


def test_nothing_else_is_denied(machine: Machine) -> None:
    records = shell(machine, "journalctl --boot --output cat _TRANSPORT=audit; dmesg")
    rows = [row for row in records.splitlines() if "avc:  denied" in row]
    others = [row for row in rows if ":gp_php_status_t:" not in row.split("tcontext=")[0]]
    assert others == []
