"""The bill of materials: every package, the same bytes for the same image, read strictly."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attested import ODD, PLAIN, World, lock_of, world
from signed import manifest

from goldpress.digest import canonical_json, digest_of
from goldpress.errors import BuildError, DocumentError
from goldpress.lock import LockedPackage
from goldpress.statements.rpmdb import Installed
from goldpress.statements.sbom import Bill, bill_of, maker_of, parse_bill, website
from goldpress.store import Store

PURL = re.compile(r"pkg:rpm/[a-z0-9.-]+/[A-Za-z0-9._%~-]+@[A-Za-z0-9._%~-]+\?[A-Za-z0-9._%~&=-]+")


@pytest.fixture
def real(tmp_path: Path) -> World:
    return world(Store(root=tmp_path / "store"), stand_in=False)


def test_it_is_cyclonedx(real: World) -> None:
    value = real.bill().predicate()
    assert (value["bomFormat"], value["specVersion"], value["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value["serialNumber"]
    )
    assert value["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert value["metadata"]["component"]["version"] == real.image
    plain, odd = value["components"]
    assert plain == {
        "type": "library",
        "bom-ref": "bash-0:5.1.8-9.el9.x86_64",
        "name": "bash",
        "version": "5.1.8-9.el9",
        "purl": "pkg:rpm/centos/bash@5.1.8-9.el9?arch=x86_64&distro=centos-stream-9"
        "&upstream=bash-5.1.8-9.el9.src.rpm",
        "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
        "licenses": [{"license": {"name": "GPLv3+"}}],
        "publisher": "CentOS",
        "externalReferences": [{"type": "website", "url": "https://x.org"}],
        "properties": [
            {"name": "goldpress:repository", "value": "baseos"},
            {"name": "goldpress:signer", "value": "A" * 40},
            {"name": "goldpress:source_rpm", "value": "bash-5.1.8-9.el9.src.rpm"},
        ],
    }
    assert odd["version"] == "2:11.5.0~rc1-2.module_el9+750^1"
    assert odd["purl"] == (
        "pkg:rpm/centos/libstdc%2B%2B@11.5.0~rc1-2.module_el9%2B750%5E1?arch=x86_64"
        "&distro=centos-stream-9&epoch=2&upstream=gcc-11.5.0~rc1-2.module_el9%2B750%5E1.src.rpm"
    )


def test_it_is_the_same_each_time_and_comes_back(real: World) -> None:
    assert canonical_json(real.bill().predicate()) == canonical_json(real.bill().predicate())
    assert parse_bill(json.loads(canonical_json(real.bill().predicate()))) == real.bill()
    assert real.bill().packages == real.manifest.packages


def test_a_stand_ins_packages_are_not_called_the_real_ones(tmp_path: Path) -> None:
    """A scanner would find CentOS's faults in what was made from something else."""
    made = world(Store(root=tmp_path))
    for row in made.bill().predicate()["components"]:
        assert row["purl"].startswith("pkg:rpm/sandbox/")
        assert "distro=sandbox" in row["purl"]


