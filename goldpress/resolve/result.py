"""Owns turning a resolution into a lock, once its packages are here and their signers known."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from goldpress.errors import TrustError
from goldpress.lock import Lock, LockedPackage
from goldpress.resolve.request import Resolution


def make_lock(resolution: Resolution, signers: Mapping[str, str]) -> Lock:
    """The lock of a resolution; `signers` are fingerprints by sha256, from `check_packages`.

    Raises TrustError when a package has no signer.
    """
    first = resolution.snapshots[0]
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
        distribution=first.distribution,
        stand_in=first.stand_in,
        arch=first.arch,
        platform=first.platform,
        snapshots={snapshot.distribution: snapshot.digest for snapshot in resolution.snapshots},
        request=resolution.request,
        resolver=f"libsolv (solv {version('solv')})",
        source_date_epoch=max(row.package.build_time for row in resolution.chosen),
        modules=dict(resolution.request["modules"]),
        packages=tuple(packages),
    )
