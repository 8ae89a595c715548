"""Owns the table: which Debian packages become which CentOS packages, and what is put right.

The table is one YAML document (`packages.yaml`; `zoo.yaml` has the same form). A path in it is
absolute and already merged (`/usr/bin/...`, never `/bin/...`); in a glob, `*` also matches `/`.
`@KERNEL@` stands for the release of the kernel that was chosen, as `uname -r` prints it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from goldpress import document
from goldpress.errors import DocumentError

KERNEL_MARK = "@KERNEL@"

_MERGED_AWAY = ("/bin/", "/sbin/", "/lib/", "/lib64/")
_DIRECTIVE = re.compile(
    r"(pre|post|preun|postun|pretrans|posttrans|verifyscript)( -p <lua>)?"
    r"|transfiletriggerin( -P [0-9]+)?( -p <lua>)? -- /\S.*"
)
_OWNERSHIP = re.compile(r"[0-7]{4} [a-z_][a-z0-9_-]* [a-z_][a-z0-9_-]*")
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


def _path(value: str) -> str:
    if not value.startswith("/") or value.endswith("/") or "//" in value:
        raise ValueError(f"{value!r} is not an absolute path")
    if value.startswith(_MERGED_AWAY):
        raise ValueError(f"{value!r} lies below /usr in a merged tree: write /usr{value}")
    return value


def _ownership(value: str) -> str:
    if not _OWNERSHIP.fullmatch(value):
        raise ValueError(f"{value!r} is not `mode user group`, such as `0750 root chrony`")
    return value


def _directive(value: str) -> str:
    if not _DIRECTIVE.fullmatch(value):
        raise ValueError(f"{value!r} is not a scriptlet that the sandbox can write")
    return value


def _package_name(value: str) -> str:
    if not _PACKAGE_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a package name")
    return value


TreePath = Annotated[str, AfterValidator(_path)]
Ownership = Annotated[str, AfterValidator(_ownership)]
Directive = Annotated[str, AfterValidator(_directive)]
PackageName = Annotated[str, AfterValidator(_package_name)]
Reason = Annotated[str, Field(min_length=8)]


class Part(document.Part):
    """A Debian package, or those of its paths that match `paths`."""

    deb: str
    # Not strict: what the validator below hands on is not JSON any more, and a list is no tuple.
    paths: tuple[TreePath, ...] = Field(default=(), strict=False)

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"deb": value} if isinstance(value, str) else value


class Package(document.Part):
    """One CentOS package: what it is made of and what is changed on the way.

    Applied in this order: `parts`, `concatenates`, `removes`, `moves`, `links`, `directories`,
    `files`. `moves` takes a file or a whole directory. `concatenates` maps a new file to the glob
    of the files that it joins. `files` are fix-ups kept beside the table; they replace.

    `bridges` are links at places that Debian's programs have compiled in and CentOS has nothing at.
    `ghosts` are owned and not unpacked; `unverified` change once installed, and `rpm --verify` is
    told so. `users` maps a file of sysusers.d to its lines, made before the package is unpacked;
    `units` are preset. `no_counterpart` says why the name is not one of CentOS's.
    """

    parts: tuple[Part, ...] = ()
    version: str = ""
    concatenates: dict[TreePath, TreePath] = Field(default_factory=dict)
    removes: tuple[TreePath, ...] = ()
    moves: dict[TreePath, TreePath] = Field(default_factory=dict)
    links: dict[TreePath, str] = Field(default_factory=dict)
    bridges: dict[TreePath, str] = Field(default_factory=dict)
    directories: dict[TreePath, Ownership] = Field(default_factory=dict)
    files: tuple[TreePath, ...] = ()
    attrs: dict[TreePath, Ownership] = Field(default_factory=dict)
    capabilities: dict[TreePath, str] = Field(default_factory=dict)
    ghosts: dict[TreePath, Ownership] = Field(default_factory=dict)
    docs: tuple[TreePath, ...] = ()
    unverified: tuple[TreePath, ...] = ()
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    without: tuple[PackageName, ...] = ()
    users: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    units: tuple[str, ...] = ()
    scriptlets: dict[Directive, str] = Field(default_factory=dict)
    no_counterpart: Reason | None = None

    @model_validator(mode="after")
    def _has_one_version(self) -> Self:
        if bool(self.version) == bool(self.parts):
            raise ValueError("give `parts`, whose first names the version, or `version`: not both")
        return self


class Table(document.Part):
    """The whole table.

    `dropped` and `roots` name Debian packages; of a dropped one, only what the `paths` of a part
    take is used.
    """

    roots: tuple[str, ...] = ()
    dropped: dict[str, Reason] = Field(default_factory=dict)
    drop_paths: tuple[TreePath, ...] = ()
    packages: dict[PackageName, Package]

    @model_validator(mode="after")
    def _maps_once(self) -> Self:
        for deb, owners in _owners(self.packages).items():
            if len(owners) > 1:
                raise ValueError(f"{deb} is mapped to {' and '.join(owners)}: the rest of it once")
            if deb in self.dropped:
                raise ValueError(f"{deb} is mapped to {owners[0]} and dropped: choose one")
        rest = self.rest_owner
        for name, package in self.packages.items():
            for part in package.parts:
                if part.deb not in rest and part.deb not in self.dropped:
                    raise ValueError(
                        f"{name} takes paths of {part.deb}; nothing takes or drops its rest"
                    )
        return self

    @property
    def rest_owner(self) -> Mapping[str, str]:
        """Debian package -> the CentOS package that takes what no `paths` took."""
        return {deb: owners[0] for deb, owners in _owners(self.packages).items()}

    @property
    def used(self) -> frozenset[str]:
        """The Debian packages whose files, all or some, are in a CentOS package."""
        return frozenset(part.deb for part in _parts(self.packages))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The Debian packages to ask apt for; the kernel's own package follows from `roots`."""
        named = {part.deb for part in _parts(self.packages) if KERNEL_MARK not in part.deb}
        return tuple(sorted(named | set(self.roots)))


def _parts(packages: Mapping[str, Package]) -> Iterator[Part]:
    for package in packages.values():
        yield from package.parts


def _owners(packages: Mapping[str, Package]) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for name, package in packages.items():
        for part in package.parts:
            if not part.paths:
                owners.setdefault(part.deb, []).append(name)
    return owners


def load_tables(folder: Path, *, kernel: str = KERNEL_MARK) -> Table:
    """`packages.yaml` and `zoo.yaml` of `folder` as one table, `kernel` in place of the mark.

    Raises MissingError, DocumentError.
    """
    main, zoo = (_load(folder / name, kernel) for name in ("packages.yaml", "zoo.yaml"))
    both = sorted(main.packages.keys() & zoo.packages.keys())
    if both:
        raise DocumentError(f"zoo.yaml: packages.{both[0]}: is in packages.yaml already")
    return main.model_copy(update={"packages": {**main.packages, **zoo.packages}})


def _load(path: Path, kernel: str) -> Table:
    return document.parse(Table, _with_kernel(document.read_yaml(path), kernel), name=path.name)


def _with_kernel(value: Any, kernel: str) -> Any:
    if isinstance(value, dict):
        return {_with_kernel(k, kernel): _with_kernel(v, kernel) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_kernel(item, kernel) for item in value]
    return value.replace(KERNEL_MARK, kernel) if isinstance(value, str) else value
