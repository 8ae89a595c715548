"""Owns approval: whether people who wrote none of it approved exactly what was merged.

Whoever wrote a commit, is named in it, opened the pull request, or pushed to its branch is an
author. An approval counts when it was given to the last head, before the merge, by a person who may
write to the repository and is no author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldpress.channel import expedite_reason
from goldpress.github.pulls import CREATED, PUSHED, Commit, PullRequest, Push, Review
from goldpress.promotion.edits import Edited
from goldpress.promotion.verdict import Verdict

APPROVED = "APPROVED"
OBJECTS = "CHANGES_REQUESTED"
#: A comment neither gives nor takes an approval.
DECIDING = frozenset({APPROVED, OBJECTS, "DISMISSED"})
MAY_WRITE = frozenset({"admin", "write"})


@dataclass(frozen=True, kw_only=True)
class Request:
    """What GitHub tells of a pull request; `permissions` are of those who decided, by login."""

    pull: PullRequest
    commits: tuple[Commit, ...]
    reviews: tuple[Review, ...]
    pushes: tuple[Push, ...]
    permissions: Mapping[str, str]

    @property
    def authors(self) -> frozenset[str]:
        """Everyone who had a hand in it, in lower case: GitHub tells no other logins apart."""
        named = {who for commit in self.commits for who in commit.authors}
        named |= {push.by for push in self.pushes} | {self.pull.author}
        return frozenset(who.lower() for who in named if who)

    @property
    def accounts(self) -> frozenset[int]:
        """The numbers of those of them whose login may be another by now."""
        return frozenset(number for commit in self.commits for number in commit.accounts)

    @property
    def expedited(self) -> str:
        """Why the proposing commit asks for haste; empty when it does not."""
        head = next((row for row in self.commits if row.id == self.pull.head), None)
        return expedite_reason(head.message) if head else ""

    @property
    def decisions(self) -> Mapping[str, Review]:
        """Each reviewer's last word."""
        return {row.by: row for row in self.reviews if row.state in DECIDING}


@dataclass(frozen=True, kw_only=True)
class Merge:
    """How a pull request was merged: by which commit, and what it and the request came to.

    `reached` says whether the branch as it is now has that commit; `second` is its second parent.
    `left` is the first commit since at which the branch had another digest; empty for none.
    """

    commit: str
    tree: str
    second: str
    reached: bool
    left: str
    proposed: Edited
    brought: Edited


def judge_authors(request: Request) -> Verdict:
    """Whether everyone who had a hand in it is known: only then can somebody else approve."""
    rule = "authors"
    pull = request.pull
    if pull.from_fork:
        return _no(rule, "it comes from another repository, where nobody sees who pushed")
    unknown = [f"{c.id[:12]}: {who}" for c in request.commits for who in c.unknown]
    if unknown:
        return _no(rule, f"GitHub knows no account of {'; '.join(unknown)}")
    if not pull.author or pull.head not in {row.id for row in request.commits}:
        return _no(rule, "GitHub does not tell who opened it, or not all of its commits")
    if not request.pushes or request.pushes[-1].kind != CREATED:
        return _no(rule, f"GitHub does not tell everyone who pushed to its branch {pull.branch}")
    if others := sorted({push.kind for push in request.pushes} - PUSHED):
        why = f"its branch {pull.branch} was moved by {others[0]}: whoever pushed that is not told"
    elif any(not push.by for push in request.pushes):
        why = "somebody pushed to its branch whose account is gone"
    else:
        why = ""
    if why:
        return _no(rule, why)
    return Verdict(rule=rule, ok=True, why=", ".join(sorted(request.authors)))


def approvers(request: Request) -> tuple[str, ...]:
    """Those whose approval counts."""
    return tuple(sorted(who for who, row in request.decisions.items() if not refusal(request, row)))


def judge_approval(request: Request, needed: int) -> Verdict:
    """Whether enough people approved the last head who wrote none of it."""
    rule = "approved"
    good = approvers(request)
    if len(good) >= needed:
        return Verdict(rule=rule, ok=True, why=f"{', '.join(good)} approved {request.pull.head}")
    others = [
        f"{who or 'somebody'} {why}"
        for who, row in request.decisions.items()
        if (why := refusal(request, row))
    ]
    told = f"; {'; '.join(others)}" if others else ""
    return _no(
        rule, f"{len(good)} of {needed} approvals of the head {request.pull.head[:12]}{told}"
    )


def refusal(request: Request, review: Review) -> str:
    """Why a last word is no approval that counts; empty when it is."""
    pull, who = request.pull, review.by
    late = pull.merged and not (review.at and review.at <= pull.merged_at)
    faults = {
        f"said {review.state.lower().replace('_', ' ')}": review.state != APPROVED,
        "is no person": not (who and review.is_person),
        "approved, but is an author of it": (
            who.lower() in request.authors or review.account in request.accounts
        ),
        f"approved an earlier head, {review.commit[:12]}": review.commit != pull.head,
        "approved only after it was merged": late,
        "may not write to the repository": request.permissions.get(who) not in MAY_WRITE,
    }
    return next((why for why, is_so in faults.items() if is_so), "")


def judge_objections(request: Request) -> Verdict:
    """Whether nobody who may write has the last word that it be changed."""
    rule = "no-objection"
    against = [
        who
        for who, row in request.decisions.items()
        if row.state == OBJECTS and request.permissions.get(who) in {*MAY_WRITE, None}
    ]
    if against:
        return _no(rule, f"{', '.join(against)} asked for changes, and did not take it back")
    return Verdict(rule=rule, ok=True, why="nobody asks for changes")


def judge_merge(request: Request, merge: Merge, *, path: str, digest: str) -> Verdict:
    """Whether the commit on the branch is this request's merge, and brought what it proposed.

    For the channel at `path` that has to be `digest`.
    """
    rule = "merged"
    pull = request.pull
    more = (*merge.proposed.faults, *merge.brought.faults)
    faults = {
        f"pull request {pull.number} was not merged by {merge.commit[:12]}": (
            not pull.merged or pull.merge_commit != merge.commit
        ),
        f"{pull.base} does not have the merge {merge.commit[:12]}": not merge.reached,
        f"{pull.base} had another digest since, at {merge.left[:12]}": bool(merge.left),
        f"the merge {merge.commit[:12]} brought another head than the approved": (
            merge.second not in {"", pull.head}
        ),
        f"it changes more than `image:` lines: {'; '.join(dict.fromkeys(more))}": bool(more),
        f"the merge {merge.commit[:12]} did not give {path} its digest": (
            merge.brought.digests.get(path) != digest
        ),
        f"the merge {merge.commit[:12]} brought other digests than were approved": (
            merge.proposed.digests != merge.brought.digests
        ),
    }
    for why, is_so in faults.items():
        if is_so:
            return _no(rule, why)
    return Verdict(
        rule=rule, ok=True, why=f"pull request {pull.number}, by {pull.merged_by or 'nobody known'}"
    )


def judge_only_image(edited: Edited) -> Verdict:
    """Whether a pull request changes the lines `image:` of channels, and nothing else."""
    rule = "only-image"
    if edited.faults:
        return _no(rule, "; ".join(edited.faults))
    return Verdict(rule=rule, ok=True, why=f"{', '.join(sorted(edited.digests))}, one line each")


def _no(rule: str, why: str) -> Verdict:
    return Verdict(rule=rule, ok=False, why=why)
