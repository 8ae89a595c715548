"""Owns the bill of materials: every package of an image (CycloneDX 1.6, a predicate).

The lock says which packages these are and the sha256 of each RPM; the image's own package database
adds licence, vendor and home page. The same image has the same bill, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from goldpress.digest import canonical_json, content_uuid, digest_of
from goldpress.errors import BuildError, DocumentError
from goldpress.lock import Lock, LockedPackage
from goldpress.manifest import ImageManifest
from goldpress.statements.rpmdb import Installed
from goldpress.statements.statement import MALFORMED

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
#: What package URLs call those who make packages; others by their own name, in small letters.
VENDORS = {"CentOS": "centos", "Fedora Project": "fedora", "AlmaLinux": "almalinux"}
OWN = "goldpress:"
#: Not quoted in a package URL; a ``+`` is: some read it as a space.
UNQUOTED = ".-_~"
_WEBSITE = re.compile(r"(?:https?|ftp)://(?:%[0-9A-Fa-f]{2}|[^\s%<>\"{}|\\^`\x00-\x1f\x7f])+")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One package: NEVRA and sha256 of its RPM as the lock has them, and what it says of itself."""

    name: str
    evr: str
    arch: str
    sha256: str
    repository: str
    source_rpm: str
    signer: str
    license: str
    vendor: str
    url: str

    @property
    def nevra(self) -> str:
        """``name-epoch:version-release.arch``."""
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def version(self) -> str:
        """``version-release``, after ``epoch:`` when that is not 0."""
        return self.evr.removeprefix("0:")


@dataclass(frozen=True, kw_only=True)
class Bill:
    """The bill of an image; `epoch` is the lock's SOURCE_DATE_EPOCH, in seconds."""

    image: str
    name: str
    distribution: str
    stand_in: bool
    arch: str
    disk_sha256: str
    epoch: int
    components: tuple[Component, ...]

    @property
    def packages(self) -> str:
        """The digest over the packages that the manifest of an image with them has."""
        return digest_of([[row.nevra, row.sha256] for row in self.components])

    def predicate(self) -> dict[str, Any]:
        """As CycloneDX writes it."""
        moment = datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {
            "arch": self.arch,
            "distribution": self.distribution,
            "stand_in": "true" if self.stand_in else "false",
        }
        return {
            "$schema": SCHEMA,
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{content_uuid(self.image.removeprefix('sha256:'))}",
            "version": 1,
            "metadata": {
                "timestamp": moment,
                "tools": {"components": [{"type": "application", "name": "goldpress"}]},
                "component": {
                    "type": "operating-system",
                    "bom-ref": self.image,
                    "name": self.name,
                    "version": self.image,
                    "hashes": [{"alg": "SHA-256", "content": self.disk_sha256}],
                    "properties": _properties(facts),
                },
            },
            "components": [self._component(row) for row in self.components],
        }

    def _component(self, row: Component) -> dict[str, Any]:
        facts = {
            "repository": row.repository,
            "signer": row.signer,
            "source_rpm": row.source_rpm,
        }
        value: dict[str, Any] = {
            "type": "library",
            "bom-ref": row.nevra,
            "name": row.name,
            "version": row.version,
            "purl": self.purl(row),
            "hashes": [{"alg": "SHA-256", "content": row.sha256}],
            "properties": _properties(facts),
        }
        if row.license:
            value["licenses"] = [{"license": {"name": row.license}}]
        if row.vendor:
            value["publisher"] = row.vendor
        if row.url:
            value["externalReferences"] = [{"type": "website", "url": row.url}]
        return value

    def purl(self, row: Component) -> str:
        """The package URL. Of a stand-in it never says that it is the real one's package."""
        maker = self.distribution if self.stand_in else maker_of(row.vendor, self.distribution)
        epoch, _, rest = row.evr.partition(":")
        facts = {"arch": row.arch, "distro": self.distribution, "upstream": row.source_rpm}
        if epoch != "0":
            facts["epoch"] = epoch
        asked = "&".join(f"{key}={_quoted(value)}" for key, value in sorted(facts.items()))
        return f"pkg:rpm/{_quoted(maker)}/{_quoted(row.name)}@{_quoted(rest)}?{asked}"


