"""Owns the place of a rehearsal by hand: its beginning, what a shell needs to know, and its end.

build/rehearsal/place.json     where it was begun, and at which commit
site.json      the hosting site: its URL, which process it is
images.git     the hosting site's repository
images/        a clone of it, in which people work
build/         the clone's build directory: a store, cloud and machines of its own
fleet_key      lets people (and the gate `verify`) into the fleet's machines
shell          the lines that take a shell there
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from goldpress import cloud, progress
from goldpress.errors import ConflictError, GoldpressError, MissingError
from goldpress.host import tools
from goldpress.host.confine import remove_tree
from goldpress.host.git import Git
from goldpress.host.run import run
from goldpress.machine import process, qemu, record, ssh
from goldpress.machine.process import Process
from goldpress.rehearsal.answers import TOKEN
from goldpress.rehearsal.hosting import BARE, SITE
from goldpress.rehearsal.project import forget, twin
from goldpress.rehearsal.site import REPOSITORY, Person
from goldpress.sampling import KEY
from goldpress.store import write_atomically
from goldpress.workspace import Workspace

FOLDER = "rehearsal"
RECORD, SHELL = "place.json", "shell"
CLONE, BUILD, FLEET_KEY = "images", "build", "fleet_key"
MODULE = "goldpress.rehearsal"
WHO = "ann"
START_SECONDS = 60
GIT_SECONDS = 300
BEGIN = '`eval "$(./inv rehearse.begin)"`'
#: They would lead to somebody's real repository, key or store.
GONE = (
    "GOLDPRESS_SIGNER",
    "GOLDPRESS_GITHUB_APP",
    "GOLDPRESS_GITHUB_APP_KEY",
    "GOLDPRESS_STORE",
    "GOLDPRESS_STORE_KMS_KEY",
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rehearsal: begun in the checkout `source`, whose build directory is `around`, at `base`."""

    directory: Path
    source: Path
    around: Path
    base: str

    @property
    def clone(self) -> Path:
        """The project of the rehearsal."""
        return self.directory / CLONE

    @property
    def shell(self) -> Path:
        """The file of the lines that take a shell there."""
        return self.directory / SHELL

    @property
    def key(self) -> Path:
        """The private key of the fleet's key pair."""
        return self.directory / FLEET_KEY

    def workspace(self, ws: Workspace) -> Workspace:
        """The clone's, with a store that nobody shares."""
        return replace(
            ws, project=self.clone, build=self.directory / BUILD, store_url="", store_kms_key=""
        )

    def site(self) -> tuple[str, Process]:
        """The hosting site's URL and process. Raises MissingError when it does not run."""
        try:
            value = json.loads((self.directory / SITE).read_bytes())
        except FileNotFoundError:
            value = None
        if value is None or not process.is_running(found := Process(**value["process"])):
            raise MissingError(
                f"{self.directory}: the stand-in of GitHub has ended, and what it knew with it",
                hint="`./inv rehearse.end` removes the rest; then begin anew",
            )
        return str(value["url"]), found

    def environment(self) -> dict[str, str]:
        """The variables of a shell in the clone. Raises as `site`."""
        return {
            "GITHUB_API_URL": self.site()[0],
            "GITHUB_REPOSITORY": REPOSITORY,
            "GOLDPRESS_GITHUB_TOKEN": TOKEN,
            "GOLDPRESS_BUILD": str(self.directory / BUILD),
            "GOLDPRESS_DISTRIBUTION": "sandbox",
            KEY: str(self.key),
        }

    def lines_in(self) -> str:
        """What a shell evaluates to be in the rehearsal. Raises as `site`."""
        rows = [f"cd {shlex.quote(str(self.clone))}"]
        rows += [f"export {n}={shlex.quote(v)}" for n, v in self.environment().items()]
        return "\n".join([*rows, f"unset {' '.join(GONE)}"]) + "\n"

    def lines_out(self) -> str:
        """What a shell evaluates to be where the rehearsal was begun."""
        names = ["GITHUB_API_URL", "GITHUB_REPOSITORY", "GOLDPRESS_GITHUB_TOKEN"]
        names += ["GOLDPRESS_DISTRIBUTION", KEY]
        rows = [f"cd {shlex.quote(str(self.source))}"]
        if self.around == self.source / "build":
            names.append("GOLDPRESS_BUILD")
        else:
            rows.append(f"export GOLDPRESS_BUILD={shlex.quote(str(self.around))}")
        return "\n".join([*rows, f"unset {' '.join(names)}"]) + "\n"


