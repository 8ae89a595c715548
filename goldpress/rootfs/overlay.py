"""Owns the overlay: files of images/<name>/files, rendered, as changes to a tree.

The path below ``files/`` is the path in the image; a name that ends in ``.j2`` is rendered with
Jinja2 and loses the ending. Owner is root, modes are 0755 or 0644 by git's executable bit;
image.yaml's `parameters` are what templates may use, and an undefined one is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import jinja2

from goldpress.errors import BuildError
from goldpress.host.trees import Change, write

TEMPLATE_SUFFIX = ".j2"

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


def plan_overlay(files: Path, parameters: Mapping[str, object]) -> tuple[Change, ...]:
    """The changes that put every file of the overlay in place, sorted by path."""
    changes: list[Change] = []
    for path in sorted(p for p in files.rglob("*") if p.is_symlink() or p.is_file()):
        inside = f"/{path.relative_to(files).as_posix()}"
        if path.is_symlink():
            changes.append(Change(kind="link", path=inside, target=os.fspath(path.readlink())))
            continue
        mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        if inside.endswith(TEMPLATE_SUFFIX):
            data, inside = render(path, parameters), inside.removesuffix(TEMPLATE_SUFFIX)
        else:
            data = path.read_bytes()
        private = (m for folder, m in PRIVATE_FOLDERS.items() if inside.startswith(folder))
        changes.append(write(inside, data, mode=next(private, mode)))
    return tuple(changes)
