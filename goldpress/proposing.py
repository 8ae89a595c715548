"""Owns proposing: what a channel could have now, as a branch and a pull request, once a night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from goldpress import looking, progress
from goldpress.channel import PATH, Channel, parse_channel
from goldpress.digest import short
from goldpress.errors import DocumentError, MissingError, PromotionError
from goldpress.github import pulls
from goldpress.github.api import Repository
from goldpress.github.identity import identity
from goldpress.host.git import Git
from goldpress.mirror.difference.change import Difference
from goldpress.mirror.difference.compare import diff_locks
from goldpress.promotion import branch as branches
from goldpress.promotion import candidate
from goldpress.promotion.branch import Branch
from goldpress.promotion.difference import ImageDifference
from goldpress.promotion.gathered import Gathered, gather, lock_of, refuse_unproven
from goldpress.promotion.markdown import markdown
from goldpress.promotion.plan import Plan
from goldpress.promotion.proposal import Change, Proposal
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.upkeep.comparison import errata
from goldpress.workspace import SANDBOX, Workspace

BASE = "main"
_REASON_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for: a channel; of one image only, or this digest of it; why in haste."""

    channel: str
    image: str = ""
    digest: str = ""
    expedite: str = ""
    sandbox: bool = False

    def __post_init__(self) -> None:
        if self.digest and not self.image:
            raise DocumentError("--digest is of one image: name it with --image")
        if not self.expedite.isprintable() or len(self.expedite) > _REASON_LENGTH:
            raise DocumentError(f"--expedite: a reason of one line, {_REASON_LENGTH} characters")


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What was proposed: its text, its branch, and its pull request where there is one."""

    proposal: Proposal
    text: str
    branch: Branch
    url: str

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "channel": self.proposal.channel,
            "title": self.proposal.title,
            "branch": self.branch.name,
            "commit": self.branch.commit,
            "new_commit": self.branch.fresh,
            "pull_request": self.url or None,
            "images": [
                {
                    "image": change.channel.image,
                    "before": change.channel.digest or None,
                    "after": change.digest,
                }
                for change in self.proposal.changes
            ],
            "text": self.text,
        }


@dataclass(frozen=True, kw_only=True)
class Proposing:
    """One look for what to propose; `base` is the commit of the branch that it is merged into."""

    ws: Workspace
    wish: Wish
    git: Git
    base: str
    trust: Trust
    endpoint: str
    now: datetime

    def proposal(self) -> Proposal | None:
        """What could be promoted now; None when nothing could, which is told.

        Raises what keeps an image back only if that image was asked for.
        """
        changes = []
        for channel in self.channels():
            try:
                change = self.change(channel)
            except (PromotionError, MissingError) as error:
                if self.wish.image:
                    raise
                progress.note(f"{channel.image}: nothing is proposed: {error.message}")
                continue
            if change is None:
                progress.note(
                    f"{channel.image}: {channel.name} has {short(channel.digest)} already"
                )
            else:
                changes.append(change)
        if not changes:
            return None
        wish = self.wish
        return Proposal(channel=wish.channel, changes=tuple(changes), expedite=wish.expedite)

    def channels(self) -> Iterator[Channel]:
        """The channels of this name that the base has, one an image. Raises MissingError."""
        wanted = self.wish.channel
        found = False
        for path in self.git.files(self.base, "images"):
            named = PATH.fullmatch(path)
            if named and named[2] == wanted and self.wish.image in {"", named[1]}:
                found = True
                yield self.channel(path)
        if not found:
            whose = f"image {self.wish.image}" if self.wish.image else "image"
            raise MissingError(
                f"no {whose} has a channel {wanted!r} at {self.base[:12]}",
                hint="a channel is images/<name>/channels/<channel>.yaml, merged already",
            )

    def channel(self, path: str) -> Channel:
        """A channel as the base has it. Raises MissingError or DocumentError."""
        data = self.git.file(self.base, path)
        if data is None:
            raise MissingError(f"{path}: {self.base[:12]} has no such channel")
        return parse_channel(data, path=path)

    def change(self, channel: Channel) -> Change | None:
        """What one image of the channel would have otherwise; None when nothing.

        Raises PromotionError with the rule that it could not meet, MissingError; DocumentError for
        haste that the channel has no rules for.
        """
        wish, store = self.wish, self.ws.store
        _ = channel.terms(expedited=bool(wish.expedite))
        definition = self.ws.definition(channel.image)
        distribution = SANDBOX if wish.sandbox else definition.distribution
        chosen = candidate.choose(
            store,
            self.trust,
            channel,
            series=f"{definition.name}.{distribution}.{definition.arch}",
            digest=wish.digest,
            expedited=bool(wish.expedite),
            now=self.now,
        )
        if chosen is None:
            return None
        new = gather(store, self.trust, chosen.digest)
        refuse_other(channel, new)
        refuse_unproven(new.chain, channel.policy.evidence)
        access = looking.publisher(self.ws, channel.image, endpoint=self.endpoint)
        return Change(
            plan=Plan(channel=channel, counts=looking.counts(channel, access=access)),
            difference=self.difference(channel, new),
            soak=chosen.soak,
            is_return=chosen.is_return,
        )

    def difference(self, channel: Channel, new: Gathered) -> ImageDifference:
        """What the channel would have other than now, as far as the store knows."""
        if not channel.digest:
            return ImageDifference(before=None, after=new.side, packages=None)
        try:
            old = gather(self.ws.store, self.trust, channel.digest)
        except MissingError as error:
            return ImageDifference(
                before=None, after=new.side, packages=None, unknown=error.message
            )
        packages: Difference | None = None
        unknown = ""
        try:
            packages = self._packages(old, new)
        except MissingError as error:
            unknown = f"what changed is not known: {error.message}"
        return ImageDifference(before=old.side, after=new.side, packages=packages, unknown=unknown)

    def _packages(self, old: Gathered, new: Gathered) -> Difference:
        store = self.ws.store
        before, after = (lock_of(store, row.chain) for row in (old, new))
        return diff_locks(store, before, after, errata=errata(self.ws, after.snapshots, after.arch))


def refuse_other(channel: Channel, new: Gathered) -> None:
    """Raises PromotionError for an image that is not the channel's."""
    if new.side.name != channel.image:
        raise PromotionError(
            "image", f"{new.side.short} is the image {new.side.name}, not {channel.image}"
        )