def maker_of(vendor: str, distribution: str) -> str:
    """What package URLs call a vendor; the distribution's first word for none."""
    if not vendor:
        return distribution.partition("-")[0]
    return VENDORS.get(vendor) or re.sub(r"[^a-z0-9.]+", "-", vendor.lower()).strip("-")


def website(url: str) -> str:
    """The address itself, or nothing for what no browser takes: packages carry typing errors."""
    return url if _WEBSITE.fullmatch(url) else ""


def bill_of(manifest: ImageManifest, lock: Lock, installed: Mapping[str, Installed]) -> Bill:
    """The bill of an image from its lock and its package database.

    Raises BuildError when the two do not have the same packages, or the lock is another image's.
    """
    wanted = {package.nevra for package in lock.packages}
    if wanted != set(installed):
        missing, extra = sorted(wanted - set(installed)), sorted(set(installed) - wanted)
        raise BuildError(
            f"the image's package database is not its lock: missing {missing[:5]}, "
            f"extra {extra[:5]}"
        )
    made = Bill(
        image=manifest.digest,
        name=manifest.name,
        distribution=manifest.distribution,
        stand_in=manifest.stand_in,
        arch=manifest.arch,
        disk_sha256=manifest.disk_sha256,
        epoch=lock.source_date_epoch,
        components=tuple(_component(row, installed[row.nevra]) for row in lock.packages),
    )
    if made.packages != manifest.packages:
        raise BuildError(f"the lock {lock.digest} is not that of the image {manifest.digest}")
    return made


def parse_bill(value: Mapping[str, Any]) -> Bill:
    """The inverse of `predicate`. Raises DocumentError for anything else."""
    try:
        made = _read(value)
        same = canonical_json(made.predicate()) == canonical_json(dict(value))
    except MALFORMED as error:
        raise DocumentError(f"SBOM: {error!r:.100}") from None
    if not same:
        raise DocumentError("SBOM: has more or other parts than goldpress writes")
    return made


def faults(found: Bill, manifest: ImageManifest) -> Iterator[str]:
    """What contradicts the image's manifest."""
    if found.image != manifest.digest:
        yield f"it is of another image, {found.image}"
    for name in ("name", "distribution", "stand_in", "arch", "disk_sha256"):
        if getattr(found, name) != getattr(manifest, name):
            yield f"its {name} is not the manifest's"
    if found.packages != manifest.packages:
        yield "its packages are not those of the manifest"


def _component(package: LockedPackage, about: Installed) -> Component:
    return Component(
        name=package.name,
        evr=package.evr,
        arch=package.arch,
        sha256=package.sha256,
        repository=package.repository,
        source_rpm=package.source_rpm,
        signer=package.signer,
        license=about.license,
        vendor=about.vendor,
        url=website(about.url),
    )


def _read(value: Mapping[str, Any]) -> Bill:
    metadata = value["metadata"]
    about = metadata["component"]
    facts = _facts(about)
    moment = datetime.strptime(metadata["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Bill(
        image=about["version"],
        name=about["name"],
        distribution=facts["distribution"],
        stand_in=facts["stand_in"] == "true",
        arch=facts["arch"],
        disk_sha256=about["hashes"][0]["content"],
        epoch=int(moment.timestamp()),
        components=tuple(_read_component(row) for row in value["components"]),
    )


def _read_component(row: Mapping[str, Any]) -> Component:
    facts = _facts(row)
    evr, _, arch = row["bom-ref"].removeprefix(f"{row['name']}-").rpartition(".")
    return Component(
        name=row["name"],
        evr=evr,
        arch=arch,
        sha256=row["hashes"][0]["content"],
        license=row["licenses"][0]["license"]["name"] if "licenses" in row else "",
        vendor=row.get("publisher", ""),
        url=row["externalReferences"][0]["url"] if "externalReferences" in row else "",
        **facts,
    )


def _properties(facts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"{OWN}{name}", "value": value} for name, value in sorted(facts.items())]


def _facts(value: Mapping[str, Any]) -> dict[str, str]:
    return {row["name"].removeprefix(OWN): row["value"] for row in value["properties"]}


def _quoted(text: str) -> str:
    return quote(text, safe=UNQUOTED)
