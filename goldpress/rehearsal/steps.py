"""Owns the way of an image into a channel in a rehearsal: each step as its task takes it.

What people do in a browser is done by ann, who approves, and by ben, who merges.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldpress import build, checking, promoting, proposing, publishing
from goldpress.ami import Ami
from goldpress.attesting import attest_build
from goldpress.aws.client import Access
from goldpress.aws.ssm import Parameters
from goldpress.errors import CloudError, GitHubError
from goldpress.host.run import run
from goldpress.press import Pressed
from goldpress.promotion.available import parameter_name, pointer_name
from goldpress.promotion.record import Promotion, history
from goldpress.proposing import Proposed, Wish
from goldpress.rehearsal.answers import GitHubServer
from goldpress.rehearsal.project import IMAGE
from goldpress.rehearsal.site import Pull
from goldpress.statements.chain import Chain, chain
from goldpress.statements.signing import trust_here
from goldpress.workspace import Workspace

CHANNEL, REGION = "staging", "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A project, its hosting site, and the embedded cloud's URL."""

    ws: Workspace
    github: GitHubServer
    endpoint: str

    def pressed(self) -> Pressed:
        """The image as the project defines it now."""
        definition = self.ws.definition(IMAGE)
        return build.press(self.ws, definition, self.ws.distribution(definition, sandbox=True))

    def built(self) -> tuple[Pressed, str]:
        """`build-image`: pressed, booted, verified, attested; with its evidence's digest."""
        pressed = self.pressed()
        evidence = str(build.verify(self.ws, pressed).facts["evidence"])
        attest_build(self.ws, pressed, evidence)
        return pressed, evidence

    def published(self, pressed: Pressed, *, launch: bool = True) -> Ami:
        """`publish`: an AMI, and with `launch` an instance of it that passes. Raises its error."""
        (row,) = publishing.publish(self.ws, pressed, endpoint=self.endpoint, launch=launch)
        if row.error is not None:
            raise row.error
        if row.published is None:
            raise CloudError(f"{REGION}: nothing was published")
        return row.published.ami

    def chain(self, digest: str) -> Chain:
        """What is known of an image."""
        return chain(self.ws.store, digest, trust_here(self.ws))

    def proposed(self, digest: str) -> tuple[Proposed, Pull]:
        """`propose staging`: a pull request of the token's, not of a person."""
        found = proposing.propose(
            self.ws,
            Wish(channel=CHANNEL, image=IMAGE, digest=digest, sandbox=True),
            repo=self.github.repository,
            endpoint=self.endpoint,
        )
        if found is None:
            raise GitHubError(f"{digest}: there is nothing to propose")
        self.github.hub.notice()
        (pull,) = [p for p in self.github.hub.pulls if found.url.endswith(f"/{p.number}")]
        return found, pull

    def checked(self, pull: Pull) -> None:
        """`promotion.check --comment`. Raises its error."""
        found = checking.check(
            self.ws,
            pull.number,
            endpoint=self.endpoint,
            comment=True,
            repo=self.github.repository,
        )
        found.refuse_failed()

    def merged(self, pull: Pull) -> str:
        """What two people do in the browser; the commit."""
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
        if outcome.promotion is None:
            raise GitHubError(f"{CHANNEL}: nothing was promoted")
        return outcome.promotion

    def promoted(self, digest: str) -> Promotion:
        """From a digest to its promotion: proposed, checked, approved, merged, carried out."""
        _, pull = self.proposed(digest)
        self.checked(pull)
        self.merged(pull)
        return self.promote()

    def history(self) -> tuple[Promotion, ...]:
        """Every promotion of the channel, oldest first."""
        return history(self.ws.store, trust_here(self.ws), IMAGE, CHANNEL)

    def pointer(self) -> str:
        """The AMI that consumers read; empty: none."""
        return self._value(pointer_name(IMAGE, CHANNEL))

    def versioned(self, digest: str) -> str:
        """The AMI of a digest, by its own parameter; empty: none."""
        return self._value(parameter_name(IMAGE, CHANNEL, digest))

    def _value(self, name: str) -> str:
        found = Parameters.at(Access(endpoint=self.endpoint), REGION).get(name)
        return found.value if found else ""
