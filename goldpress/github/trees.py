"""Owns commits' trees as GitHub keeps them: which file has which bytes at a commit."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from goldpress.errors import GitHubError
from goldpress.github.api import Repository, understood

#: What has an id of git never changes: it is asked for once.
KEPT = 512
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class GitCommit:
    """A commit: its id, its tree's, and its parents', the first one first."""

    id: str
    tree: str
    parents: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class File:
    """A file of a tree: its mode as git writes it (``100644``), and the id of its bytes."""

    mode: str
    blob: str


Files = Mapping[str, File]


@functools.lru_cache(maxsize=KEPT)
def commit(repo: Repository, id_: str) -> GitCommit:
    """A commit by its whole id. Raises GitHubError."""
    row = repo.get(f"git/commits/{_checked(id_)}")
    with understood(repo, f"the commit {id_}"):
        return GitCommit(
            id=str(row["sha"]),
            tree=str(row["tree"]["sha"]),
            parents=tuple(str(parent["sha"]) for parent in row["parents"]),
        )


@functools.lru_cache(maxsize=KEPT)
def files(repo: Repository, tree: str) -> Files:
    """Every file of a tree by its path. Raises GitHubError when GitHub does not list them all."""
    with understood(repo, f"the tree {tree}"):
        answer = repo.get(f"git/trees/{_checked(tree)}", recursive=1)
        cut = bool(answer["truncated"])
        found = {
            str(row["path"]): File(mode=str(row["mode"]), blob=str(row["sha"]))
            for row in answer["tree"]
            if row["type"] != "tree"
        }
    if cut:
        raise GitHubError(
            f"GitHub {repo.name}: the tree {tree} has more files than GitHub lists at once",
            hint="keep channels in a repository with less than 100000 files",
        )
    return found


@functools.lru_cache(maxsize=KEPT)
def blob(repo: Repository, id_: str) -> bytes:
    """The bytes of a file by its id. Raises GitHubError."""
    answer = repo.get(f"git/blobs/{_checked(id_)}")
    with understood(repo, f"the file {id_}"):
        if answer["encoding"] != "base64":
            raise ValueError(f"encoding {answer['encoding']}")
        # With line ends in it.
        return base64.b64decode(answer["content"])


def contents(repo: Repository, path: str, ref: str) -> bytes | None:
    """A file's bytes at a commit, or None when it has no such file. Raises GitHubError."""
    answer = repo.find(f"contents/{path}", ref=_checked(ref))
    if answer is None:
        return None
    if not isinstance(answer, dict) or answer.get("type") != "file":
        raise GitHubError(f"GitHub {repo.name}: {path} at {ref} is no file")
    return blob(repo, str(answer["sha"]))


def changing(repo: Repository, path: str, ref: str) -> Iterator[str]:
    """The ids of the commits up to `ref` that changed a file, newest first."""
    with understood(repo, f"the commits of {path}"):
        for row in repo.pages("commits", path=path, sha=_checked(ref)):
            yield str(row["sha"])


def line(repo: Repository, tip: str, since: str) -> Iterator[GitCommit]:
    """The commits of a branch's own line, the first parents from `tip` down to `since`.

    `since` is left out. Raises GitHubError when the line is too long, or does not lead there.
    """
    seen: dict[str, GitCommit] = {}
    wanted = _checked(tip)
    with understood(repo, f"the commits up to {tip}"):
        for row in repo.pages("commits", sha=wanted):
            parents = tuple(str(parent["sha"]) for parent in row["parents"])
            made = GitCommit(
                id=str(row["sha"]), tree=str(row["commit"]["tree"]["sha"]), parents=parents
            )
            seen[made.id] = made
            while wanted in seen and wanted != since:
                yield seen[wanted]
                wanted = next(iter(seen[wanted].parents), "")
            if wanted == since:
                return
    raise GitHubError(
        f"GitHub {repo.name}: the line of {tip[:12]} does not lead to {since[:12]}",
        hint="somebody moved the branch past its own merges: revert that, or propose anew",
    )


def merge_base(repo: Repository, base: str, head: str) -> str:
    """The commit at which `head` left `base`. Raises GitHubError."""
    found = repo.get(f"compare/{_checked(base)}...{_checked(head)}", per_page=1)
    with understood(repo, f"{base[:12]}...{head[:12]}"):
        return str(found["merge_base_commit"]["sha"])


def _checked(id_: str) -> str:
    if not _ID.fullmatch(id_):
        raise GitHubError(f"{id_!r} is not the id of a commit, tree or file in git")
    return id_
