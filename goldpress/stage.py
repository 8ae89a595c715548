"""Owns stages: a product in a directory that is named by the digest of its inputs.

    <build>/stages/<stage>/<key>/             the product's files
    <build>/stages/<stage>/<key>/product.json its inputs and facts, written last
    <build>/stages/<stage>/last.<scope>.json  the inputs of the last run, to say what changed

A product exists when its product.json does. It is made in a scratch directory beside and renamed
into place, so an interrupted run leaves nothing that a next run would take for a product.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.digest import combined
from goldpress.host.confine import remove_tree
from goldpress.store import write_atomically

KEY_DIGITS = 24


@dataclass(frozen=True, kw_only=True)
class Product:
    """A finished stage: where its files are, what it was made from, what was found out."""

    directory: Path
    key: str
    inputs: Mapping[str, str]
    facts: Mapping[str, Any]
    fresh: bool


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline. `inputs` name everything that shapes the product's bytes."""

    root: Path
    name: str
    scope: str
    inputs: Mapping[str, str]
    title: str

    @property
    def key(self) -> str:
        """The sha256 over the inputs, shortened for use as a directory name."""
        return combined({**self.inputs, "stage": self.name})[:KEY_DIGITS]

    @property
    def _home(self) -> Path:
        return self.root / "stages" / self.name

    def existing(self) -> Product | None:
        """The product of these inputs, if it was made before."""
        directory = self._home / self.key
        try:
            facts = json.loads((directory / "product.json").read_text())
        except FileNotFoundError:
            return None
        return Product(
            directory=directory,
            key=self.key,
            inputs=self.inputs,
            facts=facts["facts"],
            fresh=False,
        )

    def run(
        self,
        make: Callable[[Path, progress.Step], Mapping[str, Any]],
        *,
        lacks: Callable[[Mapping[str, Any]], str] = lambda _: "",
    ) -> Product:
        """The product: as it was made before, or made now by `make(directory, step)`.

        `lacks` tells of a product's facts what of it is missing elsewhere: then it is made again.
        """
        with self._locked():
            found = self.existing()
            missing = lacks(found.facts) if found is not None else ""
            if found is not None and not missing:
                self._remember()
                return found
            scratch = self._home / f".{self.key}.part"
            remove_tree(scratch)
            scratch.mkdir(parents=True)
            try:
                with progress.step(self.title, missing or self.why()) as step:
                    facts = dict(make(scratch, step))
                record = {"inputs": dict(self.inputs), "facts": facts}
                write_atomically(scratch / "product.json", json.dumps(record, indent=1).encode())
                remove_tree(self._home / self.key)
                scratch.rename(self._home / self.key)
            except BaseException:
                remove_tree(scratch)
                raise
            self._remember()
            self._prune()
        return Product(
            directory=self._home / self.key,
            key=self.key,
            inputs=self.inputs,
            facts=facts,
            fresh=True,
        )

    def why(self) -> str:
        """Why the product has to be made: which inputs differ from the last run's."""
        try:
            last = json.loads(self._last.read_text())["inputs"]
        except FileNotFoundError:
            return "first time"
        names = sorted({*last, *self.inputs})
        changed = [n for n in names if last.get(n) != self.inputs.get(n)]
        return f"changed: {', '.join(changed)}" if changed else "its product was removed"

    @property
    def _last(self) -> Path:
        return self._home / f"last.{self.scope}.json"

    def _remember(self) -> None:
        data = json.dumps({"inputs": dict(self.inputs), "key": self.key}).encode()
        if not self._last.exists() or self._last.read_bytes() != data:
            write_atomically(self._last, data)

    def _prune(self, keep: int = 3) -> None:
        """Keep the newest products of this stage; each may weigh a gigabyte."""
        products = [p for p in self._home.iterdir() if (p / "product.json").exists()]
        products.sort(key=lambda p: (p / "product.json").stat().st_mtime, reverse=True)
        for old in products[keep:]:
            (old / "product.json").unlink()
            remove_tree(old)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One maker a stage and build directory; a second command waits for the first."""
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def products(root: Path, name: str) -> Iterator[Product]:
    """The products of a stage that are there, whatever they were made from."""
    for path in sorted((root / "stages" / name).glob("[!.]*/product.json")):
        record = json.loads(path.read_text())
        yield Product(
            directory=path.parent,
            key=path.parent.name,
            inputs=record["inputs"],
            facts=record["facts"],
            fresh=False,
        )
