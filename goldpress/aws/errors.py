"""Owns what AWS's errors mean to a person: one translation for every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from goldpress.errors import CloudError

LOG_IN = "log in again or renew the credentials, then run the command again"
DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "Forbidden",
    "UnauthorizedOperation",
    "403",
)
THROTTLED = (
    "SlowDown",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "Unavailable",
    "InternalError",
    "InternalFailure",
    "InternalServerException",
    "InternalServerError",
    "500",
    "502",
    "503",
    "504",
)
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
REJECTED = (
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidSignatureException",
)
#: What will be no different the next time, but is nobody's word on the request itself.
PASSING = frozenset({*THROTTLED, *EXPIRED, *REJECTED})
_RIGHTS = (
    "needed: s3:GetObject and s3:ListBucket (without it AWS says `denied` for what is not there), "
    "to write s3:PutObject, for gc s3:DeleteObject"
)
_DENIED = ("AWS denies {call}", _RIGHTS)
_EXPIRED = ("the AWS credentials have expired", LOG_IN)
_UNKNOWN = (
    "AWS does not accept the credentials ({code})",
    "`aws sts get-caller-identity` says whether they work, and for whom",
)
_BUSY = (
    "AWS is too busy for {call} ({code}), also after retries",
    "run the command again in a few minutes; what was done stays done",
)
_FULL = (
    "{call}: a quota of this account is used up ({code})",
    "raise it in Service Quotas, or remove what is no longer needed; then run the command again",
)
_CAPACITY = (
    "{call}: AWS has no capacity for this instance type now ({code})",
    "run the command again, or name another instance_type or subnet in publish.yaml",
)
_QUOTA = ("QuotaExceeded", "QuotaExceededException")
_ELSEWHERE = ("the bucket is in another region ({code})", "set AWS_REGION to its region")
#: By AWS's code (or, where an answer has no body, its status): what it means, what to do.
MEANINGS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(DENIED, _DENIED),
    **dict.fromkeys(EXPIRED, _EXPIRED),
    **dict.fromkeys(REJECTED, _UNKNOWN),
    **dict.fromkeys(THROTTLED, _BUSY),
    **dict.fromkeys(("InsufficientInstanceCapacity", "InsufficientCapacity"), _CAPACITY),
    "OptInRequired": (
        "this account does not have the region or service switched on",
        "enable the region in the account's settings, or take it out of publish.yaml",
    ),
    **dict.fromkeys(("PermanentRedirect", "AuthorizationHeaderMalformed", "301"), _ELSEWHERE),
    "NoSuchBucket": ("there is no such bucket", "make it, or correct GOLDPRESS_STORE"),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "set it, then try again"),
}

NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
)
EXPIRED_LOGINS = (
    exceptions.UnauthorizedSSOTokenError,
    exceptions.SSOTokenLoadError,
    exceptions.TokenRetrievalError,
)
UNREACHABLE = (exceptions.HTTPClientError, exceptions.ConnectionError)


@contextmanager
def translated(what: str, *, service: str = "s3") -> Iterator[None]:
    """Whatever botocore raises becomes a CloudError about `what`, with a hint where one helps."""
    try:
        yield
    except ClientError as error:
        raise client_error(error, what, service=service) from error
    except BotoCoreError as error:
        raise core_error(error, what) from error
    except ResponseParserError as error:
        raise CloudError(
            f"{what}: the answer is none of AWS's: {str(error)[:200]}",
            hint="a proxy may have answered in its place: check HTTPS_PROXY and AWS_ENDPOINT_URL",
        ) from error


def code_of(error: ClientError) -> str:
    """AWS's error code; an answer without a body (to HEAD) has its HTTP status for one."""
    return str(error.response.get("Error", {}).get("Code", ""))


def cause_code(error: BaseException) -> str:
    """AWS's code behind an error that `translated` made; empty when AWS did not answer."""
    cause = error.__cause__
    return code_of(cause) if isinstance(cause, ClientError) else ""


def told_by(error: BaseException) -> str:
    """AWS's own words behind an error that `translated` made."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return ""
    return str(cause.response.get("Error", {}).get("Message", ""))


def is_permanent(error: BaseException) -> bool:
    """Whether AWS has refused this very request, so that to try it again later changes nothing."""
    code = cause_code(error)
    return bool(code) and code not in PASSING


def client_error(error: ClientError, what: str, *, service: str = "s3") -> CloudError:
    """What AWS answered, as one line and a hint."""
    code = code_of(error)
    told = str(error.response.get("Error", {}).get("Message", "")).strip()
    call = error.operation_name
    # EC2 adds what it has decoded for nobody: some thousand characters.
    told = told.partition("Encoded authorization failure message")[0].strip()
    if code.startswith("KMS.") or (code in DENIED and "kms" in told.lower()):
        return CloudError(
            f"{what}: KMS refuses {call}: {told or code}",
            hint="the key has to be enabled, in the same region, and allow these credentials "
            "kms:GenerateDataKey and kms:Decrypt",
        )
    if code in DENIED and service != "s3":
        return CloudError(
            f"{what}: AWS denies {service}:{call}" + (f": {told}" if told else ""),
            hint=f"the role needs {service}:{call}; iam/ has the policies that goldpress needs",
        )
    meaning = MEANINGS.get(code)
    if meaning is None and code.endswith(("LimitExceeded", "LimitExceededException", *_QUOTA)):
        meaning = _FULL
    if meaning is None:
        return CloudError(f"{what}: {call} failed: {code}: {told}")
    text, hint = meaning
    return CloudError(f"{what}: {text.format(call=call, code=code)}", hint=hint)


def core_error(error: BotoCoreError, what: str) -> CloudError:
    """What went wrong before or without an answer of AWS."""
    if isinstance(error, NO_CREDENTIALS):
        return CloudError(
            f"{what}: no AWS credentials: {error}",
            hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in",
        )
    if isinstance(error, EXPIRED_LOGINS):
        return CloudError(f"{what}: the AWS login has expired: {error}", hint=LOG_IN)
    if isinstance(error, UNREACHABLE):
        return CloudError(
            f"{what}: no answer, also after retries: {error}",
            hint="check the network, HTTPS_PROXY, AWS_REGION and AWS_ENDPOINT_URL",
        )
    return CloudError(f"{what}: {error}")
