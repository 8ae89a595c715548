"""Owns module streams: which packages of a modular repository may be chosen.

The rules are libdnf's (`setModuleExcludes`): packages of a stream that is not enabled are hidden;
for an enabled stream, so is every other package that has or provides a name of its packages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from goldpress.document import nearest
from goldpress.errors import ResolveError
from goldpress.mirror.metadata.modulemd import Stream

Allowed = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class ModuleFilter:
    """Streams (``module:stream``) by NEVRA, of those enabled and of the others.

    `names` has the streams by the names of packages that the enabled ones own.
    """

    active: Mapping[str, str]
    inactive: Mapping[str, str]
    names: Mapping[str, str]


def check_allowed(enabled: Mapping[str, str], allowed: Allowed, *, where: str) -> None:
    """Raises ResolveError for a stream that no distribution file allows.

    `where` names the files, such as ``rpm-mirror/centos-stream-9.yaml``.
    """
    lines = []
    for module, stream in sorted(enabled.items()):
        streams = allowed.get(module, ())
        if stream not in streams:
            others = f"; allowed: {', '.join(streams)}" if streams else nearest(module, allowed)
            lines.append(f"module {module}:{stream} is not among `modules:` of {where}{others}")
    if lines:
        raise ResolveError(
            "\n".join(lines),
            hint="correct `modules:` of the image, or allow the stream for the distribution",
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
    active = {nevra: s.name for s in chosen for nevra in s.artifacts}
    return ModuleFilter(
        active=active,
        inactive={
            nevra: s.name
            for s in sorted(usable, key=lambda s: s.version)
            for nevra in s.artifacts
            if nevra not in active
        },
        names={_name(n): s for n, s in active.items() if not n.endswith((".src", ".nosrc"))},
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
                f"module {stream.name} requires {module}: {words}"
                + (f", not {found}" if found else ""),
                hint=f"enable it in `modules:`, such as `{module}: ...`",
            )
