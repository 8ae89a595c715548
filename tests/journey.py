"""Owns the way of images into a channel and back, in tests: each step as its task takes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from github_server import GitHubServer
from hub import BOT, Pull
from publications import keep

from goldpress import build, checking, promoting, proposing, publishing
from goldpress.ami import Ami
from goldpress.attesting import attest_build
from goldpress.aws.client import Access
from goldpress.aws.ssm import Parameters
from goldpress.digest import digest_of, sha256_tree
from goldpress.errors import PromotionError
from goldpress.host.run import run
from goldpress.press import Pressed
from goldpress.promotion.available import parameter_name, pointer_name
from goldpress.promotion.record import Promotion, history
from goldpress.proposing import Proposed, Wish
from goldpress.statements.chain import Chain, chain
from goldpress.statements.signing import trust_here
from goldpress.verify.evidence import Evidence
from goldpress.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[1]
IMAGE, CHANNEL, REGION = "web", "staging", "us-east-1"
#: What a project of images has, beside the code.
PARTS = ("images/web", "verify", "rpm-mirror")
PEOPLE = ("AUTHOR", "COMMITTER")


def make_project(directory: Path, github: GitHubServer) -> Path:
    """A clone of the hosting site's repository, to which this project's images were pushed."""
    run(("git", "clone", "-q", github.hub.bare, directory), timeout=120)
    for name in PARTS:
        shutil.copytree(PROJECT / name, directory / name, symlinks=True)
    shutil.copyfile(PROJECT / "trust.yaml", directory / "trust.yaml")
    (directory / ".gitignore").write_text("__pycache__/\n")
    push(directory, github, "images, their suites and who is trusted")
    return directory


def push(project: Path, github: GitHubServer, message: str) -> None:
    """Whatever was changed in a clone comes to `main`, as ann's commit."""
    hub = github.hub
    ann = hub.people["ann"]
    environment = {f"GIT_{who}_NAME": ann.login for who in PEOPLE}
    environment |= {f"GIT_{who}_EMAIL": ann.email for who in PEOPLE}
    for words in (
        ("add", "-A"),
        ("commit", "-q", "-m", message),
        ("pull", "-q", "--rebase", "origin", "main"),
        ("push", "-q", "origin", "HEAD:main"),
    ):
        run(("git", "-C", project, *words), env=environment, timeout=120)
    hub.pusher = "ann"
    hub.notice()
    hub.pusher = BOT


def local_evidence(ws: Workspace, pressed: Pressed, like: Evidence) -> str:
    """Evidence that a local copy of the image passed as another one did; its digest."""
    found = replace(
        like,
        subject=replace(like.subject, image_digest=pressed.digest, disk_sha256=pressed.disk.sha256),
        suite_sha256=sha256_tree(ws.suite(pressed.definition)),
        input_digest=digest_of(build.promises(pressed)),
    )
    return keep(ws.store, found, pressed.definition.name)


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A project, its hosting site, and the embedded cloud. Only people approve and merge."""

    ws: Workspace
    github: GitHubServer
    endpoint: str

    def chain(self, digest: str) -> Chain:
        return chain(self.ws.store, digest, trust_here(self.ws))

    def published(self, pressed: Pressed, evidence: str) -> Ami:
        """`build-image` has ended with this evidence; then `publish`: the chain is whole."""
        attest_build(self.ws, pressed, evidence)
        lacking = {link.name for link in self.chain(pressed.digest).missing()}
        assert lacking == {"publication", "trial"}
        (row,) = publishing.publish(self.ws, pressed, endpoint=self.endpoint)
        assert row.error is None, row.error
        assert row.published is not None
        found = self.chain(pressed.digest)
        assert found.missing() == ()
        (trial,) = found.trials
        assert trial.launched is not None
        assert trial.launched.ami == row.published.ami.ami
        assert trial.evidence.rests_on == evidence
        return row.published.ami

    def proposed(self, digest: str) -> tuple[Proposed, Pull]:
        """`propose staging`: a pull request of the token's, not of a person."""
        found = proposing.propose(
            self.ws,
            Wish(channel=CHANNEL, image=IMAGE, digest=digest, sandbox=True),
            repo=self.github.repository,
            endpoint=self.endpoint,
        )
        assert found is not None
        self.github.hub.notice()
        (pull,) = [p for p in self.github.hub.pulls if found.url.endswith(f"/{p.number}")]
        assert (pull.by, pull.state) == (BOT, "open")
        return found, pull

    def checked(self, pull: Pull) -> None:
        """`promotion.check --comment`."""
        found = checking.check(
            self.ws,
            pull.number,
            endpoint=self.endpoint,
            comment=True,
            repo=self.github.repository,
        )
        found.refuse_failed()
        (told,) = [row for row in self.github.hub.comments if row.number == pull.number]
        assert pull.head in told.body

    def merged(self, pull: Pull) -> str:
        """What two people do in the browser."""
        self.github.hub.review(pull.number, "ann")
        commit = self.github.hub.merge(pull.number, by="ben")
        run(("git", "-C", self.ws.project, "fetch", "-q", "origin"), timeout=120)
        return commit

    def promote(self) -> Promotion:
        """`promote staging`. Raises its error."""
        outcomes = promoting.promote(
            self.ws, CHANNEL, endpoint=self.endpoint, repo=self.github.repository
        )
        error = promoting.failure(outcomes)
        if error is not None:
            raise error
        (outcome,) = outcomes
        assert outcome.promotion is not None
        return outcome.promotion

    def promoted(self, digest: str) -> Promotion:
        """From a digest to its promotion; nothing is promoted before it is merged."""
        before = self.pointer()
        _, pull = self.proposed(digest)
        self.checked(pull)
        assert self.pointer() == before
        self.merged(pull)
        found = self.promote()
        assert (found.digest, found.approval.pull) == (digest, pull.number)
        assert (found.approval.approvers, found.approval.merged_by) == (("ann",), "ben")
        return found

    def refused(self, digest: str) -> PromotionError:
        """The error of a proposal that the rules do not let through."""
        try:
            self.proposed(digest)
        except PromotionError as error:
            return error
        raise AssertionError(f"{digest} was proposed")

    def history(self) -> tuple[Promotion, ...]:
        return history(self.ws.store, trust_here(self.ws), IMAGE, CHANNEL)

    def pointer(self) -> str:
        """What consumers read."""
        return self._value(pointer_name(IMAGE, CHANNEL))

    def versioned(self, digest: str) -> str:
        return self._value(parameter_name(IMAGE, CHANNEL, digest))

    def _value(self, name: str) -> str:
        found = Parameters.at(Access(endpoint=self.endpoint), REGION).get(name)
        return found.value if found else ""
