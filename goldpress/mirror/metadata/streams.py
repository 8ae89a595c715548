"""Owns which package belongs to which module stream, as a repository's modules.yaml says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from goldpress.errors import TrustError
from goldpress.mirror.metadata.asked import asked

MODULE = "goldpress.mirror.metadata.streams"
MAX_MODULES_BYTES = 64 << 20

_STREAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*:[A-Za-z0-9_][A-Za-z0-9._+-]*")


class _TextLoader(yaml.CBaseLoader):
    """Every scalar as text: stream 1.10 is not the number 1.1."""


def read_streams(data: bytes, *, name: str = "modules") -> dict[str, str]:
    """``module:stream`` by the NEVRAs (epoch always there) of an opened modules.yaml.

    Raises TrustError when it cannot be read.
    """
    if len(data) > MAX_MODULES_BYTES:
        raise TrustError(f"{name}: larger than {MAX_MODULES_BYTES} bytes; refused")
    found: dict[str, str] = {}
    try:
        for document in yaml.load_all(data, Loader=_TextLoader):
            if document["document"] == "modulemd":
                found |= dict.fromkeys(*_artifacts(document["data"]))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrustError(f"{name}: not module metadata: {error!r}") from None
    return found


def _artifacts(data: Any) -> tuple[list[str], str]:
    stream = f"{data['name']}:{data['stream']}"
    if not _STREAM.fullmatch(stream):
        raise ValueError(f"{stream!r} is not a module and its stream")
    return (data.get("artifacts") or {}).get("rpms") or [], stream


def main(arguments: Sequence[str]) -> None:
    """The limited child: nothing is to be said; the answer is streams by NEVRA."""
    row = asked(arguments)
    row.answer(read_streams(b"".join(row.file.chunks()), name=row.file.name))
