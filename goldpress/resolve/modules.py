"""Owns module streams: which packages of a modular repository may be chosen.

The rules are libdnf's (`setModuleExcludes`): packages of a stream that is not enabled are hidden;
for an enabled stream, so is every other package that has or provides a name of its packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from goldpress.document import nearest
from goldpress.errors import ResolveError, TrustError

MAX_MODULES_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One build of a module stream; `artifacts` are NEVRAs with their epoch."""

    module: str
    stream: str
    version: int
    arch: str
    requires: Mapping[str, tuple[str, ...]]
    artifacts: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class ModuleFilter:
    """NEVRAs of enabled streams, NEVRAs of the others, and the names that the enabled ones own."""

    active: frozenset[str]
    inactive: frozenset[str]
    names: frozenset[str]


class _TextLoader(yaml.CBaseLoader):
    """Every scalar as text: stream 1.10 is not the number 1.1."""


def read_modules(data: bytes, *, name: str) -> tuple[Stream, ...]:
    """The streams of an opened modules.yaml. Raises TrustError when it cannot be read.

    Defaults are left out on purpose: a stream is enabled by a definition or not at all.
    """
    if len(data) > MAX_MODULES_BYTES:
        raise TrustError(f"{name}: larger than {MAX_MODULES_BYTES} bytes; refused")
    try:
        documents = yaml.load_all(data, Loader=_TextLoader)
        return tuple(_stream(d) for d in documents if d["document"] == "modulemd")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrustError(f"{name}: not module metadata: {error!r}") from None


def _stream(document: Mapping[str, Any]) -> Stream:
    if document["version"] != "2":
        raise ValueError(f"modulemd version {document['version']} is not known")
    data = document["data"]
    requires: dict[str, tuple[str, ...]] = {}
    for dependency in data.get("dependencies") or []:
        for module, streams in (dependency.get("requires") or {}).items():
            requires[module] = tuple(streams)
    rpms = (data.get("artifacts") or {}).get("rpms") or []
    return Stream(
        module=data["name"],
        stream=data["stream"],
        version=int(data["version"]),
        arch=data["arch"],
        requires=requires,
        artifacts=frozenset(rpms),
    )


def module_filter(
    streams: Iterable[Stream], enabled: Mapping[str, str], *, arch: str, platform: str
) -> ModuleFilter:
    """What to hide, and what to keep, with exactly the `enabled` streams (by module).

    Of several builds of a stream the newest is enabled. Raises ResolveError for a module or
    stream that is not there, or whose own requirement is not enabled.
    """
    usable = [s for s in streams if s.arch == arch]
    chosen = []
    for module, stream in sorted(enabled.items()):
        builds = [s for s in usable if (s.module, s.stream) == (module, stream)]
        if not builds:
            raise ResolveError(_unknown(module, stream, usable))
        newest = max(builds, key=lambda s: s.version)
        chosen.append(newest)
        _check_requires(newest, enabled, platform)
    active = frozenset().union(*(s.artifacts for s in chosen))
    return ModuleFilter(
        active=active,
        inactive=frozenset().union(*(s.artifacts for s in usable)) - active,
        names=frozenset(_name(n) for n in active if not n.endswith((".src", ".nosrc"))),
    )


def _name(nevra: str) -> str:
    return nevra.rsplit("-", 2)[0]


def _unknown(module: str, stream: str, usable: Iterable[Stream]) -> str:
    names = {s.module for s in usable}
    if module not in names:
        return f"no module named {module!r}{nearest(module, names)}"
    known = sorted({s.stream for s in usable if s.module == module})
    return f"module {module!r} has no stream {stream!r}; it has {', '.join(known)}"


def _check_requires(stream: Stream, enabled: Mapping[str, str], platform: str) -> None:
    have = {**enabled, "platform": platform}
    for module, allowed in stream.requires.items():
        # An empty list means any stream; -name means any but that.
        refused = {s[1:] for s in allowed if s.startswith("-")}
        wanted = {s for s in allowed if not s.startswith("-")}
        found = have.get(module)
        if found is None or found in refused or (wanted and found not in wanted):
            words = ", ".join(sorted(wanted)) or "any stream"
            raise ResolveError(
                f"module {stream.module}:{stream.stream} requires {module}: {words}"
                + (f", not {found}" if found else ""),
                hint=f"enable it in `modules:`, such as `{module}: ...`",
            )
