"""Owns the chain: which stage follows which, and which inputs make each one's key.

lock ── packages ─┬─ initrd ──────────────────────┐
                  └─ policy ── rootfs ── controls ┴─ disk ── manifest ── machine ── evidence
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldpress import progress
from goldpress.controls import Controls, load_controls, refuse_expired
from goldpress.definition import Definition
from goldpress.digest import canonical_json, digest_of, sha256_bytes, sha256_tree
from goldpress.disk.image import DiskImage, build_disk, read_disk
from goldpress.disk.initrd import build_initrd
from goldpress.distribution import Distribution, Signers
from goldpress.host import tools
from goldpress.lock import KIND as LOCK
from goldpress.lock import Lock
from goldpress.manifest import ImageManifest
from goldpress.mirror.roots import IMAGE, PACKAGES
from goldpress.mirror.trust.packages import trusted
from goldpress.progress import Step
from goldpress.rootfs.assemble import assemble
from goldpress.rootfs.code import code_digests
from goldpress.rootfs.install import install
from goldpress.rootfs.policy import ASSERTIONS, compile_policy, plan_modules
from goldpress.rootfs.pools import plan_pools, told
from goldpress.rootfs.product import read_rootfs
from goldpress.stage import Product, Stage
from goldpress.verify.offline import check_tree
from goldpress.verify.promises import promises
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
    controls: Controls

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
    """One image of one distribution, from its lock to its disk.

    `judged` is False for the bare image, which has to fail what the hardened passes, and where only
    bytes are compared.
    """

    workspace: Workspace
    definition: Definition
    distribution: Distribution
    lock: Lock
    signers: Signers
    judged: bool = True

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
        modules = plan_modules(self.definition)
        settings = self.definition.selinux
        stage = self._stage(
            "policy",
            "SELinux policy",
            {
                "packages": packages.key,
                "modules": digest_of({n: sha256_bytes(text) for n, text in modules.items()}),
                "settings": digest_of(settings.model_dump(mode="json")),
                "code": code_digest("rootfs/policy.py", "host/confine.py"),
            },
        )

        def make(directory: Path, _step: Step) -> Mapping[str, Any]:
            known = load_controls(self.definition).remedies([ASSERTIONS])
            return compile_policy(
                packages.directory / "tree",
                modules,
                settings,
                directory,
                what_to_do=known.get(ASSERTIONS, "take the rule out of images/<name>/selinux"),
            )

        return stage.run(make)

    def rootfs(self, packages: Product, policy: Product) -> Product:
        """Packages, policy, overlay, accounts and services, labelled."""
        definition = self.definition
        served = definition.model_dump(mode="json", include={"apps", "pools", "machine"})
        stage = self._stage(
            "rootfs",
            "root filesystem",
            {
                "packages": packages.key,
                "policy": policy.key,
                "files": sha256_tree(definition.files),
                "parameters": digest_of(definition.parameters),
                "pools": digest_of(served),
                "code of applications": digest_of(code_digests(definition)),
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

    def check(self, rootfs: Product, controls: Controls) -> Product:
        """The offline level of the suite, passed: no disk is made of a tree that fails it."""
        suite = self.workspace.suite(self.definition)
        facts = promises(self.definition, self.lock, controls)
        stage = self._stage(
            "controls",
            "check the tree",
            {
                "rootfs": rootfs.key,
                "suite": sha256_tree(suite),
                "promises": digest_of(facts),
                "tools": tools.versions(tools.JUDGES),
                "code": code_digest("verify", "host/confine.py"),
            },
        )

        def make(directory: Path, step: Step) -> Mapping[str, Any]:
            checks = check_tree(
                rootfs.directory, suite=suite, facts=facts, directory=directory, controls=controls
            )
            step.update(f"{len(checks)} checks passed")
            return {"checks": [asdict(check) for check in checks]}

        return stage.run(make)

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
        """Every stage that is not there yet; stores the manifest.

        Raises DocumentError for a waiver that has expired, VerifyError for a control that does
        not hold on the tree.
        """
        refuse_expired(load_controls(self.definition), datetime.now(UTC).date())
        pressed = self.make()
        store = self.workspace.store
        # By the manifest's digest of them: gc keeps the packages of images that are in use.
        store.put_document(PACKAGES, package_rows(self.lock))
        # What a later image differs in from this one is told from both locks.
        store.put_document(LOCK, self.lock.to_document())
        digest = store.put_document("manifest", pressed.manifest.to_document())
        # What is in the ledger is in use: gc keeps its packages until someone forgets it.
        name = f"{self.definition.name}.{self.distribution.id}.{self.definition.arch}"
        store.enter(IMAGE, name, digest)
        return pressed

    def make(self) -> Pressed:
        """The same without writing to the store, for what is no image of its own.

        Raises VerifyError as `press`. It may be made after its waivers have expired.
        """
        controls = load_controls(self.definition)
        for name, sizes in told(plan_pools(self.definition)).items():
            progress.note(f"pool {name}: {sizes}")
        packages = self.packages()
        initrd = self.initrd(packages)
        policy = self.policy(packages)
        rootfs = self.rootfs(packages, policy)
        checked = {"controls": self.check(rootfs, controls)} if self.judged else {}
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
            root_hash=disk.root_hash,
            disk_sha256=disk.sha256,
            disk_bytes=disk.raw.stat().st_size,
            block_root=disk.block_root,
        )
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
                **checked,
                "disk": product,
            },
            controls=controls,
        )


def definition_digest(definition: Definition) -> str:
    """The digest over everything in images/<name> that shapes the image."""
    parts = {
        "definition": sha256_bytes(canonical_json(definition.model_dump(mode="json"))),
        "files": sha256_tree(definition.files),
        "code": digest_of(code_digests(definition)),
        "selinux": sha256_tree(definition.directory / "selinux", definition.selinux_modules),
    }
    return digest_of(parts)
