"""Owns a roll's duties beyond fleets: who verifies, who holds, what consumers take, what git hears.

Each is done by whoever this process has for it. What is out of reach is an error that says so; the
roll writes it down as left, and does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from goldpress import holds, progress, proposing
from goldpress.aws.client import Access
from goldpress.aws.ssm import Parameters
from goldpress.channel import Channel
from goldpress.errors import CloudError, CommandError, GitHubError
from goldpress.fleet.place import Place, Reach
from goldpress.fleet.plan import GroupPlan
from goldpress.github.api import Repository, find_repository
from goldpress.promotion.available import pointer_name
from goldpress.publish.settings import Target, load_settings
from goldpress.sampling import Sampler
from goldpress.statements.signing import trust_here
from goldpress.trial import Trying
from goldpress.workspace import Workspace

#: The longest reason of a hold.
WHY = 300
NOTHING = "nothing: the channel had no image before"


@dataclass(frozen=True, kw_only=True)
class RealDuties:
    """The duties of one roll of `channel`, of `digest` in place of `previous`."""

    ws: Workspace
    channel: Channel
    digest: str
    previous: str
    owner: str
    reach: Reach
    endpoint: str
    emulated: bool
    repository: Callable[[], Repository | None] = find_repository

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        """Launch and verify a machine outside the fleet."""
        return self._sampler(group).prove(group, version, token)

    def end(self, group: GroupPlan, token: str) -> None:
        """End it."""
        self._sampler(group).end(group, token)

    def sample(self, group: GroupPlan, instance: str) -> str:
        """Verify an instance of the fleet."""
        return self._sampler(group).sample(group, instance)

    def hold(self, why: str) -> str:
        """Hold the digest, if it is not held already."""
        trust = trust_here(self.ws)
        found = holds.held(self.ws.store, trust, self.digest)
        found = found or holds.hold_here(self.ws, self.digest, reason(f"roll: {why}"))
        return f"since {found.at} by {found.by}"

    def propose(self, why: str) -> str:
        """Propose the digest before for the channel; without GitHub the branch stays here."""
        if not self.previous:
            return NOTHING
        wish = proposing.Wish(
            channel=self.channel.name, image=self.channel.image, digest=self.previous,
            sandbox=self.emulated,
        )  # fmt: skip
        try:
            found = proposing.propose(self.ws, wish, repo=self.repository(), endpoint=self.endpoint)
        except (GitHubError, CommandError) as error:
            progress.note(f"git's remote is out of reach ({error.message}): the branch stays here")
            found = proposing.propose(
                self.ws, wish, repo=None, endpoint=self.endpoint, offline=True
            )
        if found is None:
            return "nothing: git has it already"
        if found.url:
            return found.url
        progress.note(f"the revert ({why}) is a branch of this checkout: push it by hand")
        return f"branch {found.branch.name}, not pushed: `git push origin {found.branch.name}`"

    def point(self, region: str, ami: str) -> None:
        """Let consumers of a region take this AMI."""
        name = pointer_name(self.channel.image, self.channel.name)
        client = self.reach(self.owner).client("ssm", region)
        Parameters(client=client, region=region).write(name, ami, tags={})

    def _sampler(self, group: GroupPlan) -> Sampler:
        access = self.reach(group.account)
        if not isinstance(access, Access):
            raise CloudError(f"{group.key}: nothing can be launched there to be verified")
        settings = load_settings(self.ws.project / "images" / self.channel.image)
        target = Target(region=group.region, kms_key="", subnet="")
        place = Place(account=group.account, region=group.region, access=access)
        trying = Trying(access=access, settings=settings, target=target, keep=False)
        return Sampler(ws=self.ws, place=place, access=access, trying=trying)


def reason(text: str) -> str:
    """A reason as a hold takes it: one printable line, not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WHY else f"{line[: WHY - 3]}..."
