"""Owns the locks that git holds: on every branch, tag and remote ref, in every work tree.

A lock that only some branch has is as much in use as one of HEAD. Whatever cannot be read is an
error: what is not seen cannot be kept.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.errors import CommandError, DocumentError, MissingError
from goldpress.host.git import TRUSTED
from goldpress.host.run import Completed, run

LOCK = re.compile(r"images/[^/]+/locks/[^/]+\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: What git needs to reach a remote as its user does; it must never wait for a password.
_PASSED = (
    *("HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class LockRoot:
    """A lock that is in use: where it was found, its packages' sha256s, its snapshots' digests."""

    where: str
    packages: frozenset[str]
    snapshots: frozenset[str]


def git_locks(project: Path) -> tuple[LockRoot, ...]:
    """The locks of all live refs and work trees of the checkout at `project`.

    Raises MissingError when it is no checkout, when a remote has refs that were not fetched, or
    does not answer; DocumentError for a lock that cannot be read.
    """
    git = _Git(project=project)
    git.check(
        "the locks on its branches cannot be read",
        hint="run gc in a checkout of the project with all its branches",
    )
    found: dict[str, LockRoot] = {}
    for ref, tree in git.trees():
        for path, blob in git.files(tree):
            if blob not in found:
                where = f"{ref}:{path}"
                found[blob] = parse_root(git.blob(blob), where=where)
    return (*found.values(), *(root for top in git.work_trees() for root in file_locks(top)))


def committed(project: Path, path: Path, ref: str) -> bytes:
    """The bytes of a file of the checkout as it is at a commit, branch or tag.

    Raises MissingError when `project` is no checkout, the ref is unknown, or had no such file.
    """
    name = path.relative_to(project)
    git = _Git(project=project)
    git.check(f"what {name} was before cannot be read", hint="run it in a checkout of the project")
    commit = git.commit(ref)
    if commit is None:
        raise MissingError(
            f"git knows no commit {ref!r}",
            hint="name a commit, branch or tag of this checkout; a shallow one has few: "
            "`git fetch --unshallow`",
        )
    try:
        # The path is relative to the project, which may be a folder of the checkout.
        return git.blob(f"{commit}:./{name}")
    except CommandError:
        raise MissingError(
            f"{ref} has no {name}", hint="name a commit that has it: --since=COMMIT"
        ) from None


def file_locks(project: Path) -> Iterator[LockRoot]:
    """The locks in a folder of the project's form. Raises DocumentError."""
    for path in sorted(project.glob("images/*/locks/*.json")):
        yield parse_root(path.read_bytes(), where=str(path))


def parse_root(data: bytes, *, where: str) -> LockRoot:
    """What a lock of any version needs: its digests. Raises DocumentError that names `where`."""
    try:
        value: dict[str, Any] = json.loads(data)
        rows = [row["sha256"] for row in value["packages"]]
        snapshots: Mapping[str, str] = value.get("snapshots") or {"": value["snapshot"]}
        digests = [digest.removeprefix("sha256:") for digest in snapshots.values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        rows = digests = []
    if not rows or not all(isinstance(t, str) and _SHA256.fullmatch(t) for t in rows + digests):
        raise DocumentError(
            f"{where}: not a lock that can be read",
            hint="repair or delete it; while it is there nobody knows which packages it needs",
        )
    return LockRoot(
        where=where,
        packages=frozenset(rows),
        snapshots=frozenset(f"sha256:{digest}" for digest in digests),
    )


@dataclass(frozen=True, kw_only=True)
class _Git:
    project: Path

    def check(self, problem: str, *, hint: str) -> None:
        """Raises MissingError that tells the problem when the project is no checkout."""
        try:
            self._run("rev-parse", "--git-dir")
        except CommandError as error:
            raise MissingError(f"{self.project}: {problem}: {error.message}", hint=hint) from None

    def commit(self, ref: str) -> str | None:
        """The id of the commit that a name stands for, or None."""
        # What begins with a - would be an option, and a : leads into the commit's files.
        if ref.startswith("-") or ":" in ref:
            return None
        try:
            found = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        except CommandError:
            return None
        return found.text.strip()

    def trees(self) -> Iterator[tuple[str, str]]:
        """Each different tree that a ref, a remote's ref or a HEAD points to, and one such."""
        called = dict(self._refs())
        seen: set[str] = set()
        for name, tree in self._looked_up(f"{name}^{{tree}}" for name in called):
            ref = called[name.removesuffix("^{tree}")]
            if tree is None:
                self._check_treeless(name.removesuffix("^{tree}"), ref)
            elif tree not in seen:
                seen.add(tree)
                yield ref, tree

    def files(self, tree: str) -> Iterator[tuple[str, str]]:
        """The path and the id of each lock in a tree."""
        done = self._run("ls-tree", "-r", "-z", tree, "--", "images/")
        for row in done.text.split("\0"):
            about, _, path = row.partition("\t")
            if LOCK.fullmatch(path):
                yield path, about.split()[2]

    def blob(self, id_: str) -> bytes:
        return self._run("cat-file", "blob", id_).stdout

    def work_trees(self) -> Iterator[Path]:
        """The project's folder in every work tree that is there."""
        prefix = self._run("rev-parse", "--show-prefix").text.strip()
        for path, _ in self._work_trees():
            if path.is_dir():
                yield path / prefix

    def _work_trees(self) -> Iterator[tuple[Path, str]]:
        rows = self._run("worktree", "list", "--porcelain").text.split("\n\n")
        for row in rows:
            fields = dict(line.partition(" ")[::2] for line in row.splitlines())
            if "worktree" in fields and "bare" not in fields:
                yield Path(fields["worktree"]), fields["HEAD"]

    def _refs(self) -> Iterator[tuple[str, str]]:
        """What to look at, and what to call it: ids and ref names."""
        for name in self._run("for-each-ref", "--format=%(refname)").text.split():
            yield name, name
        for path, head in self._work_trees():
            # A branch without a commit has no tree yet.
            if head.strip("0"):
                yield head, f"HEAD of {path}"
        for remote in self._run("remote").text.split():
            try:
                answer = self._run("ls-remote", "--heads", "--tags", remote)
            except CommandError as error:
                raise MissingError(
                    f"{remote}: its branches cannot be read: {error.message}",
                    hint="a branch that was not fetched may have a lock: try again when the remote "
                    f"can be reached, or `git remote remove {remote}`",
                ) from None
            for line in answer.text.splitlines():
                id_, _, name = line.partition("\t")
                yield id_, f"{remote} {name}"

    def _check_treeless(self, name: str, ref: str) -> None:
        """A tag of a blob has no tree. Raises MissingError when the object is not here."""
        ((_, found),) = self._looked_up([f"{name}^{{}}"])
        if found is None:
            raise MissingError(
                f"{ref} is not in this checkout, so its locks cannot be read",
                hint="run `git fetch --all --tags`",
            )

    def _looked_up(self, names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """The id of each object, None for what is not here."""
        asked = list(names)
        text = "".join(f"{name}\n" for name in asked).encode()
        rows = self._run("cat-file", "--batch-check", stdin=text).text.splitlines()
        for name, row in zip(asked, rows, strict=True):
            yield name, None if row.endswith(" missing") else row.split()[0]

    def _run(self, *words: str, stdin: bytes | None = None) -> Completed:
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return run(
            ["git", *TRUSTED, "-C", self.project, *words],
            env={**passed, **_QUIET},
            stdin=stdin,
            timeout=_SECONDS,
            what=f"git {words[0]}",
        )
