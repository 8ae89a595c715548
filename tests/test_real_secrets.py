"""The secrets' script under the image's own PHP: a metadata service and a store that it asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pressing import PROJECT, sandbox_press

from goldpress.host.confine import Confinement
from goldpress.host.run import Completed

pytestmark = [pytest.mark.real, pytest.mark.beside]

SCRIPT = PROJECT / "images/web/files/usr/libexec/goldpress/secrets.php"
#: The metadata service and the store, in PHP's own web server. It answers with the value only
#: when the signature is the one that the documented algorithm gives, computed in another way.
SERVER = r"""<?php
$path = $_SERVER['REQUEST_URI'];
$meta = [
    '/latest/meta-data/placement/region' => 'eu-west-1',
    '/latest/meta-data/services/domain' => 'amazonaws.com',
    '/latest/meta-data/iam/security-credentials/' => 'web',
    '/latest/meta-data/iam/security-credentials/web' =>
        '{"AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"wJalrXUt","Token":"session"}',
];
if ($path === '/latest/api/token') {
    exit($_SERVER['REQUEST_METHOD'] === 'PUT' ? 'token' : '');
}
if (isset($meta[$path])) {
    if (($_SERVER['HTTP_X_AWS_EC2_METADATA_TOKEN'] ?? '') !== 'token') {
        http_response_code(401);
        exit;
    }
    exit($meta[$path]);
}
$body = file_get_contents('php://input');
$asked = json_decode($body, true);
$date = $_SERVER['HTTP_X_AMZ_DATE'];
$service = strtok($_SERVER['HTTP_HOST'], '.');
$canonical = "POST\n/\n\ncontent-type:{$_SERVER['CONTENT_TYPE']}\nhost:{$_SERVER['HTTP_HOST']}\n"
    . "x-amz-date:$date\nx-amz-security-token:{$_SERVER['HTTP_X_AMZ_SECURITY_TOKEN']}\n"
    . "x-amz-target:{$_SERVER['HTTP_X_AMZ_TARGET']}\n\n"
    . "content-type;host;x-amz-date;x-amz-security-token;x-amz-target\n" . hash('sha256', $body);
$scope = substr($date, 0, 8) . "/eu-west-1/$service/aws4_request";
$text = "AWS4-HMAC-SHA256\n$date\n$scope\n" . hash('sha256', $canonical);
$key = hash_hmac('sha256', substr($date, 0, 8), 'AWS4wJalrXUt', true);
$key = hash_hmac('sha256', 'eu-west-1', $key, true);
$key = hash_hmac('sha256', $service, $key, true);
$key = hash_hmac('sha256', 'aws4_request', $key, true);
if (!str_ends_with($_SERVER['HTTP_AUTHORIZATION'], '=' . hash_hmac('sha256', $text, $key))) {
    http_response_code(403);
    exit('{"__type":"InvalidSignatureException"}');
}
$name = $asked['Name'] ?? $asked['SecretId'];
if ($name !== '/web/prod/shop/password') {
    http_response_code(400);
    exit('{"__type":"ParameterNotFound"}');
}
if ($service === 'ssm') {
    exit($asked['WithDecryption'] ? '{"Parameter":{"Value":"s3cret"}}' : '{}');
}
exit('{"SecretString":"s3cret"}');
"""
RUN = r"""
php -n -S 127.0.0.1:8080 /tmp/work/server.php >/dev/null 2>&1 &
until php -n -r 'exit(@fsockopen("127.0.0.1", 8080) ? 0 : 1);'; do sleep 0.1; done
mkdir -p /run/goldpress /run/goldpress-secrets/shop
cp /tmp/work/user-data.env /run/goldpress/user-data.env
GOLDPRESS_LISTS=/tmp/work GOLDPRESS_METADATA=http://127.0.0.1:8080 \
    GOLDPRESS_SECRETS_ENDPOINT=http://127.0.0.1:8080 \
    php -n -d pcre.jit=0 /tmp/work/secrets.php shop
status=$?
cd /run/goldpress-secrets/shop
for f in *; do [ -e "$f" ] && stat -c '%a %n' "$f" && cat "$f"; done
exit $status
"""


@pytest.fixture(scope="module")
def tree() -> Path:
    return sandbox_press().packages().directory / "tree"


def fetched(tree: Path, tmp_path: Path, settings: Mapping[str, str], wanted: str) -> Completed:
    """What the script does for a pool that wants this, with these settings of the user data."""
    for name, text in {
        "server.php": SERVER,
        "secrets.php": SCRIPT.read_text(),
        "user-data.env": "".join(f"{k}={v}\n" for k, v in settings.items()),
        "shop": wanted,
    }.items():
        (tmp_path / name).write_text(text)
    inside = Confinement(root=tree, root_writable=False, readable={"/tmp/work": tmp_path})
    return inside.run(("sh", "-c", RUN), check=False, merge=True, timeout=60)


@pytest.mark.parametrize("service", ["ssm", "secretsmanager"])
def test_a_secret_arrives_for_root_alone(tree: Path, tmp_path: Path, service: str) -> None:
    settings = {"SECRETS_PATH": "/web/prod", "SECRETS_SERVICE": service}
    done = fetched(tree, tmp_path, settings, "DB_PASSWORD shop/password\n")
    assert done.text == "600 DB_PASSWORD\ns3cret"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("settings", "wanted", "said"),
    [
        (
            {"SECRETS_PATH": "/web/prod"},
            "DB_PASSWORD shop/none\n",
            "/web/prod/shop/none: 127.0.0.1/ answers with 400 ParameterNotFound",
        ),
        ({}, "A b\n", "the user data has no SECRETS_PATH, such as /web/prod"),
        (
            {"SECRETS_PATH": "/web/prod", "SECRETS_SERVICE": "vault"},
            "A b\n",
            "SECRETS_SERVICE is neither ssm nor secretsmanager",
        ),
    ],
)
def test_a_missing_secret_is_an_error_that_names_it(
    tree: Path, tmp_path: Path, settings: dict[str, str], wanted: str, said: str
) -> None:
    done = fetched(tree, tmp_path, settings, wanted)
    assert done.returncode == 1
    assert done.text.strip() == f"goldpress-secrets: {said}"
