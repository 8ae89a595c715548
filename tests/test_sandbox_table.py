"""The sandbox's table: strict, every Debian package mapped once, errors with their path."""

from pathlib import Path

import pytest

from goldpress.errors import DocumentError
from goldpress.sandbox.make import FIXUPS, HERE
from goldpress.sandbox.table import KERNEL_MARK, Table, load_tables

EMPTY_ZOO = "packages: {}\n"


def load(folder: Path, packages: str, zoo: str = EMPTY_ZOO) -> Table:
    (folder / "packages.yaml").write_text(packages)
    (folder / "zoo.yaml").write_text(zoo)
    return load_tables(folder)


@pytest.fixture(scope="module")
def real() -> Table:
    return load_tables(HERE, kernel="6.1.0-1-cloud-amd64")


def test_the_real_table_reads_and_names_the_kernel(real: Table) -> None:
    assert real.rest_owner["linux-image-6.1.0-1-cloud-amd64"] == "kernel-modules-core"
    assert real.rest_owner["libc6"] == "glibc"
    assert "/usr/lib/modules/6.1.0-1-cloud-amd64/vmlinuz" in (
        real.packages["kernel-core"].moves.values()
    )


def test_the_kernels_own_package_is_not_asked_for_by_name() -> None:
    wanted = load_tables(HERE).wanted
    assert "linux-image-cloud-amd64" in wanted
    assert not [name for name in wanted if KERNEL_MARK in name]


def test_every_fixup_file_is_there_and_named(real: Table) -> None:
    named = {
        FIXUPS / name / path.lstrip("/") for name, p in real.packages.items() for path in p.files
    }
    there = {path for path in FIXUPS.rglob("*") if path.is_file()}
    assert there - named == {FIXUPS / "selinux-policy-targeted/sandbox.cil"}
    assert named <= there


def test_what_a_package_requires_by_hand_is_a_package_or_is_provided(real: Table) -> None:
    known = set(real.packages)
    known |= {one.split(" ")[0] for p in real.packages.values() for one in p.provides}
    missing = {
        (name, one) for name, p in real.packages.items() for one in p.requires if one not in known
    }
    assert not missing


def test_users_have_the_numbers_that_centos_fixed(real: Table) -> None:
    lines = [
        line.split()[:3]
        for p in real.packages.values()
        for file in p.users.values()
        for line in file
    ]
    # Only an account that owns no file can be left to systemd to number.
    left = {name for _, name, number in lines if number == "-"}
    assert left == {"systemd-journal-remote"}
    numbers = {name: number for _, name, number in lines if name not in left}
    assert (numbers["apache"], numbers["sshd"], numbers["dbus"]) == ("48", "74", "81")
    assert len(set(numbers.values())) == len(numbers)
    assert all(int(number) < 1000 for number in numbers.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "packages: {a: {parts: [x], removed: [/usr/bin/x]}}",
            "packages.yaml: packages.a.removed: unknown key; nearest: removes, moves",
        ),
        (
            "packages: {a: {parts: [{deb: x, path: [/usr/bin/x]}]}, b: {parts: [x]}}",
            "packages.yaml: packages.a.parts[0].path: unknown key; nearest: paths",
        ),
        (
            "packages: {a: {parts: [x], moves: {/bin/x: /usr/bin/y}}}",
            (
                "packages.yaml: packages.a.moves./bin/x: '/bin/x' lies below /usr in a merged tree"
                ": write /usr/bin/x"
            ),
        ),
        (
            "packages: {a: {parts: [x], attrs: {/usr/bin/x: root 0755}}}",
            (
                "packages.yaml: packages.a.attrs./usr/bin/x: 'root 0755' is not `mode user group`, "
                "such as `0750 root chrony`"
            ),
        ),
        (
            "packages: {a: {parts: [x], scriptlets: {install: 'true'}}}",
            (
                "packages.yaml: packages.a.scriptlets.install: "
                "'install' is not a scriptlet that the sandbox can write"
            ),
        ),
        (
            "packages: {a: {parts: [x]}, b: {parts: [x]}}",
            "packages.yaml: x is mapped to a and b: the rest of it once",
        ),
        (
            "dropped: {x: nothing needs it}\npackages: {a: {parts: [x]}}",
            "packages.yaml: x is mapped to a and dropped: choose one",
        ),
        (
            "packages: {a: {parts: [{deb: x, paths: [/usr/bin/x]}]}}",
            "packages.yaml: a takes paths of x; nothing takes or drops its rest",
        ),
        (
            "packages: {a: {parts: [x], version: '1'}}",
            (
                "packages.yaml: packages.a: "
                "give `parts`, whose first names the version, or `version`: not both"
            ),
        ),
        (
            "packages: {a: {}}",
            (
                "packages.yaml: packages.a: "
                "give `parts`, whose first names the version, or `version`: not both"
            ),
        ),
    ],
)
def test_a_fault_is_named_with_its_path(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == message


def test_a_name_in_both_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^zoo\.yaml: packages\.a: is in packages\.yaml"):
        load(tmp_path, "packages: {a: {version: '1'}}", "packages: {a: {version: '1'}}")


def test_paths_of_a_dropped_package_are_used(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        "dropped: {x: all but one program}\n"
        "packages: {a: {parts: [{deb: x, paths: [/usr/bin/which]}]}}",
    )
    assert table.used == {"x"}
    assert table.wanted == ("x",)
    assert not table.rest_owner
