"""Owns objects in S3: what is immutable is written when absent, what is mutable by its version.

S3 checks every body against a sha256 and keeps it encrypted. A listing never decides whether
something is there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import (
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from goldpress.aws.client import s3_client
from goldpress.aws.errors import code_of, translated
from goldpress.aws.parts import base64_of, sweep_parts, upload_in_parts
from goldpress.digest import CHUNK_BYTES, sha256_bytes, sha256_file
from goldpress.errors import CloudError, DocumentError, TrustError
from goldpress.store.objects import Held, Listed, checked_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

#: From this size on in parts: a broken one costs only itself.
MULTIPART_BYTES = 64 << 20
#: A ledger or list of graves beyond this is none of ours.
MAX_MUTABLE_BYTES = 64 << 20
#: S3 says 409 to a conditional write that met another one; it is to be tried again.
ATTEMPTS = 6
PAUSE_SECONDS = 0.1
DELETE_BATCH = 1000

ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
TAKEN = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"
BROKEN = (FlexibleChecksumError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
Answer = TypeVar("Answer")
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.+?))?/?")
_TYPES = {".json": "application/json", ".xml": "application/xml", ".gz": "application/gzip"}
_BYTES = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class S3Objects:
    """Objects below ``s3://bucket/prefix``; `kms_key` (id or ARN) instead of S3's own key."""

    bucket: str
    prefix: str
    client: S3Client
    kms_key: str = ""

    @classmethod
    def at(cls, url: str, *, kms_key: str = "") -> S3Objects:
        """The objects of an URL. Raises DocumentError for another form of URL, CloudError."""
        match = _URL.fullmatch(url)
        if match is None:
            raise DocumentError(
                f"{url!r} is not where a store can be", hint="the form is s3://bucket/prefix"
            )
        prefix = match["prefix"] or ""
        try:
            prefix = checked_key(prefix) if prefix else ""
        except ValueError:
            raise DocumentError(
                f"{url!r}: the prefix may have letters, digits and . _ - / only"
            ) from None
        with translated(url):
            client = s3_client()
        return cls(bucket=match["bucket"], prefix=prefix, client=client, kms_key=kms_key)

    @property
    def name(self) -> str:
        """The URL of the store."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, key: str) -> Held | None:
        """A small object; its version is its ETag. Raises CloudError, TrustError when it is big."""
        return _patiently(lambda: self._read(key))

    def size(self, key: str) -> int | None:
        """The size by a HEAD, which a listing never replaces."""
        with self._about(key):
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=self._full(key))
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise
            return answer["ContentLength"]

    def bring(self, key: str, target: Path) -> bool:
        """Download to `target`; an answer that breaks off is asked for again."""
        return _patiently(lambda: self._download(key, target))

    def add(self, key: str, source: Path | bytes, sha256: str) -> bool:
        """Upload if the key is free, in parts when large; the condition is S3's to check."""
        found = sha256_bytes(source) if isinstance(source, bytes) else sha256_file(source)
        if found != sha256:
            raise TrustError(f"{key}: sha256 is {found}, expected {sha256}")
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        with self._about(key):
            if isinstance(source, Path) and size >= MULTIPART_BYTES:
                return self._conditional(
                    lambda: upload_in_parts(
                        self.client,
                        self.bucket,
                        self._full(checked_key(key)),
                        source,
                        self._encryption,
                    )
                )
            return self._conditional(lambda: self._upload(key, source, sha256, IfNoneMatch="*"))

    def put(self, key: str, source: Path | bytes) -> None:
        """Upload in place of what was there."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        with self._about(key):
            self._upload(key, data, sha256_bytes(data))

    def swap(self, key: str, data: bytes, *, version: str | None) -> bool:
        """Write on condition that the object has this ETag, or is not there."""
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._about(key):
            try:
                self._upload(key, data, sha256_bytes(data), **condition)
            except ClientError as error:
                code = code_of(error)
                if code not in {TAKEN, CONFLICT, *ABSENT}:
                    raise
                # A retry after a lost answer meets what the first attempt has written.
                held = self.get(key) if code == TAKEN else None
                return held is not None and held.data == data
        return True

    def listed(self, prefix: str) -> Iterator[Listed]:
        """What a listing shows, for gc's proposals."""
        pages = self.client.get_paginator("list_objects_v2")
        skip = len(self._full(""))
        with self._about(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix)):
                for row in page.get("Contents", []):
                    yield Listed(
                        key=row["Key"][skip:], size=row["Size"], written=row["LastModified"]
                    )

    def delete(self, keys: Iterable[str]) -> None:
        """Delete, a thousand a request. Raises CloudError for the first that S3 refuses."""
        for batch in _batches([self._full(key) for key in keys]):
            with self._about(f"{len(batch)} objects"):
                answer = self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            for row in answer.get("Errors", []):
                raise CloudError(
                    f"s3://{self.bucket}/{row.get('Key')}: not deleted: {row.get('Code')}: "
                    f"{row.get('Message')}",
                    hint="gc needs s3:DeleteObject; what is left is deleted by its next run",
                )

    def sweep(self, before: datetime) -> int:
        """Give up uploads in parts that were begun before `before`; they cost, and nobody sees."""
        with self._about("uploads in parts"):
            return sweep_parts(self.client, self.bucket, self._full(""), before)

    @contextmanager
    def sole(self) -> Iterator[bool]:
        """S3 has no lock that a dead process loses: nothing is proven."""
        yield False

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _about(self, key: str) -> Iterator[None]:
        with translated(f"{self.name}/{key}"):
            yield

    @property
    def _encryption(self) -> dict[str, Any]:
        if not self.kms_key:
            return {"ServerSideEncryption": "AES256"}
        # A bucket key spares most of the requests to KMS, which are paid for one by one.
        return {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self.kms_key,
            "BucketKeyEnabled": True,
        }

    def _upload(self, key: str, source: Path | bytes, sha256: str, **condition: str) -> None:
        fixed: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": self._full(checked_key(key)),
            "ContentType": _TYPES.get(Path(key).suffix, _BYTES),
            "ChecksumSHA256": base64_of(sha256),
            **self._encryption,
            **condition,
        }
        if isinstance(source, bytes):
            self.client.put_object(Body=source, **fixed)
            return
        with source.open("rb") as stream:
            self.client.put_object(Body=stream, **fixed)

    def _conditional(self, write: Callable[[], None]) -> bool:
        """Write when absent; False when the key is taken. What met another write tries again."""
        for attempt in range(ATTEMPTS):
            try:
                write()
            except ClientError as error:
                if code_of(error) == TAKEN:
                    return False
                if code_of(error) != CONFLICT or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(PAUSE_SECONDS * 2**attempt)
            else:
                return True
        raise AssertionError

    def _read(self, key: str) -> Held | None:
        with self._about(key):
            answer = self._asked(key)
            if answer is None:
                return None
            if answer["ContentLength"] > MAX_MUTABLE_BYTES:
                raise TrustError(f"{self.name}/{key}: {answer['ContentLength']} bytes are too many")
            return Held(data=answer["Body"].read(), version=answer["ETag"])

    def _download(self, key: str, target: Path) -> bool:
        with self._about(key):
            answer = self._asked(key)
            if answer is None:
                return False
            with target.open("wb") as stream:
                for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                    stream.write(chunk)
        return True

    def _asked(self, key: str) -> GetObjectOutputTypeDef | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self._full(key))
        except ClientError as error:
            if code_of(error) in ABSENT:
                return None
            raise


def _patiently(read: Callable[[], Answer]) -> Answer:
    """What `read` returns; an answer that breaks off, which botocore leaves to us, is asked again.

    Raises CloudError for everything else, and after the last attempt.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except CloudError as error:
            if not isinstance(error.__cause__, BROKEN):
                raise
            time.sleep(PAUSE_SECONDS * 2**attempt)
    return read()


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), DELETE_BATCH):
        yield keys[start : start + DELETE_BATCH]
