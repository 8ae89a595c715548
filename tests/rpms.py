"""Owns the RPMs of tests: small ones made by rpmbuild, signed with throw-away keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from goldpress.digest import sha256_file
from goldpress.distribution import Distribution, Signers
from goldpress.document import parse
from goldpress.host.run import run
from goldpress.store import Store

SPEC = """
Name: {name}
Epoch: {epoch}
Version: {version}
Release: {release}
Summary: A package of a test
License: MIT
{arch}
{tags}
%description
It has one file.
%install
mkdir -p %{{buildroot}}/usr/share
echo {name} {version} > %{{buildroot}}/usr/share/{name}
{files}
%files
/usr/share/{name}
{more}
{changelog}
"""
SUBPACKAGE = """
%package -n {name}
Summary: A package of a test
{tags}
%description -n {name}
It has one file.
%files -n {name}
/usr/share/{name}
"""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A throw-away key: where its secret half lives, its fingerprint, its public file."""

    home: Path
    fingerprint: str
    public: Path

    @property
    def signers(self) -> Signers:
        return Signers(fingerprints=(self.fingerprint,), key_files=(self.public,))

    def sign(self, path: Path) -> None:
        define = [f"_gpg_name {self.fingerprint}", f"_gpg_path {self.home}", "__gpg /usr/bin/gpg"]
        argv = ["rpmsign", *(a for d in define for a in ("--define", d)), "--addsign", str(path)]
        run(argv, env={"GNUPGHOME": str(self.home)}, timeout=60)


def make_key(directory: Path, name: str) -> SigningKey:
    home = directory / f"{name}.home"
    home.mkdir(mode=0o700, parents=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--no-options"]
    secret = ["--pinentry-mode", "loopback", "--passphrase", ""]
    new = ["--quick-generate-key", f"{name} <{name}@example.org>", "rsa2048", "sign", "never"]
    run([*gpg, *secret, *new], timeout=60)
    listing = run([*gpg, "--with-colons", "--list-keys"], timeout=60).text
    fingerprint = next(
        line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")
    )
    public = directory / f"{name}.asc"
    public.write_bytes(run([*gpg, "--armor", "--export"], timeout=60).stdout)
    return SigningKey(home=home, fingerprint=fingerprint, public=public)


Tags = Mapping[str, str]


def make_rpms(
    directory: Path,
    packages: Mapping[str, Tags],
    *,
    version: str = "1.0",
    epoch: int = 0,
    arch: str = "noarch",
    release: str = "1.el9",
    changelog: str = "",
) -> list[Path]:
    """Unsigned RPMs of one build; by name, the tags are lines of the spec: ``Requires``...

    `changelog` are entries as in a spec, the newest first.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (name, tags), *others = packages.items()
    spec = directory / f"{name}-{version}.spec"
    spec.write_text(
        SPEC.format(
            name=name,
            version=version,
            epoch=epoch,
            release=release,
            changelog=f"%changelog\n{changelog}" if changelog else "",
            arch="BuildArch: noarch" if arch == "noarch" else "",
            tags=_lines(tags),
            files="\n".join(f"echo {n} > %{{buildroot}}/usr/share/{n}" for n, _ in others),
            more="".join(SUBPACKAGE.format(name=n, tags=_lines(t)) for n, t in others),
        )
    )
    top = directory / f"top-{name}-{version}"
    argv = ["rpmbuild", "-bb", "--target", arch, "--define", f"_topdir {top}", str(spec)]
    run(argv, env={"SOURCE_DATE_EPOCH": "1700000000"}, timeout=60)
    return [
        Path(shutil.move(built, directory / built.name))
        for built in sorted((top / "RPMS").glob("*/*.rpm"))
    ]


def _lines(tags: Tags) -> str:
    return "\n".join(f"{tag}: {value}" for tag, value in tags.items())


def make_rpm(
    directory: Path,
    name: str,
    *,
    version: str = "1.0",
    epoch: int = 0,
    release: str = "1.el9",
    changelog: str = "",
    **tags: str,
) -> Path:
    """One unsigned RPM; `tags` are lines of its spec, such as ``Requires="libc"``."""
    (made,) = make_rpms(
        directory,
        {name: tags},
        version=version,
        epoch=epoch,
        release=release,
        changelog=changelog,
    )
    return made


@dataclass(frozen=True, kw_only=True)
class Rpms:
    """One of each kind, made once a session and never changed."""

    key: SigningKey
    other_key: SigningKey
    good: Path
    needed: Path
    source: Path
    unsigned: Path
    other: Path


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rpms]:
    """`good` requires `needed`, which `source` is the source of; all three are signed.

    `unsigned` has no signature; `other` is signed by another key.
    """
    directory = tmp_path_factory.mktemp("rpms")
    # A short path: gpg's agent listens on a socket in its home.
    key, other_key = make_key(directory, "k"), make_key(directory, "o")
    good = make_rpm(directory, "good", epoch=2, Requires="needed >= 1")
    needed = make_rpm(directory, "needed", version="1.5")
    spec = directory / "needed-1.5.spec"
    run(["rpmbuild", "-bs", "--define", f"_topdir {directory / 'source'}", str(spec)], timeout=60)
    (source,) = (directory / "source" / "SRPMS").iterdir()
    key.sign(source)
    unsigned = make_rpm(directory, "unsigned")
    other = make_rpm(directory, "other")
    key.sign(good)
    key.sign(needed)
    other_key.sign(other)
    yield Rpms(
        key=key,
        other_key=other_key,
        good=good,
        needed=needed,
        source=source,
        unsigned=unsigned,
        other=other,
    )
    for home in (key.home, other_key.home):
        run(["gpgconf", "--homedir", str(home), "--kill", "all"], timeout=60)


def make_repository(directory: Path, *packages: Path, options: tuple[str, ...] = ()) -> Path:
    """A repository with copies of these packages, its metadata by createrepo_c."""
    (directory / "Packages").mkdir(parents=True, exist_ok=True)
    for package in packages:
        shutil.copyfile(package, directory / "Packages" / package.name)
    run(["createrepo_c", "-q", "--no-database", *options, str(directory)], timeout=60)
    return directory


@dataclass(frozen=True, kw_only=True)
class ExpectedPackage:
    """What `check_packages` is told about a file."""

    sha256: str
    size: int
    nevra: str
    source_rpm: str
    repository: str = "base"


def pooled(store: Store, path: Path, nevra: str, source_rpm: str) -> ExpectedPackage:
    """Put a file into the pool as it is, and expect exactly it."""
    sha256 = sha256_file(path)
    target = store.package_path(sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    size = path.stat().st_size
    return ExpectedPackage(sha256=sha256, size=size, nevra=nevra, source_rpm=source_rpm)


def distribution(*ids: str, **changes: object) -> Distribution:
    """A distribution with these repositories at a place that no test asks."""
    value: dict[str, object] = {
        "id": "test-9",
        "name": "Test 9",
        "platform": "el9",
        "arches": {
            "x86_64": {
                "repositories": [{"id": i, "baseurl": f"https://example.org/{i}/"} for i in ids]
            }
        },
        "keys": [{"fingerprint": "A" * 40, "url": "https://example.org/key"}],
    }
    return parse(Distribution, {**value, **changes}, name="test-9.yaml")
