"""Pools as they are built: the arithmetic of their sizes, and what has no room."""

from __future__ import annotations

from pathlib import Path

import pytest
from definitions import SERVING

from goldpress.application import Database, Machine, Pool
from goldpress.definition import Definition, load_definition
from goldpress.errors import BuildError
from goldpress.rootfs.pools import plan_pools, plan_sizes, told

MACHINE = Machine(memory_mib=1024, cpus=2, reserved_mib=512)
MEMORY = "memory (300 MiB - 64 opcache - 16 APCu - 12 master) / 20 a worker"
DEFINITION = (
    SERVING
    + """\
apps:
  shop: {directory: apps/shop}
  blog: {package: nginx, root: /usr/share/blog, public: web}
pools:
  shop: {app: shop, hosts: [shop.example.com], memory_mib: 300, worker_mib: 20}
  blog: {app: blog, hosts: [blog.example.com], memory_mib: 200, worker_mib: 20}
"""
)


def pool(*, memory_mib: int = 300, database: Database | None = None) -> Pool:
    return Pool(
        app="shop",
        hosts=("shop.example.com",),
        memory_mib=memory_mib,
        worker_mib=20,
        opcache_mib=64,
        apcu_mib=16,
        workers_per_cpu=6,
        database=database,
    )


def definition(tmp_path: Path, text: str = DEFINITION) -> Definition:
    directory = tmp_path / "web"
    directory.mkdir()
    (directory / "image.yaml").write_text(text)
    return load_definition(directory)


def test_memory_limits_the_workers() -> None:
    sizes = plan_sizes("shop", pool(), MACHINE)
    assert (sizes.by_memory, sizes.by_cpu, sizes.by_database) == (10, 12, None)
    assert sizes.workers == 10
    assert sizes.arithmetic == (
        "memory (300 MiB - 64 opcache - 16 APCu - 12 master) / 20 a worker = 10; 2 cpus x 6 = 12"
    )


def test_processors_limit_the_workers() -> None:
    sizes = plan_sizes("shop", pool(memory_mib=512), MACHINE)
    assert (sizes.by_memory, sizes.workers) == (21, 12)


def test_the_database_limits_the_workers() -> None:
    database = Database(engine="postgresql", connections=95, machines=20)
    sizes = plan_sizes("shop", pool(database=database), MACHINE)
    assert (sizes.by_database, sizes.workers) == (4, 4)
    assert sizes.arithmetic.endswith("; 95 connections / 20 machines = 4")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            pool(memory_mib=100),
            f"{MEMORY.replace('300', '100')} = 0; 2 cpus x 6 = 12",
        ),
        (
            pool(database=Database(engine="mysql", connections=19, machines=20)),
            f"{MEMORY} = 10; 2 cpus x 6 = 12; 19 connections / 20 machines = 0",
        ),
    ],
)
def test_no_room_for_a_worker_is_an_error(case: Pool, said: str) -> None:
    with pytest.raises(BuildError) as caught:
        plan_sizes("shop", case, MACHINE)
    assert str(caught.value) == (
        f"pool shop: no room for one worker: {said}\n"
        "  change memory_mib or database under `pools.shop` in image.yaml"
    )


def test_names_follow_from_the_pools_own(tmp_path: Path) -> None:
    blog, shop = plan_pools(definition(tmp_path))
    assert (shop.user, shop.unit, shop.domain) == (
        "gp-shop",
        "goldpress-php-shop.service",
        "gp_php_shop_t",
    )
    assert shop.socket == "/run/goldpress-php-shop/fpm.sock"
    assert shop.state == "/var/lib/goldpress-php-shop"
    assert shop.front == "/srv/shop/public/index.php"
    assert shop.post_mib == shop.pool.body_mib + 1
    assert blog.front == "/usr/share/blog/web/index.php"
    assert (shop.database_port, shop.database_port_type) == (None, None)
    assert list(told((blog, shop))) == ["blog", "shop"]


def test_a_database_has_its_port_and_its_type(tmp_path: Path) -> None:
    text = DEFINITION.replace(
        "worker_mib: 20}\n  blog",
        "worker_mib: 20, database: {engine: mysql, connections: 9, machines: 3}}\n  blog",
    )
    _, shop = plan_pools(definition(tmp_path, text))
    assert (shop.database_port, shop.database_port_type) == (3306, "mysqld_port_t")
    assert shop.workers == 3


def test_pools_that_do_not_fit_the_machine_are_an_error(tmp_path: Path) -> None:
    text = DEFINITION.replace("memory_mib: 200", "memory_mib: 213")
    with pytest.raises(BuildError) as caught:
        plan_pools(definition(tmp_path, text))
    assert str(caught.value) == (
        "the pools need blog 213 + shop 300 = 513 MiB, and the machine has 1024 - 512 reserved"
        " = 512\n  change memory_mib under `pools` or `machine` in image.yaml"
    )
