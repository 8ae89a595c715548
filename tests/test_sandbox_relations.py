"""Relations: Debian's versions and dependencies in RPM's words."""

import pytest

from goldpress.errors import BuildError
from goldpress.sandbox.closure import Deb
from goldpress.sandbox.relations import alternatives, providers, requires, rpm_version
from goldpress.sandbox.table import Table

TABLE = Table.model_validate_json(
    """{"dropped": {"debconf": "nothing asks"}, "packages": {
    "openssl-libs": {"parts": ["libssl3", {"deb": "openssl", "paths": ["/etc/x"]}],
                     "requires": ["crypto-policies"]},
    "openssl": {"parts": ["openssl"]},
    "systemd": {"parts": ["systemd", "systemd-sysv"], "without": ["openssl"]},
    "crypto-policies": {"version": "1"}}}"""
)


def a_deb(name: str, depends: str = "", pre_depends: str = "", provides: str = "") -> Deb:
    return Deb(
        name=name,
        version="1",
        architecture="amd64",
        sha256="0" * 64,
        depends=depends,
        pre_depends=pre_depends,
        provides=provides,
    )


def required(name: str, *debs: Deb) -> list[str]:
    return requires(name, TABLE.packages[name], TABLE, {deb.name: deb for deb in debs})


@pytest.mark.parametrize(
    ("debian", "version", "release"),
    [
        ("1:9.2p1-2+deb12u7", "9.2p1", "2+deb12u7.sandbox"),
        ("252.39-1~deb12u2", "252.39", "1~deb12u2.sandbox"),
        ("2026f", "2026f", "0.sandbox"),
        ("0.5.12-rc1-3", "0.5.12.rc1", "3.sandbox"),
        ("5.1.22+4.0.11-2", "5.1.22+4.0.11", "2.sandbox"),
        ("1:2:3-4", "3", "4.sandbox"),
    ],
)
def test_versions(debian: str, version: str, release: str) -> None:
    assert rpm_version(debian) == (version, release)


def test_reads_dependencies() -> None:
    assert alternatives("libc6 (>= 2.34), mawk | gawk:any (>= 1), ") == [
        ["libc6"],
        ["mawk", "gawk"],
    ]


def test_the_first_provider_by_name_wins() -> None:
    assert providers([a_deb("b", provides="x, y"), a_deb("a", provides="x (= 1)")]) == {
        "x": "a",
        "y": "b",
    }


def test_maps_drops_and_leaves_itself_out() -> None:
    found = required(
        "systemd",
        a_deb("systemd", depends="libssl3, debconf (>= 1) | debconf-2.0", pre_depends="openssl"),
        a_deb("systemd-sysv", depends="systemd, cdebconf | ssl"),
        a_deb("libssl3", provides="ssl"),
        a_deb("openssl"),
        a_deb("debconf"),
    )
    assert found == ["openssl-libs"]


def test_a_part_cut_out_brings_no_dependencies() -> None:
    found = required("openssl-libs", a_deb("libssl3"), a_deb("openssl", depends="systemd"))
    assert found == ["crypto-policies"]


def test_a_dependency_outside_the_closure_is_named() -> None:
    with pytest.raises(BuildError) as caught:
        required("openssl", a_deb("openssl", depends="libfoo (>= 2) | libbar"))
    assert str(caught.value) == "openssl needs libfoo or libbar: not in the closure"


def test_taking_away_what_is_not_required_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        required("systemd", a_deb("systemd"), a_deb("systemd-sysv"))
    assert str(caught.value) == "systemd: `without` names openssl, which it does not require"
