"""Owns the embedded cloud of tests: one process a session, its buckets, its failures."""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess  # noqa: TID251 - the cloud is a process of its own
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

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
    yield emulator
    emulator.fail()
