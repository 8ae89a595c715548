from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldpress.errors import DocumentError, MissingError
from goldpress.lock import Lock, LockedPackage

BASH = LockedPackage(
    name="bash",
    epoch=0,
    version="5.1.8",
    release="9.el9",
    arch="x86_64",
    sha256="b" * 64,
    size=1700000,
    repository="baseos",
    source_rpm="bash-5.1.8-9.el9.src.rpm",
    signer="A" * 40,
    why=("required by nginx",),
)
NGINX = replace(
    BASH,
    name="nginx",
    epoch=2,
    version="1.20.1",
    release="20.el9~1",
    sha256="a" * 64,
    source_rpm="nginx-1.20.1-20.el9~1.src.rpm",
    why=("asked for",),
)
LOCK = Lock(
    distribution="centos-stream-9",
    stand_in=False,
    arch="x86_64",
    platform="el9",
    snapshots={"centos-stream-9": f"sha256:{'c' * 64}", "epel-9": f"sha256:{'d' * 64}"},
    request={"packages": ["nginx"], "overrides": [], "weak_dependencies": False},
    resolver="libsolv 1",
    source_date_epoch=1700000000,
    modules={"php": "8.2"},
    packages=(NGINX, BASH),
)


def resealed(document: dict[str, Any]) -> bytes:
    """A document with a right digest, so that only the change itself can be found."""
    rows = [LockedPackage(**{**row, "why": tuple(row["why"])}) for row in document.pop("packages")]
    document.pop("digest")
    return Lock(**document, packages=tuple(rows)).to_json()


def test_names_are_those_that_dnf_and_rpm_print() -> None:
    assert NGINX.nevra == "nginx-2:1.20.1-20.el9~1.x86_64"
    assert NGINX.rpm_name == "nginx-1.20.1-20.el9~1.x86_64"
    assert NGINX.evr == "2:1.20.1-20.el9~1"


def test_packages_are_in_order_whatever_they_came_in() -> None:
    other = replace(NGINX, epoch=10, sha256="e" * 64)
    lock = replace(LOCK, packages=(other, NGINX, BASH))
    assert [p.epoch for p in lock.packages] == [0, 2, 10]
    assert lock == replace(LOCK, packages=(BASH, NGINX, other))


def test_it_is_json_with_one_package_a_line() -> None:
    text = LOCK.to_json().decode()
    lines = text.splitlines()
    assert text.endswith("}\n")
    assert [line for line in lines if '"name":"nginx"' in line] == [
        (
            '{"arch":"x86_64","epoch":2,"name":"nginx","release":"20.el9~1","repository":"baseos",'
            f'"sha256":"{"a" * 64}","signer":"{"A" * 40}","size":1700000,'
            '"source_rpm":"nginx-1.20.1-20.el9~1.src.rpm","version":"1.20.1","why":["asked for"]}'
        )
    ]
    document = json.loads(text)
    assert document["lock_version"] == 2
    assert document["digest"] == LOCK.digest
    assert list(document) == sorted(document)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    LOCK.write(tmp_path / "locks" / "a.json")
    found = Lock.read(tmp_path / "locks" / "a.json")
    assert found == LOCK
    assert found.digest == LOCK.digest
    assert found.to_json() == LOCK.to_json()


def test_the_digest_is_over_everything() -> None:
    digests = {
        LOCK.digest,
        replace(LOCK, stand_in=True).digest,
        replace(LOCK, modules={}).digest,
        replace(LOCK, request={}).digest,
        replace(LOCK, snapshots={"epel-9": LOCK.snapshots["epel-9"]}).digest,
        replace(LOCK, packages=(BASH,)).digest,
        replace(LOCK, packages=(BASH, replace(NGINX, why=("required by bash",)))).digest,
    }
    assert len(digests) == 7


def test_a_missing_lock_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        Lock.read(tmp_path / "a.json")
    assert str(caught.value).endswith("a.json: there is no lock yet\n  run `./inv lock`")


def test_bytes_from_anywhere_are_a_lock_with_a_name() -> None:
    assert Lock.parse(LOCK.to_json(), name="HEAD:a.json") == LOCK
    with pytest.raises(DocumentError, match=r"^HEAD:a\.json: not JSON"):
        Lock.parse(b"", name="HEAD:a.json")


