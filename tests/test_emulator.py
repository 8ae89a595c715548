"""The embedded cloud: a process that ends when it is told to, and refuses what S3 refuses."""

from __future__ import annotations

import re
import signal
import subprocess  # noqa: TID251 - the cloud is a process of its own
import sys
from collections.abc import Callable

import pytest
import urllib3
from emulated import PROJECT, Emulator
from moto.core.serialize import AttributePicker
from moto.ebs.responses import EBSResponse
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses import EC2Response
from moto.ec2.responses.amis import AmisResponse
from moto.kms.responses import KmsResponse
from moto.s3.responses import S3Response
from moto.ssm.responses import SimpleSystemManagerResponse

from goldpress.emulator import s3, server
from goldpress.emulator.amis import extend_amis
from goldpress.emulator.answers import extend_answers
from goldpress.emulator.ebs import extend_ebs
from goldpress.emulator.instances import extend_instances
from goldpress.emulator.parameters import extend_parameters
from goldpress.emulator.signatures import extend_signatures
from goldpress.emulator.templates import extend_templates


def started(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "goldpress.emulator", *options],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_when_told(number: signal.Signals) -> None:
    with started() as process:
        url = url_of(process)
        assert url.startswith("http://127.0.0.1:")
        assert urllib3.request("GET", f"{url}/_goldpress/faults", timeout=30).json() == []
        process.send_signal(number)
        assert process.wait(30) == 0


def test_it_ends_with_its_parent() -> None:
    with started("--until-eof") as process:
        assert url_of(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def test_another_series_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SERIES", "4.1.")
    with pytest.raises(RuntimeError, match=r"moto 5\.2\.\d+: the emulator extends moto 4\.1\.x"):
        server.extend()


@pytest.mark.parametrize(
    ("owner", "name", "extend"),
    [
        (AttributePicker, "__call__", extend_answers),
        (EBSResponse, "put_snapshot_block", extend_ebs),
        (AmisResponse, "register_image", extend_amis),
        (InstanceBackend, "run_instances", extend_instances),
        (LaunchTemplate, "create_version", extend_templates),
        (SimpleSystemManagerResponse, "put_parameter", extend_parameters),
        (KmsResponse, "sign", extend_signatures),
    ],
)
def test_another_shape_of_a_service_is_refused(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, extend: Callable[[], None]
) -> None:
    monkeypatch.setattr(owner, name, lambda _one, _two: None)
    with pytest.raises(RuntimeError, match=rf"moto's {owner.__name__}\.{name} has changed"):
        extend()


def test_an_action_that_moto_has_by_now_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EC2Response, "enable_image_deprecation", lambda _self: None, raising=False)
    with pytest.raises(RuntimeError, match=r"moto has EC2Response\.enable_image_deprecation now"):
        extend_amis()


def test_a_daemon_needs_a_directory() -> None:
    with started("--daemon") as process:
        assert process.wait(30) == 2


def test_another_shape_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    put_object = S3Response.put_object
    monkeypatch.setattr(S3Response, "delete_object", lambda _self, _key: None)
    with pytest.raises(RuntimeError, match=r"moto's S3Response\.delete_object has changed"):
        s3.extend_s3()
    assert S3Response.put_object is put_object


def test_faults_come_as_often_as_asked_for(emulator: Emulator) -> None:
    emulator.fail({"method": "GET", "path": "/b/x", "status": 418, "code": "TeaPot", "times": 2})
    url = f"{emulator.url}/b/x"
    answers = [urllib3.request("GET", url, timeout=30, retries=False) for _ in range(3)]
    assert [answer.status for answer in answers] == [418, 418, 404]
    assert b"<Code>TeaPot</Code>" in answers[0].data
    assert emulator.used() == [2]
    other = urllib3.request("GET", f"{emulator.url}/b/y", timeout=30, retries=False)
    assert other.status == 404


def test_an_unconditional_put_over_a_version_that_changed(emulator: Emulator) -> None:
    """A condition on something absent is an error of its own, as S3 has it."""
    objects = emulator.objects()
    with pytest.raises(objects.client.exceptions.ClientError) as caught:
        objects.client.put_object(Bucket=objects.bucket, Key="x", Body=b"1", IfMatch='"abc"')
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_nothing_of_goldpress_imports_it() -> None:
    """But for simulations, which nothing but their task imports."""
    stand_ins = {PROJECT / "goldpress" / name for name in ("emulator", "simulation")}
    imports = re.compile(r"^\s*(from|import) goldpress\.(emulator|simulation)", re.MULTILINE)
    found = [
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "goldpress").rglob("*.py")
        if imports.search(path.read_text()) and not stand_ins & set(path.parents)
    ]
    assert found == ["goldpress/commands/simulate.py"]
