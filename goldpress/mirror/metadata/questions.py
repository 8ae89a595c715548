"""Owns asking repository metadata a question: the file is read in a limited child, never here.

What is wanted of it is JSON, and so is the answer; what they mean is the asked module's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldpress.digest import canonical_json
from goldpress.host.limited import Limits, make_limited
from goldpress.mirror.metadata.packed import Packed
from goldpress.mirror.repository import RepositorySnapshot
from goldpress.store import Store

#: A real AppStream's changelogs take a tenth of it.
LIMITS = Limits(memory=1 << 30, output=1 << 28, cpu=120, clock=300)
WORKERS = 2


@dataclass(frozen=True, kw_only=True)
class Question:
    """The module whose ``main`` reads a file, the file, and what is wanted of it."""

    module: str
    file: Packed
    wanted: Any = field(hash=False)


def question(
    store: Store, repository: RepositorySnapshot, type_: str, module: str, wanted: Any = None
) -> Question:
    """A question about one type of a repository's metadata.

    Raises MissingError when the repository or the store has no such file.
    """
    return Question(module=module, file=repository.packed(store, type_), wanted=wanted)


def answers(questions: Sequence[Question]) -> list[Any]:
    """The answers in the order of the questions.

    Raises TrustError when a file is not what it has to be, or a limit was passed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="goldpress-questions-") as folder,
        ThreadPoolExecutor(max_workers=WORKERS) as workers,
    ):
        work = [
            workers.submit(_answer, row, Path(folder) / str(index))
            for index, row in enumerate(questions)
        ]
        return [row.result() for row in work]


def _answer(row: Question, answer: Path) -> Any:
    # Names and sha256s by the thousand are more than a command line can have.
    wanted = answer.with_suffix(".wanted")
    wanted.write_bytes(canonical_json(row.wanted))
    arguments = [row.file.argument(), str(wanted)]
    make_limited(row.module, arguments, answer, what=row.file.name, limits=LIMITS)
    return json.loads(answer.read_bytes())
