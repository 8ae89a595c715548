from __future__ import annotations

import json
import shutil
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from emulated import Emulator
from rpms import ExpectedPackage, Rpms, pooled

from goldpress.digest import sha256_file
from goldpress.distribution import Signers
from goldpress.errors import MissingError, TrustError
from goldpress.host.run import Completed
from goldpress.lock import Lock, LockedPackage
from goldpress.mirror.transfer.partial import incoming_path
from goldpress.mirror.trust import packages as trust
from goldpress.mirror.trust.keys import PublicKey
from goldpress.mirror.trust.packages import (
    Expected,
    accept_packages,
    check_packages,
    judged,
    trusted,
)
from goldpress.mirror.trust.rpmfile import OPENPGP
from goldpress.mirror.trust.rpmkeys import checksig_argv, look, signers_in
from goldpress.store import Store

GOOD = ("good-2:1.0-1.el9.noarch", "good-1.0-1.el9.src.rpm")
NEEDED = ("needed-0:1.5-1.el9.noarch", "needed-1.5-1.el9.src.rpm")
UNSIGNED = ("unsigned-0:1.0-1.el9.noarch", "unsigned-1.0-1.el9.src.rpm")
RSA, RESERVED_SPACE = 268, 1008
OTHER = ("other-0:1.0-1.el9.noarch", "other-1.0-1.el9.src.rpm")


@dataclass(frozen=True)
class Place:
    """A store, a cache, and who may sign."""

    store: Store
    cache: Path
    signers: Signers

    def check(self, *packages: ExpectedPackage) -> dict[str, str]:
        return check_packages(self.store, packages, self.signers, self.cache)

    def accept(self, *packages: ExpectedPackage) -> None:
        accept_packages(self.store, packages, self.signers, self.cache)

    def refusal(self, *packages: ExpectedPackage) -> str:
        with pytest.raises(TrustError) as caught:
            self.check(*packages)
        return str(caught.value)


@pytest.fixture
def place(tmp_path: Path, rpms: Rpms) -> Place:
    return Place(Store(root=tmp_path / "store"), tmp_path / "cache", rpms.key.signers)


@pytest.fixture
def good(place: Place, rpms: Rpms) -> ExpectedPackage:
    return pooled(place.store, rpms.good, *GOOD)


@pytest.fixture
def needed(place: Place, rpms: Rpms) -> ExpectedPackage:
    return pooled(place.store, rpms.needed, *NEEDED)


def spoiled(tmp_path: Path, path: Path, data: bytes) -> Path:
    target = tmp_path / path.name
    target.write_bytes(data)
    return target


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def lock_of(rpms: Rpms, *packages: ExpectedPackage) -> Lock:
    rows = []
    for package in packages:
        name, _, rest = package.nevra.rpartition("-")
        name, _, epoch_version = name.rpartition("-")
        epoch, _, version = epoch_version.partition(":")
        release, _, arch = rest.rpartition(".")
        rows.append(
            LockedPackage(
                name=name,
                epoch=int(epoch),
                version=version,
                release=release,
                arch=arch,
                sha256=package.sha256,
                size=package.size,
                repository="base",
                source_rpm=package.source_rpm,
                signer=rpms.key.fingerprint,
                why=("asked for",),
            )
        )
    return Lock(
        distribution="test-9",
        stand_in=False,
        arch="x86_64",
        platform="el9",
        snapshots={"test-9": f"sha256:{'0' * 64}"},
        request={},
        resolver="none",
        source_date_epoch=1700000000,
        modules={},
        packages=tuple(rows),
    )


def test_good_packages_have_a_signer(
    place: Place, rpms: Rpms, good: ExpectedPackage, needed: ExpectedPackage
) -> None:
    assert place.check(good, needed) == {
        good.sha256: rpms.key.fingerprint,
        needed.sha256: rpms.key.fingerprint,
    }


