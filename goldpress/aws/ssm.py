"""Owns parameters of SSM that name AMIs: read, written, and read back until they are so.

PutParameter with the data type `aws:ec2:image` answers before AWS has looked at the AMI; what it
then does not like is neither written nor told. Only a read tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import cause_code, translated
from goldpress.aws.waiting import wait_until
from goldpress.errors import CloudError, ConflictError

IMAGE = "aws:ec2:image"
NO_PARAMETER = "ParameterNotFound"
TAKEN = "ParameterAlreadyExists"
#: AWS looks at the AMI within seconds; what is not there after a minute is not coming.
WRITTEN_SECONDS = 60.0
POLL_SECONDS = 1.0
#: Servers of SSM know of a change at different times: one that answers is not enough.
SEEN = 2


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter: its value, what AWS takes that for, and how often it was written."""

    name: str
    value: str
    data_type: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of one account and region."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> Parameters:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ssm", region), region=region)

    def get(self, name: str) -> Parameter | None:
        """A parameter, or None."""
        with self._about(name):
            try:
                row = self.client.get_parameter(Name=name)["Parameter"]
            except self.client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == NO_PARAMETER:
                    return None
                raise
        return _parameter(row)

    def write(self, name: str, ami: str, *, tags: Mapping[str, str]) -> None:
        """Have a parameter name an AMI, from now on; a new one gets these tags.

        Raises CloudError when AWS refuses, or took the value and does not keep it;
        ConflictError for a parameter that somebody made as something else.
        """
        before = self.get(name)
        if before is not None and before.data_type != IMAGE:
            raise ConflictError(
                f"{name} in {self.region}: is there as {before.data_type}, not as {IMAGE}",
                hint="find out who made it, delete it, then run the command again",
            )
        if before is None or before.value != ami:
            self._put(name, ami, {} if before else tags)
        self._wait(name, ami)

    def _put(self, name: str, ami: str, tags: Mapping[str, str]) -> None:
        # AWS takes tags only for a parameter that it makes.
        rows = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        asked: dict[str, Any] = {"Tags": rows} if rows else {"Overwrite": True}
        try:
            with self._about(name):
                self.client.put_parameter(
                    Name=name, Value=ami, Type="String", DataType=IMAGE, **asked
                )
        except CloudError as error:
            # The answer to the first attempt may have been lost.
            if cause_code(error) != TAKEN:
                raise

    def _wait(self, name: str, ami: str) -> None:
        what = f"{name} in {self.region}"
        last: list[str] = [""]

        def probe() -> tuple[Parameter | None, str]:
            found = self.get(name)
            last[0] = found.value if found else "not there"
            good = found is not None and (found.value, found.data_type) == (ami, IMAGE)
            return (found if good else None), last[0]

        try:
            wait_until(what, probe, seconds=WRITTEN_SECONDS, poll=POLL_SECONDS, times=SEEN)
        except CloudError as error:
            if error.__cause__ is not None:
                raise
            raise CloudError(
                f"{what}: AWS took the value {ami} and did not keep it: it is {last[0]}",
                hint=f"is {ami} available in {self.region}, and may the role call "
                "ec2:DescribeImages? Then run the command again",
            ) from None

    def _about(self, what: str) -> Any:
        return translated(f"{what} in {self.region}", service="ssm")


def _parameter(row: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=str(row["Name"]),
        value=str(row["Value"]),
        data_type=str(row.get("DataType", "")),
        version=int(row["Version"]),
    )
