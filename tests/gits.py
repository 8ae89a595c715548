"""Owns the git checkouts of tests: a project with locks on its branches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from goldpress.host.run import run

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")},
}


#: A snapshot that no store of a test has.
ELSEWHERE = f"sha256:{'e' * 64}"


def lock_text(packages: Iterable[str], *snapshots: str) -> str:
    rows = [{"name": f"p{n}", "sha256": sha256} for n, sha256 in enumerate(packages)]
    by_name = {f"d{n}": digest for n, digest in enumerate(snapshots or (ELSEWHERE,))}
    return json.dumps({"lock_version": 2, "packages": rows, "snapshots": by_name})


@dataclass(frozen=True, kw_only=True)
class Checkout:
    root: Path

    def git(self, *words: str) -> str:
        argv = ["git", "-c", "protocol.file.allow=always", "-C", str(self.root), *words]
        return run(argv, env=_ENVIRONMENT, timeout=60).text.strip()

    def write(self, text: str, name: str = "web/locks/test-9.x86_64.json") -> Path:
        path = self.root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, text: str, name: str = "web/locks/test-9.x86_64.json") -> str:
        self.write(text, name)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "lock")
        return self.git("rev-parse", "HEAD")


def make_checkout(root: Path) -> Checkout:
    root.mkdir(parents=True)
    checkout = Checkout(root=root)
    checkout.git("init", "-q", "-b", "main")
    (root / "README").write_text("a project\n")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "begin")
    return checkout
