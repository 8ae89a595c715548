"""Owns where things are: the project's folders, the build directory, and which distribution."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from goldpress.definition import Definition, load_definition
from goldpress.distribution import Distribution, load_distribution
from goldpress.errors import MissingError
from goldpress.store import Store

SANDBOX = "sandbox"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The project (a git checkout) and its build directory, which git ignores."""

    project: Path
    build: Path
    #: where stages keep their products, when not in `build`: a second, independent press
    apart: Path | None = None
    #: ``s3://bucket/prefix`` of the store that is shared; empty: the store is a directory
    store_url: str = ""
    #: id or ARN of the KMS key with which a shared store is encrypted, instead of S3's own
    store_kms_key: str = ""
    #: where locks of distributions made on this machine are kept, when not in `build`
    locks: Path | None = None

    @property
    def stages(self) -> Path:
        """Below which stages keep their products."""
        return self.apart or self.build

    @cached_property
    def store(self) -> Store:
        """What happened: pool, metadata, documents; build/store is it, or a cache of it.

        Raises DocumentError or CloudError when a shared store cannot be used.
        """
        if not self.store_url:
            return Store(root=self.build / "store")
        from goldpress.aws.s3 import S3Objects  # noqa: PLC0415 - boto3 takes its time

        shared = S3Objects.at(self.store_url, kms_key=self.store_kms_key)
        return Store(root=self.build / "store", shared=shared)

    @property
    def keys(self) -> Path:
        """Signing keys of distributions, each accepted by its fingerprint."""
        return self.build / "keys"

    @property
    def sandbox(self) -> Path:
        """Where the sandbox distribution is made."""
        return self.build / "sandbox"

    @property
    def machines(self) -> Path:
        """Running and past local machines, one folder each."""
        return self.build / "machines"

    def definition(self, image: str) -> Definition:
        """The definition of an image. Raises MissingError or DocumentError."""
        return load_definition(self.project / "images" / image)

    def distribution(self, definition: Definition, *, sandbox: bool) -> Distribution:
        """The definition's distribution, or the sandbox because that was said."""
        return load_distribution(self.project, SANDBOX if sandbox else definition.distribution)

    def suite(self, definition: Definition) -> Path:
        """The folder of the suite that judges an image. Raises MissingError."""
        suite = self.project / definition.verify.suite
        if not suite.is_dir():
            raise MissingError(f"verify.suite: there is no folder {suite.name}/ in the project")
        return suite

    def lock_path(self, definition: Definition, distribution: Distribution) -> Path:
        """Where the lock is: in git, or below build/ for a distribution made on this machine."""
        if distribution.made:
            name = f"{distribution.id}.{definition.arch}.json"
            return (self.locks or self.build / "locks") / definition.name / name
        return definition.lock_path(distribution.id)


def workspace(environment: Mapping[str, str] = os.environ) -> Workspace:
    """The workspace of this checkout.

    GOLDPRESS_BUILD puts the build directory elsewhere; GOLDPRESS_STORE (``s3://bucket/prefix``,
    encrypted with the KMS key GOLDPRESS_STORE_KMS_KEY if that is set) is a store that is shared.
    """
    project = Path(__file__).resolve().parents[1]
    build = Path(environment.get("GOLDPRESS_BUILD") or project / "build").absolute()
    return Workspace(
        project=project,
        build=build,
        store_url=environment.get("GOLDPRESS_STORE", ""),
        store_kms_key=environment.get("GOLDPRESS_STORE_KMS_KEY", ""),
    )


def sandbox_said(*, flag: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `--sandbox` was given or GOLDPRESS_DISTRIBUTION=sandbox is set.

    Raises MissingError for any other value: a distribution is named by image.yaml.
    """
    value = environment.get("GOLDPRESS_DISTRIBUTION", "")
    if value not in ("", SANDBOX):
        raise MissingError(
            f"GOLDPRESS_DISTRIBUTION={value}: only `{SANDBOX}` can be chosen this way",
            hint="an image's distribution is named in its image.yaml",
        )
    return flag or value == SANDBOX
