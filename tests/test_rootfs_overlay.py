"""The overlay: what lands where, with which mode, and errors that name file and line."""

import base64
from pathlib import Path

import pytest

from goldpress.errors import BuildError
from goldpress.rootfs.overlay import plan_overlay, render


def test_plans_files_links_and_modes(tmp_path: Path) -> None:
    (tmp_path / "etc/sudoers.d").mkdir(parents=True)
    (tmp_path / "etc/sudoers.d/op").write_text("x")
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/tool").write_text("#!/bin/sh\n")
    (tmp_path / "usr/tool").chmod(0o700)
    (tmp_path / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    (tmp_path / "etc/motd.j2").write_text("{{ name }}\n")
    changes = {c.path: c for c in plan_overlay(tmp_path, {"name": "web"})}
    assert list(changes) == sorted(changes)
    assert changes["/etc/sudoers.d/op"].mode == 0o440
    assert changes["/usr/tool"].mode == 0o755
    assert (changes["/etc/resolv.conf"].kind, changes["/etc/resolv.conf"].target) == (
        "link",
        "/run/resolv.conf",
    )
    assert base64.b64decode(changes["/etc/motd"].content) == b"web\n"


def test_an_undefined_variable_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf.j2"
    path.write_text("user nginx;\nworkers {{ php.workers }};\nroot {{ wrong_name }};\n")
    with pytest.raises(BuildError) as caught:
        render(path, {"php": {"workers": 3}})
    assert str(caught.value) == (
        f"{path}:3: 'wrong_name' is undefined\n  define it under `parameters:` in image.yaml"
    )


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.j2"
    path.write_text("one\n{% if %}\n")
    with pytest.raises(BuildError, match=r"a\.j2:2: Expected an expression"):
        render(path, {})
