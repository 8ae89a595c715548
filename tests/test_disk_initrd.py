"""The initrd: what dracut is told, and what it forgives and we do not."""

from goldpress.definition import Initrd
from goldpress.disk.initrd import REPART_DROP_IN, dracut_argv, failures


def test_nothing_of_the_builder_gets_in() -> None:
    wanted = Initrd(add_drivers=("ena",), omit_modules=("shutdown",), add_modules=("dm",))
    argv = dracut_argv("5.14", wanted, output="/mnt/initrd", order="/mnt/order")
    assert {"--no-hostonly", "--reproducible", "--no-hostonly-cmdline"} < set(argv)
    assert argv[argv.index("--conf") + 1] == "/dev/null"
    modules = argv[argv.index("--modules") + 1].split()
    assert "dm" in modules
    assert "shutdown" not in modules
    assert {"ena", "nvme"} < set(argv[argv.index("--drivers") + 1].split())
    assert argv[argv.index("--include") + 1 :][:2] == ("/mnt/order", REPART_DROP_IN)
    assert argv[-3:] == ("--kver", "5.14", "/mnt/initrd")


def test_forgiven_failures_are_found() -> None:
    said = (
        "mknod: /tmp/x/dev/null: Operation not permitted\n"
        "dracut: dracut module 'dm' cannot be found or installed.\n"
        "dracut-install: ERROR: installing '/usr/bin/x' FAILED: not there\n"
    )
    assert len(failures(said)) == 2
    assert failures("mknod: /dev/null: Operation not permitted") == []
