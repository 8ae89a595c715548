"""The overlay: what lands where, with which mode, and errors that name file and line."""

import base64
from pathlib import Path

import pytest
from definitions import SERVING

from goldpress.definition import load_definition
from goldpress.errors import BuildError
from goldpress.rootfs.overlay import plan_overlay, render
from goldpress.rootfs.pools import BuiltPool, plan_pools

POOLS = (
    SERVING
    + """\
apps:
  shop: {directory: apps/shop}
  blog: {directory: apps/blog}
pools:
  shop: {app: shop, hosts: [shop.example.com], memory_mib: 200, worker_mib: 20}
  blog: {app: blog, hosts: [blog.example.com], memory_mib: 200, worker_mib: 20}
"""
)


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


def pools(tmp_path: Path) -> tuple[BuiltPool, ...]:
    directory = tmp_path / "web"
    directory.mkdir()
    (directory / "image.yaml").write_text(POOLS)
    return plan_pools(load_definition(directory))


def test_a_file_marked_for_pools_is_there_once_for_each(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "etc/@pool@").mkdir(parents=True)
    (files / "etc/@pool@/fpm.conf.j2").write_text("[{{ pool.name }}] {{ pools | length }}\n")
    (files / "etc/@pool@/same").write_text("{{ as it is }}")
    (files / "etc/@pool@.none.j2").write_text("{% if pool.name == 'blog' %}x{% endif %}")
    (files / "etc/@pool@.link").symlink_to("@pool@/same")
    built = pools(tmp_path)
    found = plan_overlay(files, {"pools": built}, built)
    assert [(c.kind, c.path) for c in found] == [
        ("link", "/etc/blog.link"),
        ("write", "/etc/blog.none"),
        ("write", "/etc/blog/fpm.conf"),
        ("write", "/etc/blog/same"),
        ("link", "/etc/shop.link"),
        ("write", "/etc/shop/fpm.conf"),
        ("write", "/etc/shop/same"),
    ]
    text = {c.path: base64.b64decode(c.content).decode() for c in found}
    assert text["/etc/shop/fpm.conf"] == "[shop] 2\n"
    assert text["/etc/shop/same"] == "{{ as it is }}"
    assert found[4].target == "shop/same"


def test_a_file_without_the_mark_knows_no_single_pool(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "motd.j2").write_text("{{ pool.name }}")
    built = pools(tmp_path)
    with pytest.raises(BuildError, match=r"motd\.j2:1: 'pool' is undefined"):
        plan_overlay(files, {"pools": built}, built)
