from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from goldpress.host.run import run
from goldpress.machine import imds
from goldpress.machine.instance import Instance, configuration, write_configuration

INSTANCE = Instance(
    instance_id="i-0123456789abcdef0",
    region="eu-central-1",
    zone="eu-central-1b",
    public_keys={"login": "ssh-ed25519 AAAA someone"},
    tags={"Name": "web", "goldpress:image": "sha256:1"},
    user_data=b"KEY=\xff\n",
)
SECRET = "ab" * 32


def talk(config: Path, *requests: str) -> list[tuple[int, str]]:
    """Send requests over one connection to the program as QEMU starts it: (status, body)s."""
    sent = "".join(r.replace("\n", "\r\n") + "\r\n\r\n" for r in requests)
    argv = [sys.executable, "-I", "-S", imds.__file__, str(config)]
    text = run(argv, stdin=sent.encode(), timeout=20).stdout.decode("latin-1")
    found = []
    while text:
        head, _, text = text.partition("\r\n\r\n")
        length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
        found.append((int(head.split(" ")[1]), text[:length]))
        text = text[length:]
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "instance.json"
    write_configuration(INSTANCE, path)
    return path


def put(ttl: str, extra: str = "") -> str:
    return f"PUT /latest/api/token HTTP/1.1\n{imds.TTL_HEADER}: {ttl}{extra}"


def get(path: str, token: str) -> str:
    return f"GET {path} HTTP/1.1\nX-aws-ec2-metadata-token: {token}"


def test_version_1_is_refused(config: Path) -> None:
    assert talk(config, "GET /latest/meta-data/instance-id HTTP/1.1\nHost: x") == [(401, "")]


def test_a_token_opens_everything_also_in_other_processes(config: Path) -> None:
    ((status, token),) = talk(config, put("60"))
    assert status == 200
    answers = talk(
        config,
        get("/latest/meta-data/instance-id", token),
        get("/latest/meta-data/placement/region", token),
        get("/latest/meta-data/placement/availability-zone", token),
        get("/latest/meta-data/public-keys/0/openssh-key", token),
        get("/latest/meta-data/tags/instance/Name", token),
        get("/latest/user-data", token),
        get("/latest/meta-data/local-ipv4", token),
        get("/latest/meta-data/hostname", token),
    )
    assert answers == [
        (200, "i-0123456789abcdef0"),
        (200, "eu-central-1"),
        (200, "eu-central-1b"),
        (200, "ssh-ed25519 AAAA someone"),
        (200, "web"),
        (200, "KEY=\xff\n"),
        (200, "169.254.10.15"),
        (200, "ip-169-254-10-15.eu-central-1.compute.internal"),
    ]


def test_listings_look_as_on_ec2(config: Path) -> None:
    ((_, token),) = talk(config, put("60"))
    answers = talk(
        config,
        get("/latest/", token),
        get("/latest/meta-data/", token),
        get("/latest/meta-data/placement", token),
        get("/latest/meta-data/public-keys/", token),
        get("/latest/meta-data/public-keys/0/", token),
        get("/latest/meta-data/tags/instance/", token),
    )
    assert [body.splitlines() for _, body in answers] == [
        ["dynamic/", "meta-data/", "user-data"],
        [
            "ami-id",
            "hostname",
            "instance-id",
            "instance-type",
            "local-hostname",
            "local-ipv4",
            "placement/",
            "public-keys/",
            "tags/",
        ],
        ["availability-zone", "region"],
        ["0=login"],
        ["openssh-key"],
        ["Name", "goldpress:image"],
    ]


def test_identity_document_names_the_instance(config: Path) -> None:
    ((_, token),) = talk(config, put("60"))
    ((status, body),) = talk(config, get("/latest/dynamic/instance-identity/document", token))
    assert status == 200
    assert json.loads(body)["instanceId"] == INSTANCE.instance_id
    assert json.loads(body)["region"] == "eu-central-1"


@pytest.mark.parametrize("ttl", ["0", "21601", "99999999999", "-1", "x", "", "1.5", "²"])
def test_a_bad_time_to_live_is_refused(config: Path, ttl: str) -> None:
    assert talk(config, put(ttl)) == [(400, "")]


