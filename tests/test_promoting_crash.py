"""A promotion, killed at any call and run again: the same final state, each thing done once."""

from __future__ import annotations

import json
import os
import signal
import subprocess  # noqa: TID251 - what is killed is a process of its own
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from github_server import TOKEN
from promotable import OTHER, REGION, STAGING, Site, make_site

from goldpress.aws.client import Access
from goldpress.aws.ec2 import Images
from goldpress.promotion.available import parameter_name, pointer_name
from goldpress.promotion.carrying import journal_key, lease_key
from goldpress.promotion.record import Promotion
from goldpress.statements.chain import chain
from goldpress.store.journal import Journal

CHILD = Path(__file__).with_name("promoting_child.py")
KILLED = -signal.SIGKILL
#: More calls than a promotion makes; a loop that gets there has a fault.
MOST = 400


@dataclass(kw_only=True)
class Nursery:
    """Promotions, one after the other, each a process that kills itself."""

    process: subprocess.Popen[str]
    site: Site

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, *, kill: int = 0, after: bool = False, kind: str = "all") -> int:
        """The exit status of one promotion of staging."""
        ws, github = self.site.ws, self.site.github
        job: dict[str, Any] = {
            "project": str(ws.project), "build": str(ws.build), "store_url": ws.store_url,
            "name": github.hub.name, "url": github.url, "token": TOKEN, "channel": "staging",
            "kill": kill, "after": after, "kind": kind,
        }  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.line())


@pytest.fixture
def nursery(site: Site) -> Iterator[Nursery]:
    site.policy(staging=STAGING + f'accounts: ["{OTHER}"]\n')
    with subprocess.Popen(
        [sys.executable, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
        text=True,
    ) as process:
        made = Nursery(process=process, site=site)
        assert made.line() == "ready"
        yield made
        process.kill()


def check(site: Site, letter: str, past: int) -> Promotion:
    """All is as it is after one promotion that nothing interrupted; `past` came before it."""
    digest, ami = site.images[letter].image, site.ami(letter).ami
    history = site.history("staging")
    assert len(history) == past + 1
    made = history[-1]
    assert (made.digest, made.amis) == (digest, {REGION: ami})
    assert made.previous == (history[-2].digest if past else "")
    images = Images.at(Access(), REGION)
    image = images.image(ami)
    assert image is not None
    assert image.protected
    assert image.tags["goldpress:channel:staging"] == f"pull {made.approval.pull}"
    assert images.launchers(ami) == {OTHER}
    versioned = site.parameter(parameter_name(site.name, "staging", digest))
    pointer = site.parameter(pointer_name(site.name, "staging"))
    assert versioned is not None
    assert pointer is not None
    # Each was written once.
    assert (versioned.value, versioned.version) == (ami, 1)
    assert (pointer.value, pointer.version) == (ami, past + 1)
    # Signed once, too: what was signed and not yet in force was taken up.
    assert len(chain(site.ws.store, digest, site.trust).promotions) == 1
    objects = site.ws.store.objects
    journal = Journal.read(objects, journal_key(site.name, "staging")).values
    assert (journal["state"], journal["digest"], "doing" in journal) == ("done", digest, False)
    lease = objects.get(lease_key(site.name, "staging"))
    assert lease is not None
    assert json.loads(lease.data)["until"] == 0
    return made


def test_killed_before_and_after_each_change(nursery: Nursery) -> None:
    site = nursery.site
    site.wanted("staging", site.image("a"))
    kills = 0
    # Each round gets one change further; the last one finds none to be killed at.
    while nursery.run(kill=1, kind="changing") == KILLED:
        assert nursery.run(kill=1, after=True, kind="changing") == KILLED
        kills += 1
        assert kills < MOST
    # Permission, protection, tag, parameter, pointer.
    assert kills == 5
    check(site, "a", 0)


def test_killed_before_and_after_each_write_of_the_store(nursery: Nursery) -> None:
    site = nursery.site
    site.wanted("staging", site.image("a"))
    for number in range(1, MOST):
        killed = nursery.run(kill=number, kind="store") == KILLED
        if nursery.run(kill=number, after=True, kind="store") == 0:
            break
        assert killed
    assert number > 5
    check(site, "a", 0)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_call_of_aws_the_store_s_too(nursery: Nursery, *, after: bool) -> None:
    """Each time another image, from the beginning: the nth call of all that there are."""
    plain = nursery.site
    objects = plain.emulator.objects(prefix="promotions")
    site = make_site(
        plain.ws.project.parent / "shared", plain.github, plain.emulator,
        store_url=f"s3://{objects.bucket}/{objects.prefix}",
    )  # fmt: skip
    site.policy(staging=STAGING + f'accounts: ["{OTHER}"]\n')
    nursery.site = site
    kills = 0
    for number in range(1, MOST):
        letter = f"{number}"
        site.wanted("staging", site.image(letter))
        status = nursery.run(kill=number, after=after)
        if status == KILLED:
            kills += 1
            assert nursery.run() == 0
        check(site, letter, number - 1)
        if status == 0:
            break
    assert kills > 50
