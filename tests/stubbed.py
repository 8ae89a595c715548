"""Owns clients whose answers are given beforehand: botocore refuses requests and answers that its
service models do not allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3  # noqa: TID251 - what goldpress/aws calls
from botocore.stub import Stubber  # noqa: TID251

REGION = "us-east-1"
ACCOUNT = "123456789012"


class Stubbed:
    """An access of which every call is expected, in order; see `over`."""

    def __init__(self) -> None:
        self.stubs: dict[tuple[str, str], Stubber] = {}

    def stub(self, service: str, region: str = REGION) -> Stubber:
        key = (service, region)
        if key not in self.stubs:
            client = boto3.client(  # type: ignore[call-overload]
                service,
                region_name=region,
                aws_access_key_id="t",
                aws_secret_access_key="t",  # noqa: S106
            )
            self.stubs[key] = Stubber(client)
            self.stubs[key].activate()
        return self.stubs[key]

    def client(self, service: str, region: str = REGION, **_: Any) -> Any:
        return self.stub(service, region).client

    def says(
        self,
        service: str,
        call: str,
        answer: Mapping[str, Any],
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        expected = None if asked is None else dict(asked)
        self.stub(service).add_response(call, dict(answer), expected)

    def refuses(self, service: str, call: str, code: str, message: str = "") -> None:
        self.stub(service).add_client_error(call, code, message)

    def over(self) -> None:
        """Fails when something that was expected was not asked."""
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()
