"""Owns the clients: which retries and timeouts every call has; the rest is boto3's own chain.

Region, profile, credentials, proxy, CA bundle and endpoint come from where every AWS tool takes
them: the environment (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) and ~/.aws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ATTEMPTS = 5
CONNECT_SECONDS = 10
READ_SECONDS = 30
#: As many as threads that bring packages, and some for the ledger.
CONNECTIONS = 16


def s3_client() -> S3Client:
    """A client of S3; safe to share between threads. Raises BotoCoreError for a bad profile.

    A request that fails for good ends within `ATTEMPTS` times the timeouts; what cannot get
    better by trying again (denied, expired) fails at once.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        user_agent_extra="goldpress",
    )
    return boto3.session.Session().client("s3", config=config)
