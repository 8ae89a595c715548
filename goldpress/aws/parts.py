"""Owns uploads in parts: large objects that appear whole, on condition, or not at all."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from goldpress.digest import sha256_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: S3 takes up to 10,000 parts, each but the last of at least 5 MiB; one is held in memory.
PART_BYTES = 32 << 20


def upload_in_parts(
    client: S3Client, bucket: str, key: str, source: Path, encryption: Mapping[str, Any]
) -> None:
    """Upload a file if the key is free when it is complete.

    Raises ClientError as `put_object` with the same condition does; what was begun is given up.
    """
    upload = client.create_multipart_upload(
        Bucket=bucket,
        Key=key,
        ContentType="application/octet-stream",
        ChecksumAlgorithm="SHA256",
        **encryption,
    )["UploadId"]
    try:
        parts = list(_sent(client, bucket, key, upload, source))
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException as error:
        try:
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except (ClientError, BotoCoreError) as second:
            # The first error is the one to be told.
            error.add_note(f"its parts stay in S3 until gc: {second}")
        raise


def sweep_parts(client: S3Client, bucket: str, prefix: str, before: datetime) -> int:
    """Give up the uploads below `prefix` that were begun before `before`; returns how many.

    A writer that was killed leaves its parts, which nobody sees and everybody pays.
    """
    count = 0
    pages = client.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for row in page.get("Uploads", []):
            if row["Initiated"] < before:
                client.abort_multipart_upload(
                    Bucket=bucket, Key=row["Key"], UploadId=row["UploadId"]
                )
                count += 1
    return count


def base64_of(sha256: str) -> str:
    """A sha256 in the form that AWS wants."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _sent(
    client: S3Client, bucket: str, key: str, upload: str, source: Path
) -> Iterator[CompletedPartTypeDef]:
    with source.open("rb") as stream:
        number = 0
        while data := stream.read(PART_BYTES):
            number += 1
            checksum = base64_of(sha256_bytes(data))
            answer = client.upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=data,
                ChecksumSHA256=checksum,
            )
            yield {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