def test_a_lock_becomes_trusted_packages_in_its_order(
    place: Place, rpms: Rpms, good: ExpectedPackage, needed: ExpectedPackage
) -> None:
    lock = lock_of(rpms, needed, good)
    found = trusted(place.store, lock, place.signers, place.cache)
    assert found.lock == lock
    assert found.paths == tuple(place.store.package_path(p.sha256) for p in (good, needed))


def test_a_second_look_only_hashes(
    place: Place,
    good: ExpectedPackage,
    needed: ExpectedPackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = place.check(good)

    def never(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(trust, "look", never)
    assert place.check(good) == first
    with pytest.raises(AssertionError, match="looked again"):
        place.check(good, needed)


def test_a_second_look_still_hashes(place: Place, good: ExpectedPackage) -> None:
    place.check(good)
    path = place.store.package_path(good.sha256)
    path.write_bytes(flipped(path.read_bytes(), -1))
    said = place.refusal(good)
    assert said.startswith("good-2:1.0-1.el9.noarch: sha256 is ")
    assert said.endswith(f", expected {good.sha256}\n  delete {path} and run `./inv mirror.sync`")


def test_a_second_look_still_compares_names(place: Place, good: ExpectedPackage) -> None:
    place.check(good)
    said = place.refusal(replace(good, nevra="good-0:9.9-1.el9.noarch"))
    assert "good-0:9.9-1.el9.noarch: the file is really good-2:1.0-1.el9.noarch" in said


def test_another_set_of_keys_looks_anew(place: Place, rpms: Rpms, good: ExpectedPackage) -> None:
    place.check(good)
    said = replace(place, signers=rpms.other_key.signers).refusal(good)
    assert "good-2:1.0-1.el9.noarch: signed by a key with the id" in said


def test_a_record_that_cannot_be_read_is_made_anew(
    place: Place, rpms: Rpms, good: ExpectedPackage
) -> None:
    place.check(good)
    (record,) = place.cache.glob("*/verdicts.json")
    record.write_text('{"x": [')
    assert place.check(good) == {good.sha256: rpms.key.fingerprint}
    assert list(json.loads(record.read_bytes())) == [good.sha256]


def test_an_unsigned_package_is_refused(place: Place, rpms: Rpms, good: ExpectedPackage) -> None:
    unsigned = pooled(place.store, rpms.unsigned, *UNSIGNED)
    assert place.refusal(good, unsigned) == (
        "unsigned-0:1.0-1.el9.noarch: not signed; expected a signature by "
        f"{rpms.key.fingerprint}\n  the repository offers what its distributor did not sign: "
        "do not build from it"
    )


def test_a_package_signed_by_another_key_is_refused(place: Place, rpms: Rpms) -> None:
    other = pooled(place.store, rpms.other, *OTHER)
    key_id = rpms.other_key.fingerprint[-8:].lower()
    assert place.refusal(other) == (
        f"other-0:1.0-1.el9.noarch: signed by a key with the id {key_id}; expected "
        f"{rpms.key.fingerprint}\n  if the distributor changed keys, name the new one in "
        "`rpm-mirror/`"
    )


# The first 4.9 kB are mostly space that rpm reserves in the signature header; no signature covers
# it and nothing reads it. The lock's sha256 covers it.
@pytest.mark.parametrize("position", [-1, -40, 5000, 5400])
def test_a_flipped_byte_is_refused_even_where_metadata_agrees(
    place: Place, rpms: Rpms, tmp_path: Path, position: int
) -> None:
    data = flipped(rpms.good.read_bytes(), position)
    bad = pooled(place.store, spoiled(tmp_path, rpms.good, data), *GOOD)
    said = place.refusal(bad)
    assert said.startswith("good-2:1.0-1.el9.noarch: damaged: ")
    assert said.endswith("\n  delete the file in the pool and run `./inv mirror.sync`")


@pytest.mark.parametrize("size", [0, 50, 200, 2000, -1])
def test_a_truncated_file_is_refused_even_where_metadata_agrees(
    place: Place, rpms: Rpms, tmp_path: Path, size: int
) -> None:
    bad = pooled(place.store, spoiled(tmp_path, rpms.good, rpms.good.read_bytes()[:size]), *GOOD)
    assert place.refusal(bad).startswith("good-2:1.0-1.el9.noarch: damaged")


def test_a_truncated_file_is_told_by_its_size(place: Place, good: ExpectedPackage) -> None:
    path = place.store.package_path(good.sha256)
    path.write_bytes(path.read_bytes()[:-1])
    said = place.refusal(good)
    assert f"good-2:1.0-1.el9.noarch: {good.size - 1} bytes, expected {good.size}" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"nevra": "evil-2:1.0-1.el9.noarch"},
            "evil-2:1.0-1.el9.noarch: the file is really good-2:1.0-1.el9.noarch",
        ),
        (
            {"nevra": "good-0:1.0-1.el9.noarch"},
            "good-0:1.0-1.el9.noarch: the file is really good-2:1.0-1.el9.noarch",
        ),
        (
            {"nevra": "good-2:1.0-1.el9.x86_64"},
            "good-2:1.0-1.el9.x86_64: the file is really good-2:1.0-1.el9.noarch",
        ),
        (
            {"source_rpm": "other-1.0-1.el9.src.rpm"},
            "good-2:1.0-1.el9.noarch: built from good-1.0-1.el9.src.rpm, expected other-1.0",
        ),
    ],
)
def test_a_header_that_says_something_else_is_refused(
    place: Place, good: ExpectedPackage, change: dict[str, str], message: str
) -> None:
    said = place.refusal(replace(good, **change))  # type: ignore[arg-type]
    assert said.startswith(message)
    assert said.endswith("\n  the repository's metadata is wrong or forged: do not build from it")


