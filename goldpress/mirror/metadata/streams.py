"""Owns which package belongs to which module stream, as a repository's modules.yaml says."""

from __future__ import annotations

from collections.abc import Sequence

from goldpress.mirror.metadata.asked import asked
from goldpress.mirror.metadata.modulemd import read_modules

MODULE = "goldpress.mirror.metadata.streams"


def read_streams(data: bytes, *, name: str = "modules") -> dict[str, str]:
    """``module:stream`` by the NEVRAs (epoch always there) of an opened modules.yaml.

    Raises TrustError when it cannot be read.
    """
    streams = read_modules(data, name=name)
    return {nevra: stream.name for stream in streams for nevra in stream.artifacts}


def main(arguments: Sequence[str]) -> None:
    """The limited child: nothing is to be said; the answer is streams by NEVRA."""
    row = asked(arguments)
    row.answer(read_streams(b"".join(row.file.chunks()), name=row.file.name))
