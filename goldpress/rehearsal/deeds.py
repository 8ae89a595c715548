"""Owns what people do in a rehearsal by hand: push a release, approve it, have a fleet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import urllib3

from goldpress import ami, cloud, progress
from goldpress.aws.client import Access
from goldpress.aws.ec2 import Images
from goldpress.errors import DocumentError, GitHubError, MissingError
from goldpress.host import tools
from goldpress.host.git import Git
from goldpress.promotion.record import current
from goldpress.rehearsal import desk, waves
from goldpress.rehearsal.fleet import HOST, Fleet, find_fleet, make_fleet
from goldpress.rehearsal.place import Place, here
from goldpress.rehearsal.project import IMAGE, PAGES, Release, update, write
from goldpress.rehearsal.steps import CHANNEL, REGION
from goldpress.statements.signing import trust_here
from goldpress.workspace import Workspace

ASK_SECONDS = 60
OK = 200
#: Longer than everything that a tour shows; Ctrl-C ends it, and it still tells.
TRAFFIC_SECONDS = 7200


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """A release that is in `main` at a commit; `fresh`: it was not before."""

    release: Release
    commit: str
    fresh: bool

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "release": self.release.name,
            "broken": self.release.broken,
            "commit": self.commit,
            "fresh": self.fresh,
        }


def release(ws: Workspace, wanted: Release) -> Pushed:
    """Write a release's pages into the clone, and push them to `main` as ann; once, the channel.

    Raises MissingError outside of the clone, DocumentError when it is not on `main`.
    """
    place = here(ws)
    git = Git(project=place.clone)
    if git.run("rev-parse", "--abbrev-ref", "HEAD").text.strip() != "main":
        raise DocumentError(
            f"{place.clone} is not on its branch main", hint="`git checkout main`, then again"
        )
    update(place.clone)
    write(place.clone, _files(place, git, wanted))
    git.run("add", "--", PAGES, waves.PATH)
    fresh = bool(git.run("diff", "--cached", "--name-only", "--", PAGES, waves.PATH).stdout)
    if fresh:
        text = f"release {wanted.name}"
        git.run("commit", "-q", "-m", text, "--", PAGES, waves.PATH)
    git.run("push", "-q", "origin", "HEAD:main")
    commit = git.commit("HEAD")
    if commit is None:
        raise DocumentError(f"{place.clone}: there is no commit")
    return Pushed(release=wanted, commit=commit, fresh=fresh)


def _files(place: Place, git: Git, wanted: Release) -> dict[str, str]:
    pages = git.file(place.base, PAGES)
    if pages is None:
        raise DocumentError(f"{PAGES}: not in {place.base[:12]}, which the rehearsal began with")
    files = {PAGES: wanted.pages(pages.decode())}
    if git.file("HEAD", waves.PATH) == git.file(place.base, waves.PATH):
        # Later it has what was promoted, and what people changed.
        files[waves.PATH] = waves.channel_text(region=REGION, verify=True)
    return files


def approve(ws: Workspace, number: int | None) -> dict[str, Any]:
    """ann approves and ben merges a pull request, and the clone has it; what was done.

    Raises GitHubError when there is none, or another than one, without a number.
    """
    place = here(ws)
    url = f"{place.site()[0]}{desk.PREFIX}approve"
    body = json.dumps({"pull": number}).encode()
    try:
        answer = urllib3.request("POST", url, body=body, timeout=ASK_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise GitHubError(f"the stand-in of GitHub at {url} does not answer") from error
    value: dict[str, Any] = answer.json()
    if answer.status != OK:
        raise GitHubError(
            str(value["message"]),
            status=answer.status,
            hint=f"`./inv propose {CHANNEL}` opens one; --pull=N chooses",
        )
    update(place.clone)
    return value


def fleet(ws: Workspace, size: int) -> Fleet:
    """A fleet of what the channel has in force, healthy; one that is there already is waited for.

    Raises MissingError when nothing is in force, or no cloud has it; CloudError.
    """
    if size < 1:
        raise DocumentError(f"--size={size}: a fleet has one machine at least")
    place = here(ws)
    tools.ensure(tools.BALANCER)
    promotion = current(ws.store, trust_here(ws), IMAGE, CHANNEL)
    if promotion is None:
        raise MissingError(
            f"{IMAGE}/{CHANNEL} has nothing in force",
            hint=f"propose, approve and `./inv promote {CHANNEL}` come first",
        )
    running = cloud.running(ws)
    wanted = promotion.amis[REGION]
    if running is None or Images.at(Access(endpoint=running.url), REGION).image(wanted) is None:
        raise MissingError(
            f"{wanted}: the embedded cloud that had it has ended",
            hint=f"`./inv publish`, then `./inv promote {CHANNEL}` bring it back",
        )
    found = find_fleet(running, region=REGION)
    if found is None:
        image = ami.find(ws.store, wanted)
        found = make_fleet(running, image, region=REGION, size=size, key=place.key)
    else:
        progress.note(f"there is a fleet already, of {found.desired()} machines: it is kept")
    found.wait(found.desired())
    return found


def traffic_line(url: str) -> str:
    """What starts traffic, in the clone or where the rehearsal was begun."""
    return (
        f".venv/bin/python -m goldpress.rehearsal.traffic {url}/release --host {HOST} "
        f"--slow 2 --slow-path /report --seconds {TRAFFIC_SECONDS}"
    )
