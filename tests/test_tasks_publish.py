"""Publishing's tasks as a person runs them, as far as no image is needed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pressing import PROJECT

from goldpress import cloud
from goldpress.host.run import Completed, run
from goldpress.workspace import workspace

AMI = "ami-0123456789abcdef0"


class Person:
    """Someone with a build directory of their own, and no credentials."""

    def __init__(self, build: Path) -> None:
        self.build = build

    def inv(self, *words: str, **variables: str) -> Completed:
        environment = {
            "GOLDPRESS_BUILD": str(self.build),
            "HOME": str(self.build),
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
        }
        argv = (sys.executable, "-m", "invoke", "--search-root", str(PROJECT), *words)
        return run(argv, env=environment, cwd=PROJECT, timeout=120, check=False)

    def refused(self, *words: str, **variables: str) -> str:
        """What a task that failed said; stdout has no half of a result."""
        done = self.inv(*words, **variables)
        said = done.stderr.decode()
        assert (done.returncode, done.text) == (1, ""), said
        assert "Traceback" not in said
        return said


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    yield Person(tmp_path)
    cloud.down(replace(workspace({}), build=tmp_path))


def test_every_task_is_listed_with_what_it_does(person: Person) -> None:
    shown = re.findall(r"^  ([a-z.-]+) .*\w", person.inv("--list").text, re.MULTILINE)
    wanted = {"publish", "verify", "sweep", "cloud.up", "cloud.status", "cloud.down"}
    assert wanted | {"bench.publish"} <= set(shown)


def test_the_cloud_is_started_looked_at_and_ended(person: Person) -> None:
    started = person.inv("cloud.up")
    assert started.returncode == 0, started.stderr.decode()
    url = json.loads(started.text)["url"]
    assert f"started the embedded cloud at {url}; `./inv cloud.down`" in started.stderr.decode()
    assert json.loads(person.inv("cloud.status").text)["url"] == url
    assert json.loads(person.inv("cloud.down").text)["ended"] is True
    assert person.refused("cloud.status").startswith("error: no embedded cloud runs\n")
    assert json.loads(person.inv("cloud.down").text)["ended"] is False


def test_without_credentials_nothing_is_pressed_for_aws(person: Person) -> None:
    said = person.refused("publish")
    assert said.startswith("error: the credentials in us-east-1: no AWS credentials")
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    assert said.count("\n") == 2


def test_a_profile_that_is_not_there_is_told(person: Person) -> None:
    said = person.refused("publish", AWS_PROFILE="production")
    assert "production" in said
    assert said.startswith("error: ")


def test_a_region_that_the_file_lacks_is_told(person: Person) -> None:
    said = person.refused("publish", "--regions=eu-south-9")
    assert "--regions: publish.yaml has no region 'eu-south-9'" in said


def test_with_credentials_the_lock_is_asked_for(person: Person) -> None:
    """As far as one gets without CentOS: where the embedded cloud is chosen by its endpoint."""
    url = json.loads(person.inv("cloud.up").text)["url"]
    said = person.refused(
        "publish",
        AWS_ENDPOINT_URL=url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",  # noqa: S106
    )
    assert "error: no lock of web for CentOS Stream 9" in said


@pytest.mark.parametrize("words", [("verify", f"--ami={AMI}"), ("sweep",)])
def test_a_cloud_that_does_not_run_has_nothing(person: Person, words: tuple[str, ...]) -> None:
    message = "error: no embedded cloud runs, and what was in one is gone with it\n"
    assert person.refused(*words, "--sandbox").startswith(message)
    assert person.refused(*words, GOLDPRESS_DISTRIBUTION="sandbox").startswith(message)


def test_an_ami_that_nobody_published_is_told(person: Person) -> None:
    assert person.refused("verify", f"--ami={AMI}").startswith(
        f"error: {AMI}: the store has no record of it\n"
    )
    said = person.refused("verify", "--ami=web")
    assert said.startswith("error: 'web' is not the id of an AMI\n  such as ami-")


def test_a_sweep_of_aws_with_nothing_left_asks_nobody(person: Person) -> None:
    done = person.inv("sweep")
    assert (done.returncode, json.loads(done.text)) == (0, [])
