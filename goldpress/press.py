"""Owns the chain: which stage follows which, and which inputs make each one's key.

lock ── packages ─┬─ initrd ──────────┐
                  └─ policy ── rootfs ┴─ disk ── manifest ── machine + verify ── evidence
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldpress.definition import Definition
from goldpress.digest import canonical_json, digest_of, sha256_bytes, sha256_tree
from goldpress.disk.image import DiskImage, build_disk, read_disk
from goldpress.disk.initrd import build_initrd
from goldpress.distribution import Distribution, Signers
from goldpress.host import tools
from goldpress.lock import Lock
from goldpress.manifest import ImageManifest
from goldpress.mirror.roots import IMAGE, PACKAGES
from goldpress.mirror.trust.packages import trusted
from goldpress.progress import Step
from goldpress.rootfs.assemble import assemble
from goldpress.rootfs.install import install
from goldpress.rootfs.policy import compile_policy
from goldpress.rootfs.product import read_rootfs
from goldpress.stage import Product, Stage
from goldpress.workspace import Workspace

#: What every stage that touches a tree runs through.
TREE_CODE = ("host/trees.py", "host/confine.py")

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Pressed:
    """A pressed image: its disk, its manifest (stored), and what each stage found out."""

    definition: Definition
    distribution: Distribution
    lock: Lock
    disk: DiskImage
    manifest: ImageManifest
    stages: Mapping[str, Product]

    @property
    def digest(self) -> str:
        """The image digest."""
        return self.manifest.digest


def code_digest(*names: str) -> str:
    """The sha256 over modules of this package: code that shapes bytes is an input."""
    files: list[Path] = []
    for name in names:
        path = PACKAGE / name
        files += path.rglob("*.py") if path.is_dir() else [path]
    return sha256_tree(PACKAGE, files)


def packages_digest(lock: Lock) -> str:
    """The digest over what is installed: two locks of other snapshots can share it."""
    return digest_of(package_rows(lock))


def package_rows(lock: Lock) -> list[list[str]]:
    """What is installed: NEVRA and sha256 of each package, in the lock's order."""
    return [[p.nevra, p.sha256] for p in lock.packages]