def test_what_a_package_does_not_say_is_left_out(real: World) -> None:
    silent = {
        nevra: Installed(nevra=nevra, license="", vendor="", url="%{gourl}")
        for nevra in real.installed()
    }
    found = bill_of(real.manifest, real.lock, silent)
    row = found.predicate()["components"][0]
    assert not {"licenses", "publisher", "externalReferences"} & set(row)
    assert row["purl"].startswith("pkg:rpm/centos/bash@")
    assert parse_bill(found.predicate()) == found


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("CentOS", "centos"),
        ("Fedora Project", "fedora"),
        ("AlmaLinux", "almalinux"),
        ("Some & Sons, Ltd.", "some-sons-ltd."),
        ("", "centos"),
    ],
)
def test_makers_have_the_names_that_package_urls_use(vendor: str, name: str) -> None:
    assert maker_of(vendor, "centos-stream-9") == name


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://x.org/a%20b?c=d#e", True),
        ("ftp://ftp.example.org/pub", True),
        ("%{gourl}", False),
        ("wiki.example.org/x", False),
        ("https://x.org/%{name}", False),
        ("https://x.org/a b", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_addresses_are_linked(url: str, kept: bool) -> None:
    assert website(url) == (url if kept else "")


def test_the_database_and_the_lock_have_the_same_packages(real: World) -> None:
    lacking = {k: v for k, v in real.installed().items() if not k.startswith("bash")}
    with pytest.raises(
        BuildError, match=r"missing \['bash-0:5\.1\.8-9\.el9\.x86_64'\], extra \[\]"
    ):
        bill_of(real.manifest, real.lock, lacking)
    more = {**real.installed(), "x": Installed(nevra="x", license="", vendor="", url="")}
    with pytest.raises(BuildError, match=r"missing \[\], extra \['x'\]"):
        bill_of(real.manifest, real.lock, more)


def test_the_lock_is_the_images(real: World) -> None:
    other = lock_of(replace(PLAIN, sha256="9" * 64), ODD, stand_in=False)
    with pytest.raises(BuildError, match=f"the lock {other.digest} is not that of the image"):
        bill_of(real.manifest, other, real.installed())


def changes() -> Iterator[Any]:
    yield lambda value: value.update(version=2)
    yield lambda value: value.update(extra=1)
    yield lambda value: value["components"][0].update(version="5.1.9-1.el9")
    yield lambda value: value["components"][0].update(purl="pkg:rpm/centos/bash@5.1.8-9.el9")
    yield lambda value: value["components"][0].update(licenses=[])
    yield lambda value: value["components"].append(None)
    yield lambda value: value.pop("metadata")
    yield lambda value: value["metadata"].update(timestamp="yesterday")
    yield lambda value: value["metadata"]["component"].update(version="sha256:1")


@pytest.mark.parametrize("change", list(changes()))
def test_any_other_form_is_refused(real: World, change: Any) -> None:
    value = json.loads(canonical_json(real.bill().predicate()))
    change(value)
    with pytest.raises(DocumentError, match=r"^SBOM: "):
        parse_bill(value)


@pytest.mark.metadata
def test_it_holds_all_of_centos(real_metadata: Path) -> None:
    """Every real package: names with +, versions with ~ and ^, addresses that are none."""
    packages: dict[str, LockedPackage] = {}
    installed: dict[str, Installed] = {}
    for file in sorted(real_metadata.glob("*/repodata/*-primary.xml.gz")):
        for package, about in of_primary(file):
            packages[package.nevra], installed[package.nevra] = package, about
    assert len(packages) > 5000
    lock = lock_of(*packages.values(), stand_in=False)
    made = manifest(
        distribution=lock.distribution,
        stand_in=False,
        packages=digest_of([[p.nevra, p.sha256] for p in lock.packages]),
    )
    found = bill_of(made, lock, installed)
    value = json.loads(canonical_json(found.predicate()))
    assert parse_bill(value) == found
    assert all(PURL.fullmatch(row["purl"]) for row in value["components"])
    assert all(row["purl"].startswith("pkg:rpm/centos/") for row in value["components"])
    assert len({row["purl"] for row in value["components"]}) == len(packages)
    assert sum(1 for row in found.components if row.url) > len(packages) * 0.95


COMMON = "{http://linux.duke.edu/metadata/common}"
RPM = "{http://linux.duke.edu/metadata/rpm}"


def of_primary(file: Path) -> Iterator[tuple[LockedPackage, Installed]]:
    with gzip.open(file) as stream:
        root = ET.parse(stream).getroot()  # noqa: S314 - a file of the tester's
    for row in root:
        version, format_ = row.find(f"{COMMON}version"), row.find(f"{COMMON}format")
        assert version is not None
        assert format_ is not None
        package = replace(
            PLAIN,
            name=row.findtext(f"{COMMON}name", ""),
            epoch=int(version.get("epoch", "")),
            version=version.get("ver", ""),
            release=version.get("rel", ""),
            arch=row.findtext(f"{COMMON}arch", ""),
            sha256=row.findtext(f"{COMMON}checksum", ""),
            source_rpm=format_.findtext(f"{RPM}sourcerpm", ""),
        )
        about = Installed(
            nevra=package.nevra,
            license=format_.findtext(f"{RPM}license", ""),
            vendor=format_.findtext(f"{RPM}vendor", ""),
            url=row.findtext(f"{COMMON}url", ""),
        )
        yield package, about


def test_a_bill_without_packages_is_of_no_image(real: World) -> None:
    empty: Bill = real.bill(components=())
    assert parse_bill(empty.predicate()).packages != real.manifest.packages
