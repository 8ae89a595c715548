"""Owns the lock: every package of an image by NEVRA, sha256, size and signer.

It is committed, reviewed as a diff (one package a line), and bound to its own digest, so that a
merge gone wrong or an edit by hand is noticed before anything is built from it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from goldpress.digest import canonical_json, digest_of
from goldpress.document import nearest, shown
from goldpress.errors import DocumentError, MissingError
from goldpress.store import write_atomically

LOCK_VERSION = 2
#: What the store calls the locks that images were pressed from.
KIND = "lock"
REMAKE = "run `./inv lock`"

Check = Callable[[Any], bool]


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(w, str) for w in value)


def _streams(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) and v for v in value.values())


def _snapshots(value: Any) -> bool:
    is_digest, _ = _DIGEST
    return isinstance(value, dict) and bool(value) and all(is_digest(v) for v in value.values())


_NAME = (_matches(r"[A-Za-z0-9_][A-Za-z0-9._+-]*"), "a name")
_EVR = (_matches(r"[A-Za-z0-9._+~^]+"), "a version or release without - and :")
_SHA256 = (_matches(r"[0-9a-f]{64}"), "64 hex digits")
_DIGEST = (_matches(r"sha256:[0-9a-f]{64}"), "sha256: and 64 hex digits")
_WHOLE = (_whole, "a whole number")
_TEXT = (_matches(r".+"), "text")

_PACKAGE_KEYS: Mapping[str, tuple[Check, str]] = {
    "name": _NAME,
    "epoch": _WHOLE,
    "version": _EVR,
    "release": _EVR,
    "arch": _NAME,
    "sha256": _SHA256,
    "size": _WHOLE,
    "repository": _NAME,
    "source_rpm": (_matches(r"[A-Za-z0-9_][A-Za-z0-9._+~^-]*\.rpm"), "the name of a source RPM"),
    "signer": (_matches(r"[0-9A-F]{40}"), "a fingerprint of 40 digits"),
    "why": (_words, "a list of reasons"),
}
_LOCK_KEYS: Mapping[str, tuple[Check, str]] = {
    "lock_version": (_whole, "a whole number"),
    "distribution": _NAME,
    "stand_in": (lambda value: isinstance(value, bool), "true or false"),
    "arch": _NAME,
    "platform": _NAME,
    "snapshots": (_snapshots, "digests of snapshots by distribution"),
    "request": (lambda value: isinstance(value, dict), "what was asked for"),
    "resolver": _TEXT,
    "source_date_epoch": _WHOLE,
    "modules": (_streams, "streams by module name"),
    "packages": (lambda value: isinstance(value, list) and bool(value), "a list of packages"),
    "digest": _DIGEST,
}


@dataclass(frozen=True, kw_only=True)
class LockedPackage:
    """One package: what it is, which bytes, from where, signed by whom, and why it is in."""

    name: str
    epoch: int
    version: str
    release: str
    arch: str
    sha256: str
    size: int
    repository: str
    source_rpm: str
    signer: str
    why: tuple[str, ...]

    @property
    def evr(self) -> str:
        """``epoch:version-release``."""
        return f"{self.epoch}:{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        """``name-epoch:version-release.arch``."""
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def rpm_name(self) -> str:
        """``name-version-release.arch``, as rpm prints it and files are called."""
        return f"{self.name}-{self.version}-{self.release}.{self.arch}"

    @property
    def order(self) -> tuple[str, int, str, str, str]:
        """The key of the canonical order; versions in it compare as text."""
        return (self.name, self.epoch, self.version, self.release, self.arch)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The packages of an image, bound to the snapshots and the request they were chosen for.

    `snapshots` are digests by distribution: the image's own, and those that it is extended by.
    `request` is plain JSON: what the definition and the overrides asked for. `source_date_epoch`
    is the newest build time among the packages, in seconds.
    """

    lock_version: int = field(default=LOCK_VERSION)
    distribution: str
    stand_in: bool
    arch: str
    platform: str
    snapshots: Mapping[str, str]
    request: Mapping[str, Any]
    resolver: str
    source_date_epoch: int
    modules: Mapping[str, str]
    packages: tuple[LockedPackage, ...]

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "packages", tuple(sorted(self.packages, key=lambda package: package.order))
        )

    @cached_property
    def digest(self) -> str:
        """The digest (``sha256:...``) over everything in the lock."""
        return digest_of(self.to_document())

    def to_document(self) -> dict[str, Any]:
        """The lock as plain JSON values, as the store keeps it: by its own digest."""
        document = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        for key in ("modules", "request", "snapshots"):
            document[key] = dict(document[key])
        document["packages"] = [
            {**vars(package), "why": list(package.why)} for package in self.packages
        ]
        return document

    def to_json(self) -> bytes:
        """The canonical bytes: keys in order, one package a line, a newline at the end."""
        rows = []
        for key, value in sorted({**self.to_document(), "digest": self.digest}.items()):
            text = canonical_json(value).decode()
            if key == "packages":
                text = "[\n" + ",\n".join(canonical_json(p).decode() for p in value) + "\n]"
            rows.append(f'"{key}":{text}')
        return ("{\n" + ",\n".join(rows) + "\n}\n").encode()

    def write(self, path: Path) -> None:
        """Replace the lock at `path`."""
        write_atomically(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Self:
        """The lock at `path`. Raises MissingError, or DocumentError when it cannot be used."""
        name = shown(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise MissingError(f"{name}: there is no lock yet", hint=REMAKE) from None
        return cls.parse(data, name=name)

    @classmethod
    def parse(cls, data: bytes, *, name: str) -> Self:
        """The lock with these bytes. Raises DocumentError, which calls it `name`."""
        try:
            document = json.loads(
                data, object_pairs_hook=_without_repeats, parse_constant=_refused_constant
            )
        except ValueError as error:
            raise DocumentError(f"{name}: not JSON: {error}", hint=REMAKE) from None
        if not isinstance(document, dict):
            raise DocumentError(f"{name}: not a lock", hint=REMAKE)
        # The version decides what the other keys mean, so it is looked at first.
        version = document.get("lock_version")
        if type(version) is not int or version != LOCK_VERSION:
            raise DocumentError(
                f"{name}: lock_version: is {version!r}, this goldpress reads {LOCK_VERSION}",
                hint=REMAKE,
            )
        faults = list(_faults(document))
        if faults:
            raise DocumentError("\n".join(f"{name}: {f}" for f in faults), hint=REMAKE)
        lock = cls(**_fields(document))
        try:
            # The canonical bytes contain the digest: both are compared at once.
            unchanged = lock.to_json() == data
        except UnicodeEncodeError:
            unchanged = False
        if not unchanged:
            raise DocumentError(f"{name}: was edited by hand: {REMAKE}")
        return lock


def parse_lock(value: Mapping[str, Any]) -> Lock:
    """The inverse of `to_document`. Raises DocumentError for another form."""
    name = f"lock {digest_of(value)}"
    if value.get("lock_version") != LOCK_VERSION:
        raise DocumentError(f"{name}: lock_version is not {LOCK_VERSION}", hint=REMAKE)
    faults = list(_faults({**value, "digest": digest_of(value)}))
    if faults:
        raise DocumentError("\n".join(f"{name}: {f}" for f in faults))
    return Lock(**_fields(value))


def _refused_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return value


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in document.items() if key != "digest"}
    values["packages"] = tuple(
        LockedPackage(**{**package, "why": tuple(package["why"])})
        for package in document["packages"]
    )
    return values


def _faults(document: Mapping[str, Any]) -> Iterable[str]:
    yield from _key_faults(document, _LOCK_KEYS, "")
    packages = document.get("packages")
    if not isinstance(packages, list):
        return
    seen: dict[str, int] = {}
    for index, package in enumerate(packages):
        where = f"packages[{index}]"
        if not isinstance(package, dict):
            yield f"{where}: expected a package"
            continue
        faults = list(_key_faults(package, _PACKAGE_KEYS, f"{where}."))
        yield from faults
        if faults:
            continue
        for key in (_nevra(package), package["sha256"]):
            if key in seen:
                yield f"{where}: {key} is there already, at packages[{seen[key]}]"
            seen.setdefault(key, index)


def _nevra(package: Mapping[str, Any]) -> str:
    return "{name}-{epoch}:{version}-{release}.{arch}".format_map(package)


def _key_faults(
    value: Mapping[str, Any], keys: Mapping[str, tuple[Check, str]], prefix: str
) -> Iterable[str]:
    for key in value:
        if key not in keys:
            yield f"{prefix}{key}: unknown key{nearest(key, keys)}"
    for key, (check, expected) in keys.items():
        if key not in value:
            yield f"{prefix}{key}: this key is required"
        elif not check(value[key]):
            found = value[key] if isinstance(value[key], str | int) else type(value[key]).__name__
            yield f"{prefix}{key}: expected {expected}, not {found!r}"