@dataclass(frozen=True, kw_only=True)
class Press:
    """One image of one distribution, from its lock to its disk."""

    workspace: Workspace
    definition: Definition
    distribution: Distribution
    lock: Lock
    signers: Signers

    def _stage(self, name: str, title: str, inputs: Mapping[str, str]) -> Stage:
        return Stage(
            root=self.workspace.stages,
            name=name,
            scope=f"{self.definition.name}.{self.distribution.id}",
            inputs=inputs,
            title=title,
        )

    def packages(self) -> Product:
        """Exactly the locked packages, checked and installed."""
        stage = self._stage(
            "packages",
            f"install {len(self.lock.packages)} packages",
            {
                "packages": packages_digest(self.lock),
                "epoch": str(self.lock.source_date_epoch),
                "platform": self.lock.platform,
                "tools": tools.versions(tools.INSTALLERS),
                "code": code_digest("rootfs/install.py", *TREE_CODE),
            },
        )

        def make(directory: Path, _step: Step) -> Mapping[str, Any]:
            build = self.workspace.build
            checked = trusted(self.workspace.store, self.lock, self.signers, build / "verdicts")
            return install(checked, directory)

        return stage.run(make)

    def initrd(self, packages: Product) -> Product:
        """The initrd, by the image's own dracut."""
        settings = self.definition.kernel.initrd
        stage = self._stage(
            "initrd",
            "initrd",
            {
                "packages": packages.key,
                "settings": digest_of(settings.model_dump(mode="json")),
                "code": code_digest("disk/initrd.py", "host/confine.py"),
            },
        )
        return stage.run(
            lambda directory, _: build_initrd(
                packages.directory / "tree",
                packages.facts["kernel"],
                settings,
                self.lock.source_date_epoch,
                directory,
            )
        )

    def policy(self, packages: Product) -> Product:
        """The SELinux policy with the image's modules and booleans."""
        modules = self.definition.selinux_modules
        booleans = self.definition.selinux.booleans
        stage = self._stage(
            "policy",
            "SELinux policy",
            {
                "packages": packages.key,
                "modules": sha256_tree(self.definition.directory / "selinux", modules),
                "booleans": digest_of(booleans),
                "code": code_digest("rootfs/policy.py", "host/confine.py"),
            },
        )
        return stage.run(
            lambda directory, _: compile_policy(
                packages.directory / "tree", modules, booleans, directory
            )
        )

    def rootfs(self, packages: Product, policy: Product) -> Product:
        """Packages, policy, overlay, accounts and services, labelled."""
        definition = self.definition
        stage = self._stage(
            "rootfs",
            "root filesystem",
            {
                "packages": packages.key,
                "policy": policy.key,
                "files": sha256_tree(definition.files),
                "parameters": digest_of(definition.parameters),
                "services": digest_of(definition.services.model_dump(mode="json")),
                "image": f"{definition.name} {self.distribution.id}",
                "tools": tools.versions(tools.LABELLERS),
                "code": code_digest("rootfs", *TREE_CODE),
            },
        )
        return stage.run(
            lambda directory, _: assemble(
                packages.directory, policy.directory, definition, self.lock, directory
            )
        )

    def disk(self, rootfs: Product, initrd: Product) -> Product:
        """The bootable disk."""
        definition = self.definition
        stage = self._stage(
            "disk",
            "disk",
            {
                "rootfs": rootfs.key,
                "initrd": initrd.key,
                "command line": digest_of(list(definition.kernel.command_line)),
                "sizes": digest_of(definition.disk.model_dump(mode="json")),
                "tools": tools.versions(tools.DISK_MAKERS),
                "code": code_digest("disk", *TREE_CODE),
            },
        )
        return stage.run(
            lambda directory, step: build_disk(
                read_rootfs(rootfs.directory, rootfs.facts),
                initrd.directory,
                definition=definition,
                lock=self.lock,
                directory=directory,
                step=step,
            )
        )

    def press(self) -> Pressed:
        """Every stage that is not there yet; stores the manifest."""
        packages = self.packages()
        initrd = self.initrd(packages)
        policy = self.policy(packages)
        rootfs = self.rootfs(packages, policy)
        product = self.disk(rootfs, initrd)
        disk = read_disk(product.directory, product.facts)
        manifest = ImageManifest(
            name=self.definition.name,
            distribution=self.distribution.id,
            stand_in=self.lock.stand_in,
            arch=self.definition.arch,
            packages=packages_digest(self.lock),
            definition=definition_digest(self.definition),
            command_line=disk.command_line,
            root_uuid=disk.root_uuid,
            disk_sha256=disk.sha256,
            disk_bytes=disk.raw.stat().st_size,
            block_root=disk.block_root,
        )
        # By the manifest's digest of them: gc keeps the packages of images that are in use.
        self.workspace.store.put_document(PACKAGES, package_rows(self.lock))
        digest = self.workspace.store.put_document("manifest", manifest.to_document())
        # What is in the ledger is in use: gc keeps its packages until someone forgets it.
        name = f"{self.definition.name}.{self.distribution.id}.{self.definition.arch}"
        self.workspace.store.enter(IMAGE, name, digest)
        return Pressed(
            definition=self.definition,
            distribution=self.distribution,
            lock=self.lock,
            disk=disk,
            manifest=manifest,
            stages={
                "packages": packages,
                "initrd": initrd,
                "policy": policy,
                "rootfs": rootfs,
                "disk": product,
            },
        )


def definition_digest(definition: Definition) -> str:
    """The digest over everything in images/<name> that shapes the image."""
    parts = {
        "definition": sha256_bytes(canonical_json(definition.model_dump(mode="json"))),
        "files": sha256_tree(definition.files),
        "selinux": sha256_tree(definition.directory / "selinux", definition.selinux_modules),
    }
    return digest_of(parts)