def propose(
    ws: Workspace,
    wish: Wish,
    *,
    repo: Repository | None,
    endpoint: str = "",
    now: datetime | None = None,
    offline: bool = False,
) -> Proposed | None:
    """Propose what could be promoted; None when that is nothing.

    With `offline` the remote is not asked: the base is what this checkout saw of it last. With
    `repo` (whose token may write) the branch is pushed and its pull request opened or brought
    up to date; without it the branch is made in this checkout. Raises PromotionError or
    MissingError for an image that was asked for and cannot be, ConflictError when somebody else
    works on the branch, GitHubError, CommandError.
    """
    git = checkout(ws, repo)
    base_branch = pulls.default_branch(repo) if repo else BASE
    if git.has_remote and not offline:
        base = git.fetch(base_branch)
    else:
        base = git.last_seen(base_branch) or git.commit(f"refs/heads/{base_branch}")
    if base is None:
        raise MissingError(f"there is no branch {base_branch} to propose a change of")
    proposing = Proposing(
        ws=ws,
        wish=wish,
        git=git,
        base=base,
        trust=trust_here(ws),
        endpoint=endpoint,
        now=now or datetime.now(UTC),
    )
    proposal = proposing.proposal()
    if proposal is None:
        return None
    text = markdown(proposal)
    branch = branches.write(git, proposal, base=base, push=repo is not None)
    url = ""
    if repo is not None:
        pull = pulls.propose(
            repo, branch=branch.name, base=base_branch, title=proposal.title, body=text
        )
        url = pull.url
    return Proposed(proposal=proposal, text=text, branch=branch, url=url)


def checkout(ws: Workspace, repo: Repository | None) -> Git:
    """The project's git; it shows the token only to the repository that the token is for.

    Raises MissingError when the project is no checkout, or has no remote to push to.
    """
    git = Git(project=ws.project)
    _ = git.prefix
    if repo is None:
        return git
    if not git.has_remote:
        raise MissingError(
            "this checkout has no remote `origin` to push the branch to",
            hint="propose from a clone of the repository, or without a token",
        )
    url = urlsplit(git.url)
    named = url.path.strip("/").removesuffix(".git").lower()
    mine = url.scheme == "https" and named == repo.name.lower()
    # A commit of an author whom GitHub does not know is nobody's to approve.
    author = identity(repo).environment()
    return Git(project=ws.project, header=repo.git_header() if mine else "", author=author)
