"""Owns turning a resolution into a lock, once its packages are here and their signers known."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from goldpress.digest import canonical_json, sha256_bytes
from goldpress.errors import TrustError
from goldpress.lock import Lock, LockedPackage
from goldpress.resolve.request import Resolution


def request_sha256(request: Mapping[str, object]) -> str:
    """The sha256 of `Definition.request()` by which a lock knows what it was made for."""
    return sha256_bytes(canonical_json(request))


def make_lock(resolution: Resolution, signers: Mapping[str, str]) -> Lock:
    """The lock of a resolution; `signers` are fingerprints by sha256, from `check_packages`.

    Raises TrustError when a package has no signer.
    """
    snapshot = resolution.snapshot
    packages = []
    for row in resolution.chosen:
        package = row.package
        if package.sha256 not in signers:
            raise TrustError(f"{package.nevra}: its signature was not checked")
        packages.append(
            LockedPackage(
                name=package.name,
                epoch=package.epoch,
                version=package.version,
                release=package.release,
                arch=package.arch,
                sha256=package.sha256,
                size=package.size,
                repository=package.repository,
                source_rpm=package.source_rpm,
                signer=signers[package.sha256],
                why=row.why,
            )
        )
    return Lock(
        distribution=snapshot.distribution,
        stand_in=snapshot.stand_in,
        arch=snapshot.arch,
        platform=snapshot.platform,
        snapshot=snapshot.digest,
        request_sha256=request_sha256(resolution.request),
        resolver=f"libsolv (solv {version('solv')})",
        source_date_epoch=max(row.package.build_time for row in resolution.chosen),
        modules=dict(resolution.request["modules"]),
        packages=tuple(packages),
    )
