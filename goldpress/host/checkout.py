"""Owns what is said of the checkout that is built from: its commit, and whether it was changed."""

from __future__ import annotations

from pathlib import Path

from goldpress.host.git import Git

#: A lock names itself by its digest; a nightly build is of one that is not committed yet.
NOT_LOCKS = ":(exclude,glob)images/*/locks/*.json"
#: What a person ignores everywhere is no part of the project.
NO_OTHER_IGNORED = ("-c", "core.excludesFile=/dev/null")


def state(project: Path) -> tuple[str, bool]:
    """The commit (40 hex digits; empty outside a checkout), and whether nothing was changed since.

    Files that git neither knows nor ignores are a change; locks are none. Raises CommandError when
    git cannot look, or is not installed.
    """
    git = Git(project=project)
    head = git.commit("HEAD^{commit}")
    if head is None:
        return "", False
    words = ("status", "--porcelain", "--untracked-files=all", "-z", "--", ".", NOT_LOCKS)
    return head, not git.run(*NO_OTHER_IGNORED, *words).stdout
