"""Owns the way of images into a channel and back, in tests: each step, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from publications import keep

from goldpress import build
from goldpress.ami import Ami
from goldpress.attesting import attest_build
from goldpress.digest import digest_of, sha256_tree
from goldpress.errors import PromotionError
from goldpress.press import Pressed
from goldpress.promotion.record import Promotion
from goldpress.proposing import Proposed
from goldpress.rehearsal import project
from goldpress.rehearsal.answers import GitHubServer
from goldpress.rehearsal.project import IMAGE, push
from goldpress.rehearsal.site import BOT, Pull
from goldpress.rehearsal.steps import CHANNEL, REGION, Steps
from goldpress.verify.evidence import Evidence
from goldpress.workspace import Workspace

__all__ = ["CHANNEL", "IMAGE", "REGION", "Journey", "local_evidence", "make_project", "push"]

PROJECT = Path(__file__).resolve().parents[1]


def make_project(directory: Path, github: GitHubServer) -> Path:
    """A clone of the hosting site's repository, to which this project's images were pushed."""
    return project.make_project(PROJECT, directory, github)


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
class Journey(Steps):
    """The steps, each of which is looked at. Only people approve and merge."""

    def went_public(self, pressed: Pressed, evidence: str) -> Ami:
        """`build-image` has ended with this evidence; then `publish`: the chain is whole."""
        attest_build(self.ws, pressed, evidence)
        lacking = {link.name for link in self.chain(pressed.digest).missing()}
        assert lacking == {"publication", "trial"}
        ami = self.published(pressed)
        found = self.chain(pressed.digest)
        assert found.missing() == ()
        (trial,) = found.trials
        assert trial.launched is not None
        assert trial.launched.ami == ami.ami
        assert trial.evidence.rests_on == evidence
        return ami

    def proposed(self, digest: str) -> tuple[Proposed, Pull]:
        found, pull = super().proposed(digest)
        assert (pull.by, pull.state) == (BOT, "open")
        return found, pull

    def checked(self, pull: Pull) -> None:
        super().checked(pull)
        (told,) = [row for row in self.github.hub.comments if row.number == pull.number]
        assert pull.head in told.body

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