def test_packages_that_are_not_in_the_pool_are_missing(
    place: Place, good: ExpectedPackage, needed: ExpectedPackage
) -> None:
    for package in (good, needed):
        place.store.package_path(package.sha256).unlink()
    with pytest.raises(MissingError) as caught:
        place.check(good, needed)
    assert str(caught.value) == (
        "good-2:1.0-1.el9.noarch and 1 more: not in the pool\n  run `./inv mirror.sync`"
    )


def test_a_key_signs_only_for_its_repositories(place: Place, rpms: Rpms) -> None:
    both = Signers(
        fingerprints=(rpms.key.fingerprint, rpms.other_key.fingerprint),
        key_files=(rpms.key.public, rpms.other_key.public),
        repositories={
            rpms.key.fingerprint: ("base",),
            rpms.other_key.fingerprint: ("extra",),
        },
    )
    place = replace(place, signers=both)
    good = pooled(place.store, rpms.good, *GOOD)
    other = pooled(place.store, rpms.other, *OTHER)
    assert place.check(good, replace(other, repository="extra")) == {
        good.sha256: rpms.key.fingerprint,
        other.sha256: rpms.other_key.fingerprint,
    }
    # Both verdicts are on record now; who may sign is asked each time.
    assert place.refusal(good, other) == (
        f"other-0:1.0-1.el9.noarch: signed by {rpms.other_key.fingerprint}, which may not sign "
        f"for the repository base\n  allowed by `rpm-mirror/`: {rpms.key.fingerprint}"
    )
    assert place.refusal(replace(good, repository="crb")).endswith(
        "allowed by `rpm-mirror/`: nobody"
    )


def with_tag(data: bytes, old: int, new: int) -> bytes:
    """The RPM with a tag of its signature header called something else."""
    (tags,) = struct.unpack(">I", data[104:108])
    for place in range(112, 112 + 16 * tags, 16):
        if struct.unpack(">I", data[place : place + 4]) == (old,):
            return data[:place] + struct.pack(">I", new) + data[place + 4 :]
    raise AssertionError(f"no tag {old}")


