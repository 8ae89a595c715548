"""Owns the root filesystem as a product: its two trees, their labels, the UUID of /var."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RootFS:
    """An assembled root filesystem.

    `tree` becomes the read-only root and `var` what is mounted at /var; `labels` maps every path
    of the machine to its SELinux context (none for the mount points that are mounted before the
    policy is loaded).
    """

    tree: Path
    var: Path
    labels: Mapping[str, str]
    var_uuid: str


def read_rootfs(directory: Path, facts: Mapping[str, Any]) -> RootFS:
    """The product that `assemble` left in `directory` with these facts."""
    return RootFS(
        tree=directory / "tree",
        var=directory / "var",
        labels=json.loads((directory / "labels.json").read_bytes()),
        var_uuid=facts["var_uuid"],
    )
