"""Applications and pools in image.yaml: what is parsed, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.definition import load_definition
from goldpress.errors import DocumentError

GOOD = """\
name: web
summary: a web server
distribution: centos-stream-9
arch: x86_64
packages: [nginx]
services: {enable: [nginx.service]}
machine: {memory_mib: 1024, cpus: 2, reserved_mib: 512}
apps:
  shop: {directory: apps/shop}
  blog: {package: nginx, root: /usr/share/blog}
pools:
  shop:
    app: shop
    hosts: [shop.example.com, "*.shop.example.com"]
    memory_mib: 128
    worker_mib: 20
    environment: [DB_HOST]
    secrets: {DB_PASSWORD: shop/db-password}
  blog: {app: blog, hosts: [blog.example.com], memory_mib: 128, worker_mib: 20}
disk: {esp_mib: 64, var_mib: 512}
verify: {suite: web, boot_seconds: 60}
"""


def image(tmp_path: Path, text: str) -> Path:
    directory = tmp_path / "web"
    directory.mkdir()
    (directory / "image.yaml").write_text(text)
    return directory


def test_pools_and_the_units_that_they_start(tmp_path: Path) -> None:
    found = load_definition(image(tmp_path, GOOD))
    assert found.pools["shop"].secrets == {"DB_PASSWORD": "shop/db-password"}
    assert found.pools["shop"].workers_per_cpu == 4
    assert found.apps["blog"].public == "public"
    assert found.enabled == (
        "nginx.service",
        "goldpress-php-shop.service",
        "goldpress-php-blog.service",
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("app: blog,", "app: none,", "pools.blog.app: there is no 'none' under `apps`"),
        (
            "app: blog,",
            "app: shop,",
            "pools.blog.app: 'shop' is run by the pool 'shop' already",
        ),
        (
            "[blog.example.com]",
            "[shop.example.com]",
            "pools.blog.hosts: 'shop.example.com' is a host of the pool 'shop' already",
        ),
        ("  blog: {app: blog, hosts", "  other: {app: shop, hosts", "apps.blog: no pool runs it"),
        (
            "machine: {memory_mib: 1024, cpus: 2, reserved_mib: 512}\n",
            "",
            "machine: this key is required for pools: their sizes follow from it",
        ),
        (
            "{directory: apps/shop}",
            "{directory: apps/shop, archive: a.tar}",
            "apps.shop: give one of directory, archive and package, not directory and archive",
        ),
        (
            "{directory: apps/shop}",
            "{public: web}",
            "apps.shop: give one of directory, archive and package, not none",
        ),
        (
            "{directory: apps/shop}",
            "{archive: a.tar}",
            "apps.shop.sha256: an archive has one, and nothing else does",
        ),
        (
            "{package: nginx, root: /usr/share/blog}",
            "{package: nginx}",
            "apps.blog.root: a package has one, and nothing else does",
        ),
        ("{package: nginx,", "{package: blog,", "apps.blog.package: 'blog' is not in `packages`"),
        (
            "{directory: apps/shop}",
            "{directory: ../shop}",
            "apps.shop.directory: '../shop' is not a path below the image's folder",
        ),
        (
            "root: /usr/share/blog",
            "root: /usr/../blog",
            "apps.blog.root: '/usr/../blog' is not a path in the image",
        ),
        (
            "  blog: {app: blog,",
            "  Blog: {app: blog,",
            "pools.Blog: 'Blog' is not a pool's name (small letters and digits, 16 at most)",
        ),
        (
            "[blog.example.com]",
            "['blog.example.com;']",
            "pools.blog.hosts[0]: 'blog.example.com;' is not a host name, such as www.example.com",
        ),
        (
            "[DB_HOST]",
            "[DB_HOST, DB_HOST]",
            "pools.shop.environment: 'DB_HOST' is listed twice",
        ),
        (
            "[DB_HOST]",
            "[db]",
            "pools.shop.environment[0]: 'db' is not a setting's name (capitals, digits and _)",
        ),
        (
            "shop/db-password",
            "/shop/db-password",
            "pools.shop.secrets.DB_PASSWORD: '/shop/db-password' is not a secret's path",
        ),
        (
            "services:",
            "parameters: {pools: 3}\nservices:",
            "parameters.pools: templates know this name already",
        ),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    directory = image(tmp_path, GOOD.replace(old, new))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentError) as caught:
        load_definition(directory)
    assert f"web/image.yaml: {said}" in str(caught.value).splitlines()