def test_a_signature_of_a_newer_kind_alone_is_refused(
    place: Place, rpms: Rpms, tmp_path: Path
) -> None:
    data = with_tag(rpms.good.read_bytes(), RSA, OPENPGP)
    newer = pooled(place.store, spoiled(tmp_path, rpms.good, data), *GOOD)
    assert place.refusal(newer) == (
        "good-2:1.0-1.el9.noarch: signed only in a format that this host's rpm cannot judge "
        "(rpm 6's)\n  nothing passes unjudged: lock an older package, or use a host with rpm 6"
    )


def test_a_signature_of_a_newer_kind_counts_for_nothing_beside_a_judged_one(
    place: Place, rpms: Rpms, tmp_path: Path
) -> None:
    data = with_tag(rpms.good.read_bytes(), RESERVED_SPACE, OPENPGP)
    both = pooled(place.store, spoiled(tmp_path, rpms.good, data), *GOOD)
    assert place.check(both) == {both.sha256: rpms.key.fingerprint}
    unsigned = with_tag(rpms.unsigned.read_bytes(), RESERVED_SPACE, OPENPGP)
    alone = pooled(place.store, spoiled(tmp_path, rpms.unsigned, unsigned), *UNSIGNED)
    assert "signed only in a format that this host's rpm cannot judge" in place.refusal(alone)


def test_another_signer_than_the_locked_one_is_refused(
    place: Place, rpms: Rpms, good: ExpectedPackage
) -> None:
    lock = lock_of(rpms, good)
    lock = replace(lock, packages=(replace(lock.packages[0], signer="F" * 40),))
    with pytest.raises(TrustError) as caught:
        trusted(place.store, lock, place.signers, place.cache)
    assert (
        f"good-2:1.0-1.el9.noarch: signed by {rpms.key.fingerprint}, expected {'F' * 40} as locked"
        in str(caught.value)
    )


def test_nothing_is_recorded_of_a_bad_package_and_the_good_ones_of_its_batch_are(
    place: Place, rpms: Rpms, good: ExpectedPackage
) -> None:
    unsigned = pooled(place.store, rpms.unsigned, *UNSIGNED)
    place.refusal(good, unsigned)
    (record,) = place.cache.glob("*/verdicts.json")
    assert list(json.loads(record.read_bytes())) == [good.sha256]


def test_many_packages_go_in_batches(
    place: Place,
    good: ExpectedPackage,
    needed: ExpectedPackage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "BATCH", 1)
    assert len(place.check(good, needed)) == 2
    assert sorted(p.name for p in place.cache.glob("*/*")) == ["rpmdb", "verdicts.json"]


def test_unsigned_would_pass_without_the_level() -> None:
    argv = checksig_argv(Path("/db"), [Path("/a.rpm")])
    assert argv[argv.index("--define") + 1] == "_pkgverify_level all"


V6 = (
    "a-0:1-1.noarch: rpm says 'Header V6 ML-DSA-65+Ed25519/SHA512 Signature, key ID 8483c65d: OK' "
    "of its signature, which cannot be judged"
)
KEY = PublicKey(fingerprint="C" * 32 + "8483C65D", signing=("C" * 32 + "8483C65D",))
FILE = Path("/pool/a.rpm")
SEEN = """\
/pool/a.rpm:
    Header V3 RSA/SHA256 Signature, key ID 8483c65d: OK
    Header SHA256 digest: OK
    Header SHA1 digest: OK
    Payload SHA256 digest: OK
    V3 RSA/SHA256 Signature, key ID 8483c65d: OK
    MD5 digest: OK
"""


def signer(text: str, *keys: PublicKey, returncode: int = 0) -> str:
    done = Completed(argv=("rpmkeys",), returncode=returncode, stdout=text.encode(), stderr=b"E")
    return signers_in(done, {FILE: "a-0:1-1.noarch"}, keys or (KEY,))[FILE]


