"""Owns the overlay: files of images/<name>/files, rendered, as changes to a tree.

The path below ``files/`` is the path in the image; a name that ends in ``.j2`` is rendered with
Jinja2 and loses the ending. Owner is root, modes are 0755 or 0644 by git's executable bit;
image.yaml's `parameters` are what templates may use, and an undefined one is an error. Beside
them `pools` and `machine` are known, and a file whose path has ``@pool@`` in it is there once for
each pool, which it knows as `pool`; where it renders to nothing, it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jinja2

from goldpress.definition import Definition
from goldpress.errors import BuildError
from goldpress.host.trees import Change, write
from goldpress.rootfs.pools import BuiltPool, plan_pools

TEMPLATE_SUFFIX = ".j2"
POOL_MARK = "@pool@"

#: Folders whose readers refuse, or ignore, a file that others can read.
PRIVATE_FOLDERS = {"/etc/sudoers.d/": 0o440, "/etc/NetworkManager/system-connections/": 0o600}


def render(path: Path, parameters: Mapping[str, object]) -> bytes:
    """Render a template. Raises BuildError that names its file and line."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    try:
        code = environment.compile(path.read_text(), filename=os.fspath(path))
        template = jinja2.Template.from_code(environment, code, environment.make_globals(None))
        return template.render(parameters).encode()
    except jinja2.TemplateSyntaxError as error:
        raise BuildError(f"{path}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateError as error:
        raise BuildError(
            f"{path}:{_template_line(error, os.fspath(path))}: {error}",
            hint="define it under `parameters:` in image.yaml",
        ) from error


def _template_line(error: BaseException, filename: str) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def template_names(definition: Definition) -> dict[str, object]:
    """What templates of an image may use. Raises BuildError when its pools have no room."""
    return {
        **definition.parameters,
        "machine": definition.machine,
        "pools": plan_pools(definition),
    }


def expand(
    path: str, given: Mapping[str, object], pools: Sequence[BuiltPool]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """A path of the overlay as it is in the image, with what its template knows: once a pool."""
    if POOL_MARK not in path:
        yield path, given
        return
    for pool in pools:
        yield path.replace(POOL_MARK, pool.name), {**given, "pool": pool}


def plan_overlay(
    files: Path, given: Mapping[str, object], pools: Sequence[BuiltPool] = ()
) -> tuple[Change, ...]:
    """The changes that put every file of the overlay in place, sorted by path."""
    changes: list[Change] = []
    for path in sorted(p for p in files.rglob("*") if p.is_symlink() or p.is_file()):
        for inside, known in expand(f"/{path.relative_to(files).as_posix()}", given, pools):
            change = _change(path, inside, known)
            if change.content or "pool" not in known or change.kind == "link":
                changes.append(change)
    return tuple(sorted(changes, key=lambda change: change.path))


def _change(path: Path, inside: str, known: Mapping[str, object]) -> Change:
    if path.is_symlink():
        target = os.fspath(path.readlink())
        if isinstance(pool := known.get("pool"), BuiltPool):
            target = target.replace(POOL_MARK, pool.name)
        return Change(kind="link", path=inside, target=target)
    mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    if inside.endswith(TEMPLATE_SUFFIX):
        data, inside = render(path, known), inside.removesuffix(TEMPLATE_SUFFIX)
    else:
        data = path.read_bytes()
    private = (m for folder, m in PRIVATE_FOLDERS.items() if inside.startswith(folder))
    return write(inside, data, mode=next(private, mode))
