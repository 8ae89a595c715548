"""Owns launch templates: a version read, and made from another one with another AMI, once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.aws.client import Access, Client
from goldpress.aws.errors import translated
from goldpress.aws.scaling import TemplateRef, moment_text
from goldpress.errors import CloudError

NO_TEMPLATE = frozenset(
    {
        "InvalidLaunchTemplateId.NotFound",
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidLaunchTemplateId.VersionNotFound",
        "InvalidLaunchTemplateId.Malformed",
    }
)
#: Longest description of a version.
DESCRIPTION = 255
PAGE = 200
#: An AMI that EC2 looks up at each launch, in a parameter.
RESOLVED = "resolve:ssm:"


@dataclass(frozen=True, kw_only=True)
class TemplateVersion:
    """A version of a launch template; `data` is what it launches, as EC2 describes it.

    `by` is the ARN of who made it, `made` when (UTC).
    """

    ref: TemplateRef
    data: Mapping[str, Any]
    description: str
    by: str
    made: str

    @property
    def ami(self) -> str:
        """The AMI, or `resolve:ssm:...`; empty where it names none."""
        return str(self.data.get("ImageId", ""))

    @property
    def type(self) -> str:
        """The instance type; empty where it names none."""
        return str(self.data.get("InstanceType", ""))

    @property
    def user_data(self) -> bytes:
        """What an instance gets as its user data. Raises CloudError for what is no base64."""
        try:
            return base64.b64decode(str(self.data.get("UserData") or ""), validate=False)
        except ValueError:
            raise CloudError(
                f"launch template {self.ref.text}: its user data is not base64",
                hint="make a version of it whose user data is",
            ) from None


@dataclass(frozen=True, kw_only=True)
class LaunchTemplates:
    """Launch templates of one region."""

    client: Client
    region: str

    @classmethod
    def at(cls, access: Access, region: str) -> LaunchTemplates:
        """Raises CloudError when no client can be made."""
        return cls(client=access.client("ec2", region), region=region)

    def version(self, ref: TemplateRef, *, resolved: bool = False) -> TemplateVersion:
        """The version that is meant now, also by `$Latest` or `$Default`, with its number.

        `resolved`: with the AMI that its parameter has now. Raises CloudError, also when there is
        none.
        """
        asked = {"ResolveAlias": True} if resolved else {}
        with self._about(ref):
            answer = self.client.describe_launch_template_versions(
                LaunchTemplateId=ref.id, Versions=[ref.version], **asked
            )
        rows = answer["LaunchTemplateVersions"]
        if not rows:
            raise CloudError(
                f"launch template {ref.text} is not in {self.region}",
                hint="the group that names it can launch nothing: give it a template that is there",
            )
        return _version(rows[0])

    def versions(self, template: str) -> Iterator[TemplateVersion]:
        """Every version of a template (its id), the newest first."""
        following: dict[str, str] = {}
        while True:
            with translated(f"launch template {template} in {self.region}", service="ec2"):
                answer = self.client.describe_launch_template_versions(
                    LaunchTemplateId=template, MaxResults=PAGE, **following
                )
            yield from map(_version, answer["LaunchTemplateVersions"])
            if not answer.get("NextToken"):
                return
            following = {"NextToken": str(answer["NextToken"])}

    def create(
        self, source: TemplateRef, *, ami: str, digest: str, description: str
    ) -> TemplateVersion:
        """The version that is `source` with another AMI: made, or made before by the same request.

        `digest` is the image's. Raises CloudError, also for a version that EC2 made otherwise.
        """
        request = create_request(source, ami=ami, digest=digest, description=description)
        with self._about(source):
            answer = self.client.create_launch_template_version(**request)
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        made = self.version(source.at(number))
        if faults := differences(self.version(source), made, ami=ami):
            raise CloudError(
                f"launch template {made.ref.text} in {self.region} is not {source.text} with "
                f"{ami}: {'; '.join(faults)}",
                hint="nothing uses it yet; look at both versions in the console",
            )
        return made

    def delete(self, ref: TemplateRef) -> None:
        """Delete a version; one that is not there is no failure. Raises CloudError."""
        with self._about(ref):
            answer = self.client.delete_launch_template_versions(
                LaunchTemplateId=ref.id, Versions=[ref.version]
            )
        for row in answer.get("UnsuccessfullyDeletedLaunchTemplateVersions", ()):
            told = row.get("ResponseError", {})
            if not str(told.get("Code", "")).endswith("DoesNotExist"):
                raise CloudError(
                    f"launch template {ref.text} in {self.region} was not deleted: "
                    f"{told.get('Message') or told.get('Code')}"
                )

    def _about(self, ref: TemplateRef) -> Any:
        return translated(f"launch template {ref.text} in {self.region}", service="ec2")


def create_request(
    source: TemplateRef, *, ami: str, digest: str, description: str
) -> dict[str, Any]:
    """The arguments of CreateLaunchTemplateVersion: what is not named is the source's."""
    return {
        "LaunchTemplateId": source.id,
        "SourceVersion": source.version,
        "LaunchTemplateData": {"ImageId": ami},
        "VersionDescription": description[:DESCRIPTION],
        "ClientToken": token_of(source, ami=ami, digest=digest),
    }


def token_of(source: TemplateRef, *, ami: str, digest: str) -> str:
    """The client token by which the same request is the same version: 64 hex digits."""
    text = f"{source.id}\n{source.version}\n{ami}\n{digest}"
    return hashlib.sha256(text.encode()).hexdigest()


def differences(source: TemplateVersion, made: TemplateVersion, *, ami: str) -> list[str]:
    """Where a version is not the source with another AMI, by the names of its data.

    EC2 leaves out what snapshots the disks of the source came from: those belong to its AMI.
    """
    before, after = _comparable(source.data), _comparable(made.data)
    rows = [f"ImageId is {made.ami}"] if made.ami != ami else []
    names = sorted({*before, *after} - {"ImageId"})
    return rows + [f"{name} differs" for name in names if before.get(name) != after.get(name)]


def _comparable(data: Mapping[str, Any]) -> dict[str, Any]:
    disks = [
        {
            **row,
            **(
                {"Ebs": {k: v for k, v in row["Ebs"].items() if k != "SnapshotId"}}
                if "Ebs" in row
                else {}
            ),
        }
        for row in data.get("BlockDeviceMappings", ())
    ]
    return {**data, "BlockDeviceMappings": disks}


def _version(row: Mapping[str, Any]) -> TemplateVersion:
    return TemplateVersion(
        ref=TemplateRef(
            id=str(row["LaunchTemplateId"]),
            name=str(row.get("LaunchTemplateName", "")),
            version=str(row["VersionNumber"]),
        ),
        data=row["LaunchTemplateData"],
        description=str(row.get("VersionDescription", "")),
        by=str(row.get("CreatedBy", "")),
        made=moment_text(row.get("CreateTime")),
    )
