"""Owns the clients: which retries and timeouts every call has; the rest is boto3's own chain.

Region, profile, credentials, proxy, CA bundle and endpoint come from where every AWS tool takes
them: the environment (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, ...) and ~/.aws. The embedded
cloud alone has credentials of its own, so that no real ones ever reach it, nor it them.
"""

from __future__ import annotations

import functools
import ipaddress
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.session import Session, get_session

from goldpress.aws.errors import translated
from goldpress.document import nearest
from goldpress.errors import CloudError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A client of a service for which no types are installed.
Client = Any

ATTEMPTS = 5
CONNECT_SECONDS = 10
READ_SECONDS = 30
#: As many as threads that bring packages, and some for the ledger.
CONNECTIONS = 16
#: Calls about snapshots, images and instances, many at once: a busy region throttles for seconds.
BUSY_ATTEMPTS = 10
ROLE_SECONDS = 3600
#: Both halves of the embedded cloud's credentials, which it does not check.
SANDBOX_KEY = "sandbox"

#: Sessions are not safe to share between threads while clients are made of them.
_MAKING = threading.RLock()


def s3_client() -> S3Client:
    """A client of S3; safe to share between threads. Raises BotoCoreError for a bad profile.

    A request that fails for good ends within `ATTEMPTS` times the timeouts; what cannot get
    better by trying again (denied, expired) fails at once.
    """
    return boto3.session.Session().client("s3", config=_config(ATTEMPTS, CONNECTIONS))


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who calls, and which cloud answers.

    `endpoint` is the embedded cloud's URL, called with its own credentials; empty means AWS, or
    what AWS_ENDPOINT_URL names, by the standard chain, with `role` (an ARN) assumed if there is
    one.
    """

    endpoint: str = ""
    role: str = ""

    def client(self, service: str, region: str, *, connections: int = CONNECTIONS) -> Client:
        """A client of `service`; safe to share between threads. Raises CloudError."""
        with _MAKING, translated(f"{service} in {region}", service=service):
            return _client(self, service, region, connections)

    def credentials(self, region: str) -> Any:
        """What signs requests; it renews itself. Raises CloudError when there is none."""
        with _MAKING, translated("the credentials", service="sts"):
            found = _session(self.role, region).get_credentials()
        if found is None:
            raise CloudError("no AWS credentials", hint="set AWS_PROFILE, or log in")
        return found.get_frozen_credentials()

    @property
    def emulated(self) -> bool:
        """Whether an embedded cloud on this machine answers, by argument or AWS_ENDPOINT_URL."""
        if self.endpoint:
            return True
        with _MAKING, translated("endpoints"):
            url = str(_client(self, "ec2", "us-east-1", CONNECTIONS).meta.endpoint_url)
        return is_loopback(url)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@functools.lru_cache(maxsize=64)
def checked_region(region: str) -> str:
    """The region itself. Raises CloudError for one that AWS does not have."""
    known: set[str] = set()
    core = _plain_session()
    for partition in core.get_available_partitions():
        known.update(core.get_available_regions("ec2", partition))
    if region not in known:
        raise CloudError(
            f"{region!r} is not a region of AWS{nearest(region, known)}",
            hint="correct `regions` in publish.yaml, or --regions",
        )
    return region


def _plain_session() -> Session:
    """A session in which the environment's profile has no say."""
    return Session(session_vars={"profile": (None, [], None, None)})


def _config(attempts: int, connections: int) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=connections,
        user_agent_extra="goldpress",
    )


@functools.lru_cache(maxsize=256)
def _client(access: Access, service: str, region: str, connections: int) -> Client:
    config = _config(BUSY_ATTEMPTS, connections)
    if access.endpoint:
        core = _plain_session()
        core.set_credentials(SANDBOX_KEY, SANDBOX_KEY)
        session = boto3.session.Session(botocore_session=core, region_name=region)
        return session.client(  # type: ignore[call-overload]
            # Nor has a proxy: it would be asked for 127.0.0.1.
            service,
            config=config.merge(Config(proxies={})),
            endpoint_url=access.endpoint,
        )
    return _session(access.role, region).client(service, config=config)


@functools.lru_cache(maxsize=64)
def _session(role: str, region: str) -> Any:
    if not role:
        return boto3.session.Session(region_name=region)
    sts = boto3.session.Session(region_name=region).client("sts", config=_config(ATTEMPTS, 1))

    def fetch() -> dict[str, str]:
        answer = sts.assume_role(
            RoleArn=role, RoleSessionName="goldpress", DurationSeconds=ROLE_SECONDS
        )["Credentials"]
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": answer["Expiration"].isoformat(),
        }

    core = get_session()
    # The one way in that botocore has for credentials which renew themselves.
    renewed = RefreshableCredentials.create_from_metadata(
        metadata=fetch(), refresh_using=fetch, method="sts-assume-role"
    )
    vars(core)["_credentials"] = renewed
    return boto3.session.Session(botocore_session=core, region_name=region)
