"""Owns loading the verify suite's modules in tests, and calling its checks with made-up facts."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pressing import PROJECT

from goldpress.controls import Controls, load_controls
from goldpress.definition import load_definition

SUITE = PROJECT / "verify"
#: Level -> what its checks are given their facts as.
LOOKS = {"offline": "tree", "booted": "facts"}


def web_controls() -> Controls:
    """The controls of images/web."""
    return load_controls(load_definition(PROJECT / "images/web"))


@contextmanager
def modules(level: str) -> Iterator[dict[str, ModuleType]]:
    """The suite's modules of a level and its helpers, found as the suite finds them."""
    sys.path.insert(0, str(SUITE))
    try:
        names = (path.stem for path in SUITE.glob("*.py") if path.stem != "conftest")
        found = {name: importlib.import_module(name) for name in sorted(names)}
        for path in sorted((SUITE / level).glob("test_*.py")):
            name = f"goldpress_suite_{path.stem}"
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            found[path.stem] = module
        yield found
    finally:
        sys.path.remove(str(SUITE))


def named_checks(suite: Mapping[str, ModuleType]) -> list[tuple[str, Callable[..., None]]]:
    """(control, check) of every check in the modules."""
    found: list[tuple[str, Callable[..., None]]] = []
    for module in suite.values():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                (mark,) = vars(function)["pytestmark"]
                found.append((mark.args[0], function))
    return found


def given(
    suite: Mapping[str, ModuleType],
    folder: Path,
    sections: Mapping[str, tuple[int, str]],
    promise: Mapping[str, Any],
) -> dict[str, Any]:
    """What a check may ask for; its `parameters` are added when it is called."""
    path = folder / "input.json"
    path.write_text(json.dumps(promise))
    made = {
        name: suite["sections"].Section(status=status, text=text)
        for name, (status, text) in sections.items()
    }
    facts = suite["sections"].Facts(sections=suite["watched"].Watched(made))
    return {"facts": facts, "tree": facts, "promise": suite["promise"].read_promise(path)}


def call(
    suite: Mapping[str, ModuleType],
    control: str,
    check: Callable[..., None],
    known: Mapping[str, Any],
) -> None:
    """Call a check as the suite's conftest does: it must not pass without looking at anything."""
    watched = suite["watched"]
    parameters = watched.Watched(known["promise"].parameters.get(control, {}))
    names = inspect.signature(check).parameters
    look = known["facts"].sections
    look.forget()
    check(**{name: {**known, "parameters": parameters}[name] for name in names})
    said = watched.vacuous(look, parameters if "parameters" in names else None)
    assert not said, f"{control}: {said}"
