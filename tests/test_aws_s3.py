"""S3 as the store uses it: conditions, encryption, parts, bad days; against the embedded cloud."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from emulated import Emulator
from stores import kept

from goldpress.aws import client as client_module
from goldpress.aws import parts, s3
from goldpress.aws.client import s3_client
from goldpress.aws.s3 import S3Objects
from goldpress.digest import sha256_bytes
from goldpress.errors import CloudError, DocumentError, TrustError
from goldpress.store import Store
from goldpress.store.store import package_key

SHA256 = sha256_bytes(b"one")
KEY = package_key(SHA256)
KMS_KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
MUTABLE = "ledger/snapshot.json"


@pytest.fixture
def objects(emulator: Emulator) -> S3Objects:
    return emulator.objects()


def head(objects: S3Objects, key: str) -> dict[str, object]:
    found = objects.client.head_object(Bucket=objects.bucket, Key=f"{objects.prefix}/{key}")
    return dict(found)


def uploads(objects: S3Objects) -> list[str]:
    found = objects.client.list_multipart_uploads(Bucket=objects.bucket)
    return [row["Key"] for row in found.get("Uploads", [])]


def at_once(count: int, work: object) -> list[bool]:
    """What `count` threads get that all begin at the same moment."""
    assert callable(work)
    barrier = threading.Barrier(count)

    def begin(number: int) -> bool:
        barrier.wait()
        return bool(work(number))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_what_is_immutable_is_written_once(objects: S3Objects) -> None:
    assert objects.size(KEY) is None
    assert objects.add(KEY, b"one", SHA256)
    assert not objects.add(KEY, b"one", SHA256)
    assert objects.size(KEY) == 3


def test_of_sixteen_writers_one_is_first(objects: S3Objects) -> None:
    assert at_once(16, lambda _: objects.add(KEY, b"one", SHA256)).count(True) == 1


def test_of_sixteen_changes_of_one_version_one_is_made(objects: S3Objects) -> None:
    for version in (None, "now"):
        held = objects.get(MUTABLE) if version else None
        before = held.version if held else None
        text = f"{version} %d"
        changed = at_once(
            16, lambda n, v=before, t=text: objects.swap(MUTABLE, (t % n).encode(), version=v)
        )
        assert changed.count(True) == 1
        found = objects.get(MUTABLE)
        assert found is not None
        assert found.data.decode() == text % changed.index(True)


def test_a_change_of_what_is_gone_is_not_made(objects: S3Objects) -> None:
    assert objects.swap(MUTABLE, b"1", version=None)
    held = objects.get(MUTABLE)
    assert held is not None
    objects.delete([MUTABLE])
    assert not objects.swap(MUTABLE, b"2", version=held.version)
    assert objects.get(MUTABLE) is None


def test_other_bytes_than_promised_are_not_sent(objects: S3Objects, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"two")
    for source in (b"two", tmp_path / "file"):
        with pytest.raises(TrustError, match=f"{KEY}: sha256 is .*, expected {SHA256}"):
            objects.add(KEY, source, SHA256)
    assert objects.size(KEY) is None


def test_bytes_that_change_on_their_way_are_refused_by_s3(objects: S3Objects) -> None:
    wrong = parts.base64_of(sha256_bytes(b"two"))
    with pytest.raises(objects.client.exceptions.ClientError, match="BadDigest"):
        objects.client.put_object(Bucket=objects.bucket, Key="x", Body=b"one", ChecksumSHA256=wrong)


@pytest.mark.parametrize("kms_key", ["", KMS_KEY])
def test_everything_is_encrypted(
    emulator: Emulator, kms_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 1000)
    objects = emulator.objects(kms_key=kms_key)
    large = tmp_path / "large"
    large.write_bytes(bytes(1000))
    large_key = package_key(sha256_bytes(bytes(1000)))
    objects.add(KEY, b"one", SHA256)
    objects.add(large_key, large, sha256_bytes(bytes(1000)))
    objects.swap(MUTABLE, b"{}", version=None)
    objects.put("views/x", b"<x/>")
    for key in (KEY, large_key, MUTABLE, "views/x"):
        found = head(objects, key)
        assert found["ServerSideEncryption"] == ("aws:kms" if kms_key else "AES256")
        assert found.get("SSEKMSKeyId", "") == kms_key


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str, str]:
    """A file of three parts, its sha256 and its key."""
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 << 20)
    monkeypatch.setattr(parts, "PART_BYTES", 5 << 20)
    data = b"0123456789abcdef" * (11 << 16)
    (tmp_path / "large").write_bytes(data)
    sha256 = sha256_bytes(data)
    return tmp_path / "large", sha256, package_key(sha256)


def test_large_files_come_back_whole(
    objects: S3Objects, large: tuple[Path, str, str], tmp_path: Path
) -> None:
    path, sha256, key = large
    assert objects.add(key, path, sha256)
    assert str(head(objects, key)["ETag"]).endswith('-3"')
    store = Store(root=tmp_path / "cache", shared=objects)
    assert store.package(sha256).read_bytes() == path.read_bytes()


def test_a_large_file_is_written_once_too(objects: S3Objects, large: tuple[Path, str, str]) -> None:
    path, sha256, key = large
    written = at_once(3, lambda _: objects.add(key, path, sha256))
    assert written.count(True) == 1
    assert uploads(objects) == []


def test_a_large_file_that_fails_leaves_nothing(
    emulator: Emulator, objects: S3Objects, large: tuple[Path, str, str]
) -> None:
    path, sha256, key = large
    emulator.fail({"method": "PUT", "path": key, "status": 403, "code": "AccessDenied"})
    with pytest.raises(CloudError, match="AWS denies UploadPart"):
        objects.add(key, path, sha256)
    assert uploads(objects) == []
    assert objects.size(key) is None


def test_the_first_error_is_told_when_giving_up_fails_too(
    emulator: Emulator, objects: S3Objects, large: tuple[Path, str, str]
) -> None:
    path, sha256, key = large
    emulator.fail(
        {"method": "PUT", "path": key, "status": 403, "code": "AccessDenied"},
        {"method": "DELETE", "path": key, "status": 403, "code": "AccessDenied"},
    )
    with pytest.raises(CloudError, match="AWS denies UploadPart") as caught:
        objects.add(key, path, sha256)
    cause = caught.value.__cause__
    assert cause is not None
    assert "its parts stay in S3 until gc" in cause.__notes__[0]
    assert uploads(objects) == [f"mirror/{key}"]
    # moto says of every upload that it was begun in 2010.
    assert objects.sweep(datetime(2009, 1, 1, tzinfo=UTC)) == 0
    assert objects.sweep(datetime.now(UTC)) == 1
    assert uploads(objects) == []


def test_uploads_of_others_are_not_swept(emulator: Emulator) -> None:
    objects = emulator.objects()
    objects.client.create_multipart_upload(Bucket=objects.bucket, Key="other/key")
    assert objects.sweep(datetime.now(UTC)) == 0
    assert uploads(objects) == ["other/key"]


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_write_that_met_another_is_tried_again(
    emulator: Emulator, objects: S3Objects, large: tuple[Path, str, str], name: str
) -> None:
    path, sha256, key = large
    source = path if name == "large" else path.read_bytes()
    method = "POST" if name == "large" else "PUT"
    if name == "large":
        # The first POST begins the upload; the condition is checked by the one that ends it.
        emulator.fail({"method": method, "path": key, "times": 1, "way": "after"})
    emulator.fail({"method": method, "path": key, "status": 409, "code": s3.CONFLICT, "times": 2})
    assert objects.add(key, source, sha256)
    assert emulator.used() == [2]
    assert objects.size(key) == path.stat().st_size


def test_a_write_that_always_meets_another_is_told(
    emulator: Emulator, objects: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAUSE_SECONDS", 0.001)
    emulator.fail({"method": "PUT", "path": KEY, "status": 409, "code": s3.CONFLICT, "times": 99})
    with pytest.raises(CloudError, match="PutObject failed: ConditionalRequestConflict"):
        objects.add(KEY, b"one", SHA256)
    assert emulator.used() == [s3.ATTEMPTS]


@pytest.mark.parametrize("version", ["first", "next"])
def test_a_change_whose_answer_is_lost_is_known_to_be_ours(
    emulator: Emulator, objects: S3Objects, version: str
) -> None:
    """botocore tries again, and meets what its first attempt has written."""
    before = None
    if version == "next":
        objects.swap(MUTABLE, b"1", version=None)
        held = objects.get(MUTABLE)
        assert held is not None
        before = held.version
    emulator.fail({"method": "PUT", "path": MUTABLE, "way": "after"})
    assert objects.swap(MUTABLE, b"2", version=before)
    assert emulator.used() == [1]
    assert not objects.swap(MUTABLE, b"3", version=before)


def test_a_change_that_met_another_is_not_made(emulator: Emulator, objects: S3Objects) -> None:
    emulator.fail({"method": "PUT", "path": MUTABLE, "status": 409, "code": s3.CONFLICT})
    assert not objects.swap(MUTABLE, b"1", version=None)
    assert objects.get(MUTABLE) is None


def test_an_answer_that_breaks_off_is_asked_for_again(
    emulator: Emulator, objects: S3Objects, tmp_path: Path
) -> None:
    sha256 = kept(Store(root=tmp_path / "1", shared=objects), b"x" * 100_000)
    emulator.fail({"method": "GET", "path": package_key(sha256), "way": "cut", "times": 2})
    store = Store(root=tmp_path / "2", shared=objects)
    assert store.package(sha256).stat().st_size == 100_000
    assert emulator.used() == [2]
    objects.swap(MUTABLE, b"a ledger", version=None)
    emulator.fail({"method": "GET", "path": MUTABLE, "way": "cut"})
    held = objects.get(MUTABLE)
    assert held is not None
    assert held.data == b"a ledger"


def test_an_answer_that_always_breaks_off_is_told(
    emulator: Emulator, objects: S3Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAUSE_SECONDS", 0.001)
    sha256 = kept(Store(root=tmp_path / "1", shared=objects), b"x" * 100_000)
    emulator.fail({"method": "GET", "path": package_key(sha256), "way": "cut", "times": 99})
    store = Store(root=tmp_path / "2", shared=objects)
    with pytest.raises(CloudError, match=f"{objects.name}/{package_key(sha256)}: "):
        store.package(sha256)
    assert not store.package_path(sha256).exists()
    assert list((store.root / "tmp").iterdir()) == []


def test_an_object_that_someone_replaced_is_refused(objects: S3Objects, tmp_path: Path) -> None:
    store = Store(root=tmp_path, shared=objects)
    objects.client.put_object(Bucket=objects.bucket, Key=f"mirror/{KEY}", Body=b"two")
    with pytest.raises(TrustError, match=f"{objects.name}/{KEY}: sha256 is") as caught:
        store.package(SHA256)
    assert "someone replaced it" in caught.value.hint
    assert not store.package_path(SHA256).exists()
    objects.client.put_object(Bucket=objects.bucket, Key=f"mirror/{KEY}", Body=b"four")
    with pytest.raises(TrustError, match="has 4 bytes, expected 3"):
        store.has_package(SHA256, 3)


def test_a_store_that_is_known_is_asked_for_its_graves_only(
    emulator: Emulator, objects: S3Objects, tmp_path: Path
) -> None:
    """The second time a sync asks for 50 files it costs no request for any of them."""
    store = Store(root=tmp_path, shared=objects)
    sha256s = [kept(store, f"{n:03}".encode()) for n in range(50)]
    emulator.fail({"method": "HEAD", "path": "pool/", "times": 99})
    again = Store(root=tmp_path, shared=objects)
    assert all(again.has_package(sha256, 3) for sha256 in sha256s)
    assert emulator.used() == [0]


def test_a_bucket_that_was_made_anew_is_not_known(
    objects: S3Objects, emulator: Emulator, tmp_path: Path
) -> None:
    sha256 = kept(Store(root=tmp_path, shared=objects), b"one")
    other = emulator.objects()
    Store(root=tmp_path, shared=objects).package_path(sha256).unlink()
    assert Store(root=tmp_path, shared=objects).has_package(sha256, 3)
    assert not Store(root=tmp_path, shared=other).has_package(sha256, 3)


def test_a_listing_and_a_deletion_of_more_than_a_page(objects: S3Objects) -> None:
    keys = [f"pool/{n:04}" for n in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: objects.put(key, b""), keys))
    objects.put("meta/x", b"1")
    assert [row.key for row in objects.listed("pool/")] == keys
    objects.delete(keys)
    assert list(objects.listed("pool/")) == []
    assert [(row.key, row.size) for row in objects.listed("meta/")] == [("meta/x", 1)]


def test_a_deletion_that_s3_refuses_is_told(emulator: Emulator, objects: S3Objects) -> None:
    objects.put("pool/x", b"1")
    emulator.fail({"method": "POST", "path": "/", "status": 403, "code": "AccessDenied"})
    with pytest.raises(CloudError, match="1 objects: AWS denies DeleteObjects") as caught:
        objects.delete(["pool/x"])
    assert "for gc s3:DeleteObject" in caught.value.hint


def test_stores_of_one_bucket_do_not_see_each_other(objects: S3Objects) -> None:
    top = dataclasses.replace(objects, prefix="")
    other = dataclasses.replace(objects, prefix="mirror2")
    objects.put("pool/x", b"1")
    assert other.size("pool/x") is None
    assert list(other.listed("pool/")) == []
    assert top.size("mirror/pool/x") == 1
    assert [row.key for row in top.listed("mirror/")] == ["mirror/pool/x"]


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        ((403, "AccessDenied"), "AWS denies GetObject", "s3:ListBucket"),
        ((400, "ExpiredToken"), "the AWS credentials have expired", "log in again"),
        ((403, "InvalidAccessKeyId"), "AWS does not accept the credentials", "get-caller-identity"),
        ((403, "SignatureDoesNotMatch"), "AWS does not accept the credentials", "caller-identity"),
        ((403, "RequestTimeTooSkewed"), "this machine's clock is wrong", "set it"),
        ((400, "KMS.DisabledException"), "KMS refuses GetObject", "kms:Decrypt"),
        ((400, "TeaPot"), "GetObject failed: TeaPot: TeaPot on demand", ""),
    ],
)
def test_what_cannot_get_better_fails_at_once(
    emulator: Emulator, objects: S3Objects, answer: tuple[int, str], message: str, hint: str
) -> None:
    status, code = answer
    emulator.fail({"method": "GET", "path": MUTABLE, "status": status, "code": code, "times": 99})
    with pytest.raises(CloudError) as caught:
        objects.get(MUTABLE)
    assert caught.value.message.startswith(f"{objects.name}/{MUTABLE}: {message}")
    assert hint in caught.value.hint
    assert emulator.used() == [1]


def test_a_denied_head_is_no_absence(emulator: Emulator, objects: S3Objects) -> None:
    emulator.fail({"method": "HEAD", "path": KEY, "status": 403, "code": "AccessDenied"})
    with pytest.raises(CloudError, match="AWS denies HeadObject"):
        objects.size(KEY)


def test_a_busy_s3_is_asked_again(emulator: Emulator, objects: S3Objects) -> None:
    emulator.fail({"method": "PUT", "path": KEY, "status": 503, "code": "SlowDown", "times": 2})
    assert objects.add(KEY, b"one", SHA256)
    assert emulator.used() == [2]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ATTEMPTS", 2)


@pytest.mark.usefixtures("impatient")
def test_a_s3_that_stays_busy_is_told(emulator: Emulator, objects: S3Objects) -> None:
    objects = dataclasses.replace(objects, client=s3_client())
    emulator.fail({"method": "GET", "path": KEY, "status": 503, "code": "SlowDown", "times": 99})
    with pytest.raises(CloudError, match=r"too busy for GetObject \(SlowDown\), also after"):
        objects.get(KEY)
    assert emulator.used() == [2]


def test_a_missing_bucket_is_told(emulator: Emulator) -> None:
    objects = S3Objects.at("s3://not-there/mirror")
    assert emulator.url
    for ask in (lambda: objects.get(KEY), lambda: objects.add(KEY, b"one", SHA256)):
        with pytest.raises(CloudError, match="there is no such bucket") as caught:
            ask()
        assert "GOLDPRESS_STORE" in caught.value.hint


@pytest.mark.usefixtures("emulator")
def test_no_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CloudError, match="s3://b-b/x/pool/x: no AWS credentials") as caught:
        S3Objects.at("s3://b-b/x").size("pool/x")
    assert "AWS_PROFILE" in caught.value.hint


@pytest.mark.usefixtures("emulator")
def test_an_unknown_profile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CloudError, match=r"no AWS credentials: The config profile .nobody. could"):
        S3Objects.at("s3://b-b/x")


@pytest.mark.usefixtures("emulator", "impatient")
def test_no_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(CloudError, match="no answer, also after retries") as caught:
        S3Objects.at("s3://b-b/x").size("pool/x")
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/x",
        "http://bucket/x",
        "s3://",
        "s3:///x",
        "s3://UPPER/x",
        "s3://b-b/a+b",
        "s3://b-b/../x",
        "s3://b-b//x",
        "s3://b-b/x?y",
    ],
)
def test_an_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(DocumentError) as caught:
        S3Objects.at(url)
    assert repr(url) in caught.value.message


def test_an_object_that_is_no_ledger_is_not_read(
    objects: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MAX_MUTABLE_BYTES", 3)
    objects.put(MUTABLE, b"four")
    with pytest.raises(TrustError, match=f"{objects.name}/{MUTABLE}: 4 bytes are too many"):
        objects.get(MUTABLE)
