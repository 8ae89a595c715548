"""Owns a project of tests with its mirror: images, distributions, upstreams in folders, `./inv`."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - a task that serves until it is told to end
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gits import Checkout, make_checkout
from rpms import Rpms, SigningKey, make_repository

from goldpress.definition import Definition
from goldpress.distribution import Distribution
from goldpress.host.run import CLEAN_ENVIRONMENT, Completed, run
from goldpress.lock import Lock
from goldpress.locking import lock
from goldpress.upkeep.sync import Taken, sync
from goldpress.upkeep.wanted import images
from goldpress.workspace import Workspace

CODE = Path(__file__).resolve().parents[1]
IMAGE = """\
name: {name}
summary: one program
distribution: {distribution}
arch: {arch}
packages: [{packages}]
{more}
disk: {{esp_mib: 64, var_mib: 512}}
verify: {{suite: verify, boot_seconds: 60}}
"""
SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """A project below `top`: `project` is a git checkout, `upstream` has what mirrors offer."""

    top: Path
    key: SigningKey
    store_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.top / "project"

    @property
    def build(self) -> Path:
        return self.top / "build"

    @property
    def ws(self) -> Workspace:
        """The workspace as another process has it."""
        return Workspace(project=self.project, build=self.build, store_url=self.store_url)

    @property
    def checkout(self) -> Checkout:
        return Checkout(root=self.project)

    def upstream(self, repository: str) -> Path:
        return self.top / "upstream" / repository

    def image(
        self,
        packages: str,
        *,
        name: str = "app",
        distribution: str = "test-9",
        arch: str = "x86_64",
        more: str = "",
    ) -> None:
        path = self.project / "images" / name / "image.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            IMAGE.format(
                name=name, packages=packages, distribution=distribution, arch=arch, more=more
            )
        )

    def distribution(
        self,
        id_: str,
        *repositories: str,
        key: SigningKey | None = None,
        places: dict[str, str] | None = None,
        arches: tuple[str, ...] = ("x86_64",),
        more: str = "",
    ) -> None:
        """Write a distribution file; a repository is in its folder of upstream, or at `places`.

        Those are URLs by repository, or by repository and architecture (``base.aarch64``).
        """
        signer = key or self.key
        rows = [f"id: {id_}", f"name: {id_.replace('-', ' ').capitalize()}", "platform: el9", more]
        rows.append("arches:")
        for arch in arches:
            rows += [f"  {arch}:", "    repositories:"]
            for repository in repositories:
                url = self.upstream(repository).as_uri()
                for name in (repository, f"{repository}.{arch}"):
                    url = (places or {}).get(name, url)
                rows += [f"      - id: {repository}", f"        baseurl: {url}"]
        rows += ["keys:", f"  - fingerprint: {signer.fingerprint}"]
        rows += [f"    url: {signer.public.as_uri()}", ""]
        path = self.project / "rpm-mirror" / f"{id_}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(rows))

    def offer(self, repository: str, *packages: Path) -> Path:
        """Upstream has these packages in a repository from now on, and no others."""
        base = self.upstream(repository)
        shutil.rmtree(base, ignore_errors=True)
        return make_repository(base, *packages)

    def both(self, image: str = "app") -> tuple[Definition, Distribution]:
        definition = self.ws.definition(image)
        return definition, self.ws.distribution(definition, sandbox=False)

    def sync(self, **options: Any) -> tuple[Taken, ...]:
        return sync(self.ws, images(self.ws), **options)

    def lock(self, image: str = "app") -> Lock:
        return lock(self.ws, *self.both(image))

    def lock_path(self, image: str = "app") -> Path:
        return self.ws.lock_path(*self.both(image))

    def commit(self) -> str:
        self.checkout.git("add", "-A")
        self.checkout.git("commit", "-q", "-m", "more")
        return self.checkout.git("rev-parse", "HEAD")

    @property
    def pool(self) -> set[str]:
        """The sha256s of what the pool has on this machine."""
        return {path.stem for path in (self.build / "store" / "pool").rglob("*.rpm")}

    def waiting(self) -> list[Path]:
        return list((self.build / "store" / "tmp").glob("*"))

    def argv(self, *words: str) -> list[str]:
        """What the last line of `./inv` runs."""
        return [sys.executable, "-m", "invoke", "--search-root", str(self.project), *words]

    @property
    def variables(self) -> dict[str, str]:
        return {"GOLDPRESS_BUILD": str(self.build), "HOME": str(self.top), **self.environment}

    def inv(self, *words: str) -> Completed:
        """Run `./inv` as a person does, in the project's folder."""
        return run(
            self.argv(*words), env=self.variables, cwd=self.project, timeout=SECONDS, check=False
        )

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """`./inv` with a task that runs until it is told to end."""
        with subprocess.Popen(
            self.argv(*words),
            env={**CLEAN_ENVIRONMENT, **self.variables},
            cwd=self.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def with_tasks(made: Mirrored) -> Mirrored:
    """Put the tasks and their code into the project, so that it can be run there."""
    # Compiled files come along: they are as old as their sources.
    shutil.copytree(CODE / "goldpress", made.project / "goldpress")
    shutil.copyfile(CODE / "tasks.py", made.project / "tasks.py")
    return made


@pytest.fixture
def mirrored(tmp_path: Path, rpms: Rpms) -> Mirrored:
    """An image `app` with the package `good`, of test-9, whose one repository is `base`."""
    make_checkout(tmp_path / "project")
    (tmp_path / "project" / ".gitignore").write_text("/goldpress/\n/tasks.py\n__pycache__/\n")
    made = Mirrored(top=tmp_path, key=rpms.key)
    made.image("good")
    made.distribution("test-9", "base")
    made.offer("base", rpms.good, rpms.needed)
    return made


def copied(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(path, target))