def test_an_edit_by_hand_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(LOCK.to_json().replace(b'"size":1700000', b'"size":1700001', 1))
    with pytest.raises(DocumentError, match=r"a\.json: was edited by hand: run `\./inv lock`"):
        Lock.read(path)


@given(st.integers(min_value=0, max_value=len(LOCK.to_json()) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    data = bytearray(LOCK.to_json())
    data[position] ^= change
    path = tmp_path_factory.getbasetemp() / "changed-lock.json"
    path.write_bytes(bytes(data))
    with pytest.raises(DocumentError):
        Lock.read(path)


def test_other_white_space_is_an_edit_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(LOCK.to_json()), indent=1))
    with pytest.raises(DocumentError, match="was edited by hand"):
        Lock.read(path)


def first(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["packages"][0].update(values)


def top(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (top(lock_version=1), "lock_version: is 1, this goldpress reads 2"),
        (top(lock_version=True), "lock_version: is True, this goldpress reads 2"),
        (lambda d: d.pop("lock_version"), "lock_version: is None, this goldpress reads 2"),
        (top(snapshoots={}), "snapshoots: unknown key; nearest: snapshots"),
        (lambda d: d.pop("arch"), "arch: this key is required"),
        (top(snapshots={}), "snapshots: expected digests of snapshots by distribution"),
        (top(snapshots={"a": "c" * 64}), "snapshots: expected digests of snapshots by distri"),
        (top(request=["nginx"]), "request: expected what was asked for, not 'list'"),
        (top(stand_in=0), "stand_in: expected true or false, not 0"),
        (top(modules={"php": 8}), "modules: expected streams by module name, not 'dict'"),
        (top(packages=[]), "packages: expected a list of packages, not 'list'"),
        (top(packages=["bash"]), "packages[0]: expected a package"),
        (first(sha256="B" * 64), "packages[0].sha256: expected 64 hex digits, not 'BBBB"),
        (first(sha256="b" * 63), "packages[0].sha256: expected 64 hex digits"),
        (first(size="1"), "packages[0].size: expected a whole number, not '1'"),
        (first(size=-1), "packages[0].size: expected a whole number, not -1"),
        (first(epoch=True), "packages[0].epoch: expected a whole number, not True"),
        (first(name="../x"), "packages[0].name: expected a name, not '../x'"),
        (first(version="1-2"), "packages[0].version: expected a version or release"),
        (first(signer="a" * 40), "packages[0].signer: expected a fingerprint of 40 digits"),
        (first(why=[]), "packages[0].why: expected a list of reasons"),
        (first(source=""), "packages[0].source: unknown key; nearest: source_rpm"),
        (first(sha256="a" * 64), f"packages[1]: {'a' * 64} is there already, at packages[0]"),
        (
            lambda d: d["packages"].append({**d["packages"][0], "sha256": "e" * 64}),
            "packages[2]: bash-0:5.1.8-9.el9.x86_64 is there already, at packages[0]",
        ),
    ],
)
def test_what_is_not_a_lock_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    document = json.loads(LOCK.to_json())
    change(document)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DocumentError) as caught:
        Lock.read(path)
    assert f"a.json: {message}" in str(caught.value)
    assert str(caught.value).endswith("\n  run `./inv lock`")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("<<<<<<< HEAD\n", "not JSON"),
        ("[]", "not a lock"),
        ('{"arch":"a","arch":"b"}', "not JSON: the key 'arch' is there twice"),
        ('{"lock_version":2,"request":{"a":NaN}}', "not JSON: NaN is no number"),
    ],
)
def test_what_is_not_a_document_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=message):
        Lock.read(path)


def test_text_that_is_no_unicode_is_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(LOCK.to_json().replace(b'["nginx"]', rb'["\ud800"]'))
    with pytest.raises(DocumentError, match="was edited by hand"):
        Lock.read(path)


def test_a_lock_with_a_right_digest_is_accepted(tmp_path: Path) -> None:
    document = json.loads(LOCK.to_json())
    document["packages"][0]["size"] += 1
    path = tmp_path / "a.json"
    path.write_bytes(resealed(document))
    assert Lock.read(path).packages[0].size == 1700001
