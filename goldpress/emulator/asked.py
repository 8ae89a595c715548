"""Owns what a request asks for: its service, action, region, account, and how errors look there."""

from __future__ import annotations

import io
import json
import re
import urllib.parse
from dataclasses import dataclass
from wsgiref.types import WSGIEnvironment
from xml.sax.saxutils import escape

#: ``Credential=KEY/20260101/us-east-1/ec2/aws4_request``
CREDENTIAL = re.compile(r"Credential=([^/\s,]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
#: Keys of this form belong to the account that they name, whatever the secret.
ACCOUNT_KEY = re.compile(r"AKIA0000(\d{12})")
FORM = "application/x-www-form-urlencoded"
EBS_ACTIONS = (
    ("POST", re.compile(r"/snapshots"), "StartSnapshot"),
    ("POST", re.compile(r"/snapshots/completion/[^/]+"), "CompleteSnapshot"),
    ("PUT", re.compile(r"/snapshots/[^/]+/blocks/\d+"), "PutSnapshotBlock"),
    ("GET", re.compile(r"/snapshots/[^/]+/blocks/\d+"), "GetSnapshotBlock"),
    ("GET", re.compile(r"/snapshots/[^/]+/blocks"), "ListSnapshotBlocks"),
    ("GET", re.compile(r"/snapshots/[^/]+/changedblocks"), "ListChangedBlocks"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request. `action` is empty where it cannot be told from the outside, as for S3."""

    service: str = ""
    action: str = ""
    region: str = ""
    access_key: str = ""

    @property
    def account(self) -> str:
        """The account that the access key itself names, or nothing."""
        match = ACCOUNT_KEY.fullmatch(self.access_key)
        return match.group(1) if match else ""


def asked(environ: WSGIEnvironment) -> Asked:
    """What a request asks for; a form's body is read and put back."""
    match = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = match.groups() if match else ("", "", "")
    return Asked(service=service, action=_action(environ, service), region=region, access_key=key)


def _action(environ: WSGIEnvironment, service: str) -> str:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    if service == "ebs":
        for method, pattern, action in EBS_ACTIONS:
            path = environ["PATH_INFO"]
            if environ["REQUEST_METHOD"] == method and pattern.fullmatch(path):
                return action
    if str(environ.get("CONTENT_TYPE", "")).startswith(FORM):
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(data)
        found = urllib.parse.parse_qs(data.decode(errors="replace")).get("Action", [""])
        return str(found[0])
    return ""


def error_answer(service: str, code: str, message: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of an error, as the service's protocol has them."""
    if service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error></Errors>"
            "<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"
        )
        return [("Content-Type", "text/xml")], body.encode()
    if service in {"ebs", "ssm", "kms", "cloudtrail", "monitoring"}:
        body = json.dumps({"__type": code, "message": message, "Message": message})
        kind = "application/json" if service == "ebs" else "application/x-amz-json-1.1"
        return [("Content-Type", kind), ("x-amzn-ErrorType", code)], body.encode()
    inner = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if service in {"", "s3"}:
        return [("Content-Type", "application/xml")], f'<?xml version="1.0"?>{inner}'.encode()
    body = f"<ErrorResponse>{inner}<RequestId>0</RequestId></ErrorResponse>"
    return [("Content-Type", "text/xml")], body.encode()