def find(ws: Workspace) -> Place | None:
    """The rehearsal that this workspace is in, or that was begun in it."""
    for directory in (ws.project.parent, ws.build.parent, ws.build / FOLDER):
        try:
            value = json.loads((directory / RECORD).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            continue
        paths = {name: Path(value[name]) for name in ("source", "around")}
        return Place(directory=directory.resolve(), base=str(value["base"]), **paths)
    return None


def here(ws: Workspace, environment: dict[str, str] | None = None) -> Place:
    """The rehearsal in whose clone a command runs.

    Raises MissingError anywhere else: files of a real project are never written, and nothing is
    done with another build directory, site or key than the rehearsal's.
    """
    found = find(ws)
    if found is None or found.clone.resolve() != ws.project.resolve():
        raise MissingError(
            f"{ws.project}: not the clone of a rehearsal, and this is done nowhere else",
            hint=f"{BEGIN} begins one" if found is None else f"`. {found.shell}` goes there",
        )
    has = dict(os.environ) if environment is None else environment
    odd = [name for name, value in found.environment().items() if has.get(name) != value]
    odd += [name for name in GONE if name in has]
    if odd:
        raise MissingError(
            f"{', '.join(odd)}: not as this rehearsal has it", hint=f"`. {found.shell}` sets it"
        )
    return found


def begin(ws: Workspace) -> Place:
    """A hosting site with this checkout's HEAD as `main`, a clone of it, a store of its own.

    Raises ConflictError when there is one, MissingError when this is no git checkout.
    """
    if (found := find(ws)) is not None:
        raise ConflictError(
            f"a rehearsal is under way: {found.directory}",
            hint=f"`. {found.shell}` goes there; `./inv rehearse.end` ends it",
        )
    git = Git(project=ws.project)
    if git.prefix or (base := git.commit("HEAD")) is None:
        raise MissingError(
            f"{ws.project}: not the top of a git checkout with a commit",
            hint="run it in a clone of goldpress",
        )
    if git.run("status", "--porcelain", "--untracked-files=no").stdout:
        progress.note("what is not committed here is not in the rehearsal")
    place = Place(
        directory=(ws.build / FOLDER).resolve(), source=ws.project, around=ws.build, base=base
    )
    tools.ensure()
    # Of one that ended before it had its record.
    remove_tree(place.directory)
    place.directory.mkdir(parents=True, mode=0o700)
    value = {"around": str(place.around), "base": base, "source": str(place.source)}
    try:
        write_atomically(place.directory / RECORD, json.dumps(value, indent=1).encode() + b"\n")
        _make(place, ws)
    except BaseException as error:
        try:
            stop(ws, place)
            remove(place)
        except (GoldpressError, OSError) as second:
            error.add_note(f"what was begun is left: {second}; `./inv rehearse.end` removes it")
        raise
    return place


def _make(place: Place, ws: Workspace) -> None:
    bare = place.directory / BARE
    _run("git", "init", "-q", "--bare", "-b", "main", bare)
    # A checkout without its whole history will do.
    _run("git", "-C", bare, "fetch", "-q", "--update-shallow", place.source, "HEAD:refs/heads/main")
    argv = (sys.executable, "-m", MODULE, "--daemon", "--directory", place.directory)
    environment = {"HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(place.source)}
    run(argv, env=environment, timeout=START_SECONDS, what="starting the stand-in of GitHub")
    _run("git", "clone", "-q", bare, place.clone)
    ann = Person(login=WHO)
    for name, said in (("user.name", ann.login), ("user.email", ann.email)):
        _run("git", "-C", place.clone, "config", name, said)
    environment_here = place.source / ".venv"
    if environment_here.is_dir():
        # As a link, which `/.venv/` in .gitignore does not mean.
        (place.clone / ".venv").symlink_to(environment_here)
        with (place.clone / ".git/info/exclude").open("a") as stream:
            stream.write("/.venv\n")
    twin(ws, place.directory / BUILD)
    forget(place.workspace(ws))
    ssh.make_login_key(place.key, comment=FOLDER)
    write_atomically(place.shell, place.lines_in().encode())


def _run(*argv: str | Path) -> None:
    run(argv, timeout=GIT_SECONDS)


def known(ws: Workspace) -> Place:
    """The rehearsal of this workspace. Raises MissingError when there is none."""
    found = find(ws)
    if found is None:
        raise MissingError("no rehearsal is under way", hint=f"{BEGIN} begins one")
    return found


def stop(ws: Workspace, place: Place) -> dict[str, int]:
    """End the site, the cloud and the machines; how many of each there were.

    Raises MachineError for a process that does not end.
    """
    own = place.workspace(ws)
    try:
        site = process.stop(place.site()[1])
    except MissingError:
        site = False
    lost = cloud.down(own)
    machines = sorted(path.parent for path in own.machines.glob("*/machine.json"))
    halted = [path.name for path in machines if qemu.halt(record.load(path))]
    return {
        "sites": int(site),
        "clouds": int(lost["ended"]),
        "machines": int(lost["machines"]) + len(halted),
    }


def remove(place: Place) -> None:
    """Remove all that it had. Raises CommandError."""
    if place.source.is_dir():
        # The directory that this process is in may be one of those that go.
        os.chdir(place.source)
    remove_tree(place.directory)
