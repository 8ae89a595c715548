"""Owns git: what a checkout and its remote have, and commits made without touching the work tree.

Git reaches a remote as its user does, and never waits for a password. A header that it sends to an
HTTPS remote goes through the environment: command lines are for everyone to read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from goldpress.errors import CommandError, ConflictError, MissingError
from goldpress.host.run import Completed, run

REMOTE = "origin"
NO_COMMIT = "0" * 40
_PASSED = (
    *("HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
    *(f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")),
)
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
#: Whoever runs goldpress runs the code of this very checkout: its settings are believed, too. (Of
#: what another user checked out, as for a job's container, git would tell nothing otherwise.)
TRUSTED = ("-c", "safe.directory=*")
_SECONDS = 120.0
_FILE = "100644"


@dataclass(frozen=True, kw_only=True)
class Git:
    """A checkout, or a folder of one; `header` is sent to its remote when that is HTTPS.

    `author` are git's variables of whose its commits are, in place of the user's own.
    """

    project: Path
    header: str = field(default="", repr=False)
    author: Mapping[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The project's folder in the checkout: empty, or with "/" at its end.

        Raises MissingError when it is no checkout.
        """
        try:
            return self.run("rev-parse", "--show-prefix").text.strip()
        except CommandError as error:
            raise MissingError(
                f"{self.project}: not a git checkout: {error.message}",
                hint="run it in a checkout of the project",
            ) from None

    def commit(self, ref: str) -> str | None:
        """The id of the commit that a ref stands for, or None."""
        try:
            found = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", ref)
        except CommandError:
            return None
        return found.text.strip()

    def file(self, commit: str, path: str) -> bytes | None:
        """A file of the project at a commit, or None."""
        try:
            return self.run("cat-file", "blob", f"{commit}:{self.prefix}{path}").stdout
        except CommandError:
            return None

    def files(self, commit: str, folder: str) -> tuple[str, ...]:
        """The paths below a folder of the project at a commit."""
        prefix = self.prefix
        done = self.run(
            "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", f"{prefix}{folder}/"
        )
        return tuple(path.removeprefix(prefix) for path in done.text.split("\0") if path)

    def changed(self, before: str, after: str) -> tuple[str, ...]:
        """The paths of the checkout that two commits differ in, as the project calls its own."""
        done = self.run("diff", "--name-only", "-z", "--no-renames", before, after)
        prefix = self.prefix
        return tuple(path.removeprefix(prefix) for path in done.text.split("\0") if path)

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        return self.run("log", "-1", "--format=%B", commit).text

    def since(self, base: str, head: str) -> tuple[str, ...]:
        """The commits that `head` has and `base` has not, newest first."""
        return tuple(self.run("rev-list", f"{base}..{head}").text.split())

    def fork(self, one: str, other: str) -> str | None:
        """The last commit that two have in common, or None."""
        try:
            return self.run("merge-base", one, other).text.strip()
        except CommandError:
            return None

    def make(self, base: str, files: Mapping[str, bytes], message: str) -> str:
        """A commit on `base` in which these files of the project have this content; its id."""
        prefix = self.prefix
        with tempfile.TemporaryDirectory(prefix="goldpress-git-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.run("read-tree", base, env=env)
            for path, data in sorted(files.items()):
                blob = self.run("hash-object", "-w", "--stdin", stdin=data).text.strip()
                self.run(
                    "update-index", "--add", "--cacheinfo", f"{_FILE},{blob},{prefix}{path}",
                    env=env,
                )  # fmt: skip
            tree = self.run("write-tree", env=env).text.strip()
        return self.run("commit-tree", tree, "-p", base, stdin=message.encode()).text.strip()

    @property
    def has_remote(self) -> bool:
        """Whether there is a remote."""
        return REMOTE in self.run("remote").text.split()

    @property
    def url(self) -> str:
        """Where the remote is."""
        return self.run("remote", "get-url", REMOTE).text.strip()

    def fetch(self, branch: str) -> str | None:
        """The commit that a branch is at on the remote, brought here; None without that branch."""
        ref = f"refs/heads/{branch}"
        rows = self.run("ls-remote", REMOTE, ref, header=True).text.split()
        if not rows:
            return None
        self.run("fetch", "--quiet", "--no-tags", REMOTE, f"+{ref}:{_seen(branch)}", header=True)
        return self.commit(_seen(branch))

    def last_seen(self, branch: str) -> str | None:
        """The commit that a branch of the remote was at when this checkout last asked, or None."""
        return self.commit(_seen(branch))

    def push(self, branch: str, commit: str, *, before: str | None) -> None:
        """Let the remote's branch be at `commit`. Raises ConflictError when it left `before`."""
        ref = f"refs/heads/{branch}"
        lease = f"--force-with-lease={ref}:{before or ''}"
        try:
            self.run("push", "--quiet", lease, REMOTE, f"{commit}:{ref}", header=True)
        except CommandError as error:
            if "stale info" not in error.message:
                raise
            raise ConflictError(
                f"{branch}: someone else pushed to it in this moment",
                hint="run the command again",
            ) from None

    def branch(self, name: str, commit: str) -> None:
        """Let a branch here be at `commit`. Raises CommandError when it is checked out."""
        self.run("branch", "--force", "--no-track", name, commit)

    def run(
        self,
        *words: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        header: bool = False,
    ) -> Completed:
        """Run git in the project. Raises CommandError."""
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        sent = self._sent() if header and self.header else {}
        return run(
            ["git", *TRUSTED, "-C", self.project, *words],
            env={**passed, **_QUIET, **sent, **self.author, **(env or {})},
            stdin=stdin,
            timeout=_SECONDS,
            what=f"git {words[0]}",
        )

    def _sent(self) -> dict[str, str]:
        """Settings that add the header to requests to the remote's own server, and no other."""
        url = urlsplit(self.url)
        if url.scheme != "https":
            return {}
        key = f"http.{url.scheme}://{url.netloc.rpartition('@')[2]}/.extraHeader"
        return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": self.header}


def _seen(branch: str) -> str:
    return f"refs/remotes/{REMOTE}/{branch}"
