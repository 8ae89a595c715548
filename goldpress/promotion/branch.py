"""Owns the branch of a proposal: one commit on the base, made, kept or made anew.

A branch that proposes the very same stays as it is: its approvals would be lost with a new commit.
What somebody else committed to it is never thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldpress.digest import short
from goldpress.errors import ConflictError
from goldpress.host.git import Git
from goldpress.promotion.proposal import MARK, Proposal


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Where a proposal is: its branch, the commit, and whether that is new."""

    name: str
    commit: str
    fresh: bool


def write(git: Git, proposal: Proposal, *, base: str, push: bool) -> Branch:
    """The proposal's branch: on the remote with `push`, else in this checkout.

    `base` is a commit. Raises ConflictError when somebody else works on the branch, CommandError
    when git or the remote refuses.
    """
    name = proposal.branch
    before = git.fetch(name) if push else git.commit(f"refs/heads/{name}")
    if before is not None:
        if proposes(git, before, proposal, base=base):
            return Branch(name=name, commit=before, fresh=False)
        refuse_others(git, name, before, base=base)
    commit = git.make(base, proposal.files, proposal.message)
    if push:
        git.push(name, commit, before=before)
    else:
        git.branch(name, commit)
    return Branch(name=name, commit=commit, fresh=True)


def proposes(git: Git, commit: str, proposal: Proposal, *, base: str) -> bool:
    """Whether a commit proposes this very thing, as its only change, and it applies to `base`."""
    fork = git.fork(base, commit)
    if fork is None or git.since(fork, commit) != (commit,):
        return False
    if git.message(commit).strip() != proposal.message.strip():
        return False
    wanted = proposal.files
    return set(git.changed(fork, commit)) == set(wanted) and all(
        git.file(commit, path) == data and git.file(fork, path) == git.file(base, path)
        for path, data in wanted.items()
    )


def refuse_others(git: Git, name: str, commit: str, *, base: str) -> None:
    """Raises ConflictError when the branch has a commit that goldpress did not make."""
    for id_ in git.since(base, commit):
        if not git.message(id_).rstrip().endswith(MARK):
            raise ConflictError(
                f"{name}: somebody else committed {short(id_)} to it",
                hint="merge or close its pull request and delete the branch, then propose again",
            )