def test_signatures_of_version_3_as_centos_has_them_are_read() -> None:
    assert signer(SEEN) == KEY.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SEEN.replace("ID 8483c65d: OK", "ID 8483c65d: BAD", 1), "a-0:1-1.noarch: damaged: Header"),
        (SEEN.replace("ID 8483c65d: OK", "ID 8483c65d: NOTTRUSTED"), "damaged: Header V3 RSA"),
        (SEEN.replace("8483c65d", "deadbeef"), "0 allowed keys have the id deadbeef, expected one"),
        (SEEN.replace("    Payload SHA256 digest: OK\n", ""), "a digest of the header or the payl"),
        (SEEN.replace("    Header SHA256 digest: OK\n", ""), "a digest of the header or the payl"),
        (SEEN.replace("MD5 digest: OK", "MD5 digest: BAD"), "damaged: MD5 digest: BAD"),
        ("/pool/a.rpm:\n", "a-0:1-1.noarch: damaged: E; expected a whole RPM file"),
        ("", "a-0:1-1.noarch: damaged: E; expected a whole RPM file"),
        (SEEN.replace("Signature, key", "Seal, key"), "a-0:1-1.noarch: not signed"),
        (SEEN.replace("Header V3 RSA/SHA256", "Header V6 ML-DSA-65+Ed25519/SHA512"), V6),
        (
            SEEN.replace("MD5 digest: OK", "V6 RSA/SHA256 Signature, key ID 8483c65d: OK"),
            "rpm says",
        ),
        (
            SEEN.replace("MD5 digest: OK", "Header OpenPGP signature: OK"),
            "rpm says 'Header OpenPGP",
        ),
    ],
)
def test_anything_else_that_rpm_says_is_a_refusal(text: str, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        signer(text)
    assert message in str(caught.value)


def test_rpm_has_the_last_word() -> None:
    with pytest.raises(TrustError, match="packages were refused: rpmkeys: exit status 1"):
        signer(SEEN, returncode=1)


def test_two_allowed_keys_with_one_id_decide_nothing() -> None:
    other = PublicKey(fingerprint="D" * 32 + "8483C65D", signing=("D" * 32 + "8483C65D",))
    with pytest.raises(TrustError, match="2 allowed keys have the id 8483c65d, expected one"):
        signer(SEEN, KEY, other)


def test_a_package_has_one_signer() -> None:
    other = PublicKey(fingerprint="D" * 40, signing=("D" * 40,))
    text = SEEN.replace(
        "    V3 RSA/SHA256 Signature, key ID 8483c65d",
        "    V3 RSA/SHA256 Signature, key ID dddddddd",
    )
    with pytest.raises(TrustError, match=f"signed by several keys: {KEY.fingerprint}, {'D' * 40}"):
        signer(text, KEY, other)


def test_a_source_package_is_no_package(place: Place, rpms: Rpms) -> None:
    nevra = "needed-0:1.5-1.el9.noarch"
    source = pooled(place.store, rpms.source, nevra, "needed-1.5-1.el9.src.rpm")
    assert place.refusal(source).startswith(
        f"{nevra}: built from nothing (a source package), expected needed-1.5-1.el9.src.rpm"
    )


def test_the_store_may_be_anywhere(tmp_path: Path, rpms: Rpms) -> None:
    odd = Place(Store(root=tmp_path / "a b: c"), tmp_path / "d e", rpms.key.signers)
    package = pooled(odd.store, rpms.good, *GOOD)
    assert odd.check(package)
    shutil.rmtree(odd.cache)


# ---- packages that wait beside the pool ----


@pytest.fixture(params=["directory", "s3"])
def pool(request: pytest.FixtureRequest, place: Place) -> Place:
    """A store of each kind."""
    if request.param == "directory":
        return place
    emulator: Emulator = request.getfixturevalue("emulator")
    return replace(place, store=replace(place.store, shared=emulator.objects()))


def waiting(place: Place, path: Path, nevra: str, source_rpm: str) -> ExpectedPackage:
    """Put a file beside the pool as a download does."""
    sha256 = sha256_file(path)
    target = incoming_path(place.store.root, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return ExpectedPackage(
        sha256=sha256, size=path.stat().st_size, nevra=nevra, source_rpm=source_rpm
    )


def held(place: Place) -> set[str]:
    """What is in the pool, and with S3 in the shared one; they are the same."""
    found = {Path(row.key).stem for row in place.store.objects.listed("pool/")}
    assert {path.stem for path in (place.store.root / "pool").rglob("*.rpm")} == found
    return found


def test_good_packages_go_into_the_pool(pool: Place, rpms: Rpms) -> None:
    good, needed = waiting(pool, rpms.good, *GOOD), waiting(pool, rpms.needed, *NEEDED)
    pool.accept(good, needed)
    assert held(pool) == {good.sha256, needed.sha256}
    assert list((pool.store.root / "tmp").iterdir()) == []
    # What does not wait is none of its business.
    pool.accept(good, needed)


def test_a_refused_package_is_deleted_and_the_good_one_taken(pool: Place, rpms: Rpms) -> None:
    good, bad = waiting(pool, rpms.good, *GOOD), waiting(pool, rpms.unsigned, *UNSIGNED)
    with pytest.raises(TrustError) as caught:
        pool.accept(bad, good)
    assert caught.value.message == (
        f"unsigned-0:1.0-1.el9.noarch: not signed; expected a signature by {rpms.key.fingerprint}"
    )
    assert held(pool) == {good.sha256}
    assert list((pool.store.root / "tmp").iterdir()) == []


def test_all_refused_packages_are_named_or_counted(
    place: Place, rpms: Rpms, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [
        waiting(place, rpms.unsigned, *UNSIGNED),
        waiting(place, rpms.other, *OTHER),
        waiting(place, rpms.good, "good-2:1.1-1.el9.noarch", GOOD[1]),
        waiting(place, rpms.needed, NEEDED[0], "other.src.rpm"),
    ]
    monkeypatch.setattr(trust, "NAMED", 2)
    with pytest.raises(TrustError) as caught:
        place.accept(*bad)
    assert caught.value.message.startswith("unsigned-0:1.0-1.el9.noarch: not signed")
    assert caught.value.message.endswith(
        "(refused as well: other-0:1.0-1.el9.noarch, good-2:1.1-1.el9.noarch and 1 more)"
    )
    assert held(place) == set()


def test_wrong_metadata_about_a_good_package_leaves_the_pool_alone(
    place: Place, rpms: Rpms, good: ExpectedPackage
) -> None:
    forged = replace(waiting(place, rpms.good, *GOOD), nevra="evil-0:1.0-1.el9.noarch")
    with pytest.raises(TrustError, match=r"evil-0:1\.0-1.*: the file is really good-2"):
        place.accept(forged)
    assert held(place) == {good.sha256}
    place.check(good)


def test_two_who_judge_the_same_packages_do_not_meet(
    place: Place, rpms: Rpms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [waiting(place, rpms.good, *GOOD), waiting(place, rpms.needed, *NEEDED)]
    inside: list[int] = []

    def alone(*args: object) -> object:
        inside.append(1)
        time.sleep(0.3)
        assert len(inside) == 1
        inside.pop()
        return look(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(trust, "look", alone)
    with ThreadPoolExecutor(max_workers=2) as both:
        for done in [both.submit(place.accept, *rows) for _ in range(2)]:
            done.result()
    assert held(place) == {row.sha256 for row in rows}


def test_what_was_judged_before_is_known_and_still_compared(
    place: Place, rpms: Rpms, good: ExpectedPackage, needed: ExpectedPackage
) -> None:
    def known(*packages: ExpectedPackage) -> tuple[Expected, ...]:
        return judged(packages, place.signers, place.cache)

    assert known(good, needed) == ()
    place.check(good)
    assert known(good, needed) == (good,)
    with pytest.raises(TrustError, match=r"good-0:9.*: the file is really good-2:1\.0"):
        known(replace(good, nevra="good-0:9-1.noarch"))
    assert judged([good], rpms.other_key.signers, place.cache) == ()
