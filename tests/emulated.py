"""Owns the embedded cloud of tests: one process a session, its buckets, its failures."""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess  # noqa: TID251 - the cloud is a process of its own
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3  # noqa: TID251 - tests are AWS's callers here
import pytest
import urllib3
from botocore.config import Config  # noqa: TID251
from contract import check_answers

from goldpress.aws import client
from goldpress.aws.client import s3_client
from goldpress.aws.s3 import S3Objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).resolve().parents[1]
START_SECONDS = 60
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running embedded cloud. Its variables are set in this process's environment."""

    url: str

    def objects(self, *, prefix: str = "mirror", kms_key: str = "") -> S3Objects:
        """An empty place in a bucket of its own."""
        client = _client(self.url)
        bucket = f"store-{secrets.token_hex(6)}"
        client.create_bucket(Bucket=bucket)
        return S3Objects(bucket=bucket, prefix=prefix, client=client, kms_key=kms_key)

    def client(
        self, service: str, *, account: str = "123456789012", region: str = "us-east-1"
    ) -> Any:
        """A client of an account, which tries once; its answers are checked by botocore's model."""
        return _any_client(self.url, service, account, region)

    def ask(self, name: str, values: dict[str, Any] | None = None) -> Any:
        """What the cloud offers beside AWS's API; fails when it refuses."""
        method, data = ("GET", None) if values is None else ("POST", json.dumps(values).encode())
        answer = urllib3.request(method, f"{self.url}/_goldpress/{name}", body=data, timeout=60)
        assert answer.status == 200, answer.json()["error"]
        return answer.json()

    def fail(self, *faults: dict[str, Any]) -> None:
        """Answer the next requests that meet these faults with them; none: with none."""
        self._faults(json.dumps(faults).encode())

    def used(self) -> list[int]:
        """How often each fault was used."""
        return [fault["used"] for fault in self._faults(None)]

    def _faults(self, data: bytes | None) -> Any:
        method = "GET" if data is None else "POST"
        answer = urllib3.request(method, f"{self.url}/_goldpress/faults", body=data, timeout=30)
        return answer.json()


@functools.cache
def _client(_url: str) -> S3Client:
    """One for all tests: to make a client takes half a second."""
    return s3_client()


@functools.cache
def _any_client(url: str, service: str, account: str, region: str) -> Any:
    client = _session().client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=f"AKIA0000{account}",
        aws_secret_access_key="testing",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}),
    )
    check_answers(client)
    return client


@functools.cache
def _session() -> Any:
    return boto3.session.Session()


def new_account() -> str:
    """An account that nothing is in yet."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    argv = [sys.executable, "-m", "goldpress.emulator", "--until-eof"]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().strip()
        assert url, "the emulator did not start"
        yield url
        process.terminate()
        assert process.wait(START_SECONDS) == 0


@pytest.fixture
def emulator(emulator_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": emulator_url}.items():
        monkeypatch.setenv(name, value)
    emulator = Emulator(url=emulator_url)
    settings = emulator.ask("settings")
    yield emulator
    emulator.fail()
    emulator.ask("settings", settings)
    emulator.ask("clock", {"reset": True})


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables (None: unsets) and forgets the clients that were made with the ones before.

    The end of the test forgets those, too. Else they are shared: to make one takes half a second.
    """

    def forget(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        client._client.cache_clear()  # noqa: SLF001 - nothing but tests changes variables
        client._session.cache_clear()  # noqa: SLF001 - as above

    yield forget
    forget()
