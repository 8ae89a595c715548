"""Owns SELinux labels: which context each file of a tree has, from the image's own contexts.

Looked up with libselinux's selabel(3), not set on the tree: writing security.* needs privileges
on most hosts. The labels enter the file system image when it is made (`goldpress.disk.ext4`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from goldpress.errors import BuildError, MissingError
from goldpress.host.trees import Entry

SELABEL_CTX_FILE = 0
SELABEL_OPT_PATH = 3

#: Mount points that are mounted before the policy is loaded; the contexts say <<none>> for them.
UNLABELLED = frozenset({"/proc", "/sys", "/dev"})


class _Option(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("value", ctypes.c_char_p))


def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("selinux") or "libselinux.so.1"
    try:
        library = ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise MissingError("libselinux is not installed", hint="run `./inv setup`") from error
    library.selabel_open.restype = ctypes.c_void_p
    library.selabel_open.argtypes = (ctypes.c_uint, ctypes.POINTER(_Option), ctypes.c_uint)
    library.selabel_lookup_raw.argtypes = (
        ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.c_int,
    )  # fmt: skip
    library.selabel_close.argtypes = (ctypes.c_void_p,)
    library.freecon.argtypes = (ctypes.c_void_p,)
    return library


@contextmanager
def _handle(library: ctypes.CDLL, contexts: Path) -> Iterator[int]:
    options = (_Option * 1)(_Option(SELABEL_OPT_PATH, os.fsencode(contexts)))
    handle = library.selabel_open(SELABEL_CTX_FILE, options, 1)
    if not handle:
        raise BuildError(f"{contexts}: {os.strerror(ctypes.get_errno())}")
    try:
        yield handle
    finally:
        library.selabel_close(handle)


def look_up(contexts: Path, entries: Iterable[Entry]) -> dict[str, str]:
    """Path to context for every entry. `contexts` is the image's file_contexts.

    Raises BuildError when a file has no context: it would be unlabeled_t on the machine.
    """
    library = _library()
    labels: dict[str, str] = {}
    with _handle(library, contexts) as handle:
        found = ctypes.c_void_p()
        for entry in entries:
            code = library.selabel_lookup_raw(
                handle, ctypes.byref(found), os.fsencode(entry.path), entry.mode
            )
            if code == 0:
                text = ctypes.cast(found, ctypes.c_char_p).value or b""
                labels[entry.path] = text.decode()
                library.freecon(found)
            elif entry.path not in UNLABELLED:
                raise BuildError(
                    f"{entry.path}: no SELinux context matches it",
                    hint="add a filecon to images/<name>/selinux/*.cil",
                )
    return labels
