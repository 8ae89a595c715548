"""Owns the project of a rehearsal: a clone of the hosting site's repository, and what people push.

Its web image has a shop with two pages more than the sample: `/release` says which release it is,
`/report` takes as long as a report does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from goldpress.errors import DocumentError
from goldpress.host.run import run
from goldpress.rehearsal.answers import GitHubServer
from goldpress.rehearsal.site import BOT
from goldpress.workspace import Workspace

#: What a project of images has, beside the code.
PARTS = ("images/web", "verify", "rpm-mirror")
IMAGE = "web"
PAGES = "images/web/apps/sample/src/pages.php"
#: How long /report takes; a load balancer has to wait for as long before an instance goes.
REPORT_SECONDS = 20
#: It stands in PHP's text, in file names and in commits.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")
_PEOPLE = ("AUTHOR", "COMMITTER")
_ANCHOR = "        '/visits' =>"
_MORE = """
/** @return array{{int, string, string}} which release it is, and whether it still serves */
function release(): array
{{
    $status = {condition} ? 500 : 200;
    return [$status, 'text/plain', "{body}\\n"];
}}

/** @return array{{int, string, string}} what takes its time */
function report(): array
{{
    sleep({seconds});
    return [200, 'text/plain', "report\\n"];
}}
"""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release of the shop; a `broken` one answers its users with 500, and only them.

    It does so at once, or when a machine has answered `after` requests well, as one that leaks.
    Raises DocumentError for a name with other characters than letters, digits, dots and dashes.
    Neither the suite nor a load balancer's check asks `/release`: that is how bad releases pass.
    """

    name: str
    broken: bool = False
    after: int = 0

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise DocumentError(
                f"{self.name!r} is no name of a release",
                hint="letters, digits, dots and dashes, such as B or 2026-11",
            )

    @property
    def body(self) -> str:
        """What /release answers."""
        return f"release {self.name}"

    def pages(self, source: str) -> str:
        """The sample's pages with this release's. Raises DocumentError for another file."""
        if source.count(_ANCHOR) != 1:
            raise DocumentError(f"{PAGES}: not the sample's: there is no page /visits")
        routes = "        '/release' => release(),\n        '/report' => report(),\n"
        condition = f"apcu_inc('release') > {self.after}" if self.broken else "false"
        more = _MORE.format(condition=condition, body=self.body, seconds=REPORT_SECONDS)
        return source.replace(_ANCHOR, routes + _ANCHOR) + more


def make_project(source: Path, directory: Path, github: GitHubServer) -> Path:
    """A clone of the site's repository, to which the images of the project `source` were pushed."""
    run(("git", "clone", "-q", github.hub.bare, directory), timeout=120)
    leave = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        shutil.copytree(source / name, directory / name, symlinks=True, ignore=leave)
    shutil.copyfile(source / "trust.yaml", directory / "trust.yaml")
    (directory / ".gitignore").write_text("__pycache__/\n")
    push(directory, github, "images, their suites and who is trusted")
    return directory


def release(project: Path, source: Path, wanted: Release) -> None:
    """Write a release's pages into the clone; `source` is the project that has the sample's."""
    (project / PAGES).write_text(wanted.pages((source / PAGES).read_text()))


def write(project: Path, files: Mapping[str, str]) -> None:
    """Write files of the clone."""
    for name, text in files.items():
        (project / name).write_text(text)


def push(project: Path, github: GitHubServer, message: str) -> None:
    """Whatever was changed in a clone comes to `main`, as ann's commit."""
    hub = github.hub
    ann = hub.people["ann"]
    environment = {f"GIT_{who}_NAME": ann.login for who in _PEOPLE}
    environment |= {f"GIT_{who}_EMAIL": ann.email for who in _PEOPLE}
    for words in (
        ("add", "-A"),
        ("commit", "-q", "-m", message),
        ("pull", "-q", "--rebase", "origin", "main"),
        ("push", "-q", "origin", "HEAD:main"),
    ):
        run(("git", "-C", project, *words), env=environment, timeout=120)
    hub.pusher = "ann"
    hub.notice()
    hub.pusher = BOT


def update(project: Path) -> None:
    """Bring the clone to what `main` is, after a merge."""
    for words in (("fetch", "-q", "origin"), ("merge", "-q", "--ff-only", "origin/main")):
        run(("git", "-C", project, *words), timeout=120)


#: What is made of inputs with digests: two workspaces can have it together.
_PRODUCTS = ("cache", "keys", "locks", "sandbox", "stages")
#: What rehearsals make below a build directory.
_REHEARSED = ("demo", "rehearsal")


def twin(ws: Workspace, directory: Path) -> Workspace:
    """A workspace beside `ws`: its products, but a store, machines and cloud of its own.

    The store begins with the documents and names that the other has, and is never a shared one.
    Of a build directory that has nothing yet, what is made from now on is kept in it.
    """
    store = ws.build / "store"
    own = {"store", "machines", "publish", "cloud", *_REHEARSED, directory.name}
    for path in (*(ws.build / name for name in _PRODUCTS), store / "pool"):
        path.mkdir(parents=True, exist_ok=True)
    (directory / "store").mkdir(parents=True)
    for path in ws.build.iterdir():
        if path.name not in own:
            (directory / path.name).symlink_to(path)
    for path in store.iterdir():
        if path.name in {"documents", "ledger"}:
            shutil.copytree(path, directory / "store" / path.name)
        elif path.name not in {"journals", "locks", "tmp"}:
            (directory / "store" / path.name).symlink_to(path)
    return replace(ws, build=directory, store_url="", store_kms_key="")


#: What was said and done with images before, by whoever used the project's own store.
_PAST = ("ami", "hold", "promotion", "statement")


def forget(ws: Workspace) -> None:
    """Nothing was published, promoted or held yet in this store."""
    for kind in _PAST:
        (ws.store.root / "ledger" / f"{kind}.json").unlink(missing_ok=True)
