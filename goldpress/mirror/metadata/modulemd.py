"""Owns module metadata: the streams of a modules.yaml, read in a limited child and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from goldpress.digest import canonical_json
from goldpress.errors import TrustError
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.metadata.sealed import seal, unsealed

MAX_MODULES_BYTES = 64 << 20
#: What streams are kept as; part of the name of what is kept.
FORMAT = "modules-1"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*:[A-Za-z0-9_][A-Za-z0-9._+-]*")


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One build of a module stream; `artifacts` are NEVRAs with their epoch."""

    module: str
    stream: str
    version: int
    arch: str
    requires: Mapping[str, tuple[str, ...]]
    artifacts: frozenset[str]

    @property
    def name(self) -> str:
        """``module:stream``."""
        return f"{self.module}:{self.stream}"


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
    name = f"{data['name']}:{data['stream']}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a module and its stream")
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


def main(arguments: Sequence[str]) -> None:
    """The limited child: write the streams of a packed modules.yaml to a path."""
    given, target = arguments
    entry = Packed.from_argument(given)
    streams = read_modules(b"".join(entry.chunks()), name=entry.name)
    rows = [{**asdict(s), "artifacts": sorted(s.artifacts)} for s in streams]
    seal(Path(target), canonical_json(rows))


def kept_streams(path: Path) -> tuple[Stream, ...]:
    """The streams that the child wrote. Raises ValueError when the file was damaged."""
    return tuple(
        Stream(
            module=row["module"],
            stream=row["stream"],
            version=row["version"],
            arch=row["arch"],
            requires={module: tuple(streams) for module, streams in row["requires"].items()},
            artifacts=frozenset(row["artifacts"]),
        )
        for row in json.loads(unsealed(path))
    )