@pytest.mark.parametrize("ttl", ["1", "21600"])
def test_the_bounds_of_the_time_to_live_are_accepted(config: Path, ttl: str) -> None:
    assert talk(config, put(ttl))[0][0] == 200


def test_a_token_through_a_proxy_is_refused(config: Path) -> None:
    assert talk(config, put("60", "\nX-Forwarded-For: 10.0.0.1")) == [(403, "")]


def test_a_token_is_asked_for_by_put_only(config: Path) -> None:
    assert talk(config, "GET /latest/api/token HTTP/1.1\nHost: x") == [(405, "")]


def test_an_expired_token_is_refused(config: Path) -> None:
    secret = bytes.fromhex(json.loads(config.read_text())["secret"])
    old = imds.new_token(secret, int(time.time()) - 1, b"12345678")
    fresh = imds.new_token(secret, int(time.time()) + 60, b"12345678")
    path = "/latest/meta-data/ami-id"
    assert [status for status, _ in talk(config, get(path, old), get(path, fresh))] == [401, 200]


@pytest.mark.parametrize("token", ["", "x", "A" * 64, "not base64 at all", "é"])
def test_a_made_up_token_is_refused(config: Path, token: str) -> None:
    assert talk(config, get("/latest/meta-data/", token)) == [(401, "")]


def test_a_token_of_another_machine_is_refused(config: Path) -> None:
    foreign = imds.new_token(b"other", int(time.time()) + 60, b"12345678")
    assert talk(config, get("/latest/meta-data/", foreign)) == [(401, "")]


def test_without_user_data_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.json"
    write_configuration(Instance(instance_id="i-1"), path)
    ((_, token),) = talk(path, put("60"))
    answers = talk(
        path,
        get("/latest/user-data", token),
        get("/latest/", token),
        get("/latest/meta-data/tags/instance/", token),
        get("/latest/meta-data/public-keys/", token),
    )
    assert answers == [(404, ""), (200, "dynamic/\nmeta-data/"), (404, ""), (404, "")]


@pytest.mark.parametrize(
    "path", ["/latest/meta-data/nothing", "/latest/meta-data/ami-id/", "/latest/../x", "/1.0/"]
)
def test_what_is_not_there_is_not_found(config: Path, path: str) -> None:
    ((_, token),) = talk(config, put("60"))
    assert talk(config, get(path, token)) == [(404, "")]


def test_writing_is_refused(config: Path) -> None:
    assert talk(config, "DELETE /latest/user-data HTTP/1.1\nHost: x") == [(405, "")]


@pytest.mark.parametrize(
    "nonsense",
    ["hello", "GET / HTTP/1.1\nno colon", "GET / HTTP/1.1\ncontent-length: -1", "X" * 20000],
)
def test_nonsense_ends_the_connection(config: Path, nonsense: str) -> None:
    assert talk(config, nonsense, put("60")) == [(400, "")]


def test_http_1_0_is_closed_after_the_answer(config: Path) -> None:
    first = f"PUT /latest/api/token HTTP/1.0\n{imds.TTL_HEADER}: 5"
    assert [status for status, _ in talk(config, first, put("60"))] == [200]


def test_head_has_no_body(config: Path) -> None:
    ((_, token),) = talk(config, put("60"))
    head = get("/latest/meta-data/ami-id", token).replace("GET", "HEAD")
    argv = [sys.executable, "-I", "-S", imds.__file__, str(config)]
    sent = head.replace("\n", "\r\n") + "\r\n\r\n"
    out = run(argv, stdin=sent.encode(), timeout=20).text
    assert out.startswith("HTTP/1.1 200 OK\r\n")
    assert out.endswith("\r\n\r\n")


def test_the_secret_is_the_owners_only_and_new_each_time(tmp_path: Path) -> None:
    write_configuration(INSTANCE, tmp_path / "a.json")
    write_configuration(INSTANCE, tmp_path / "b.json")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a.json").read_bytes() != (tmp_path / "b.json").read_bytes()
    assert configuration(INSTANCE, secret=SECRET)["secret"] == SECRET


def test_a_configuration_is_never_overwritten(config: Path) -> None:
    with pytest.raises(FileExistsError):
        write_configuration(INSTANCE, config)
