"""Owns launch templates: versions that merge, that can be deleted, and keep their numbers.

[M] CreateLaunchTemplateVersion: "SourceVersion ... The new version inherits the same launch
parameters as the source version, except for parameters that you specify in LaunchTemplateData."
"""

from __future__ import annotations

import copy
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidLaunchTemplateVersionNotFound
from moto.ec2.models.launch_templates import (
    LaunchTemplate,
    LaunchTemplateBackend,
    LaunchTemplateVersion,
)
from moto.ec2.responses import EC2Response
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

from goldpress.emulator import patches
from goldpress.emulator.images import Ec2Error
from goldpress.emulator.launches import resolved
from goldpress.emulator.world import current

HIGHEST = "_goldpress_highest"
DEFAULT_PAGE = 200


def extend_templates() -> None:
    """Teach moto's launch templates what it lacks. Raises RuntimeError when moto has changed."""
    patches.replace(
        LaunchTemplates,
        {
            "create_launch_template_version": create_version,
            "describe_launch_template_versions": describe_versions,
        },
    )
    patches.add(EC2Response, {"delete_launch_template_versions": delete_versions})
    methods: dict[str, Any] = {
        "create_version": (("self", "data", "description"), _create),
        "get_version": (("self", "num"), _get),
        "default_version": (("self",), _default),
    }
    for name, (parameters, _) in methods.items():
        patches.original(LaunchTemplate, name, parameters)
    for name, (_, method) in methods.items():
        setattr(LaunchTemplate, name, method)
    patches.original(
        LaunchTemplateBackend, "describe_launch_templates",
        ("self", "template_names", "template_ids", "filters"),
    )  # fmt: skip


def _create(self: Any, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """A version's number is never used again, also when it was deleted."""
    number = getattr(self, HIGHEST, 0) + 1
    setattr(self, HIGHEST, number)
    version = LaunchTemplateVersion(self, number, data, description)
    self.versions.append(version)
    return version


def _get(self: Any, num: Any) -> LaunchTemplateVersion:
    if str(num).lower() == "$latest":
        latest: LaunchTemplateVersion = self.versions[-1]
        return latest
    if str(num).lower() == "$default":
        return _default(self)
    wanted: list[LaunchTemplateVersion] = [v for v in self.versions if str(v.number) == str(num)]
    if wanted:
        return wanted[0]
    raise InvalidLaunchTemplateVersionNotFound(template_id=self.id, version=num)


def _default(self: Any) -> LaunchTemplateVersion:
    return _get(self, self.default_version_number)


def _template(self: Any) -> Any:
    name, template_id = self._get_param("LaunchTemplateName"), self._get_param("LaunchTemplateId")
    if bool(name) == bool(template_id):
        raise Ec2Error(
            "InvalidParameterCombination", "either LaunchTemplateId or LaunchTemplateName"
        )
    if name:
        return self.ec2_backend.get_launch_template_by_name(name)
    return self.ec2_backend.get_launch_template(template_id)


def create_version(self: Any) -> ActionResult:
    """[M] CreateLaunchTemplateVersion, with SourceVersion and ClientToken."""
    world = current()
    asked = {name: self._get_param(name) for name in ("SourceVersion", "LaunchTemplateData")}
    token = self._get_param("ClientToken") or ""
    with world.lock:
        template = _template(self)
        place = (f"CreateLaunchTemplateVersion {template.id}", template.id, self.region, token)
        if token and place in world.tokens:
            before, result = world.tokens[place]
            if before != asked:
                raise Ec2Error("IdempotentParameterMismatch", "the client token was used before")
            return ActionResult(result)
        data = copy.deepcopy(self._get_param("LaunchTemplateData") or {})
        if "UserData" in data:
            data["UserData"] = parse_user_data(data["UserData"])
        if asked["SourceVersion"]:
            data = {**copy.deepcopy(_get(template, asked["SourceVersion"]).data), **data}
        self.error_on_dryrun()
        version = template.create_version(data, self._get_param("VersionDescription"))
        result = {"LaunchTemplateVersion": _document(self, template, version)}
        if token:
            world.tokens[place] = (asked, result)
    return ActionResult(result)


def _document(self: Any, template: Any, version: Any) -> dict[str, Any]:
    return {
        "CreateTime": version.create_time,
        "CreatedBy": f"arn:{self.partition}:iam::{self.current_account}:root",
        "DefaultVersion": template.is_default(version),
        "LaunchTemplateData": version.data,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionDescription": version.description,
        "VersionNumber": version.number,
    }


def describe_versions(self: Any) -> ActionResult:
    """[M] DescribeLaunchTemplateVersions: of one template, or $Latest and $Default of all."""
    wanted = self._get_param("Versions", [])
    low, high = self._get_int_param("MinVersion"), self._get_int_param("MaxVersion")
    if self._get_param("LaunchTemplateName") or self._get_param("LaunchTemplateId"):
        templates = [_template(self)]
    elif wanted and set(wanted) <= {"$Latest", "$Default"}:
        templates = list(self.ec2_backend.launch_templates.values())
    else:
        raise Ec2Error("MissingParameter", "a launch template, or Versions $Latest or $Default")
    self.error_on_dryrun()
    rows = []
    for template in templates:
        chosen = [_get(template, number) for number in wanted] or [
            version
            for version in reversed(template.versions)
            if (low or 0) <= version.number <= (high or version.number)
        ]
        rows += [_document(self, template, version) for version in chosen]
    if self._get_param("ResolveAlias"):
        rows = [_resolve(self, row) for row in rows]
    start = int(self._get_param("NextToken") or 0)
    end = start + (self._get_int_param("MaxResults") or DEFAULT_PAGE)
    result: dict[str, Any] = {"LaunchTemplateVersions": rows[start:end]}
    return ActionResult({**result, "NextToken": str(end)} if end < len(rows) else result)


def _resolve(self: Any, row: dict[str, Any]) -> dict[str, Any]:
    data = dict(row["LaunchTemplateData"])
    if data.get("ImageId"):
        account, region = self.current_account, self.region
        data["ImageId"] = resolved(data["ImageId"], account=account, region=region)
    return {**row, "LaunchTemplateData": data}


def delete_versions(self: Any) -> ActionResult:
    """[M] DeleteLaunchTemplateVersions: each by its number, the default one never."""
    with current().lock:
        template = _template(self)
        self.error_on_dryrun()
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        place = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
        for text in self._get_param("Versions", []):
            version = next((v for v in template.versions if str(v.number) == str(text)), None)
            if version is None:
                code, why = "launchTemplateVersionDoesNotExist", "there is no such version"
            elif template.is_default(version):
                code, why = "unexpectedError", "the default version cannot be deleted"
            else:
                template.versions.remove(version)
                done.append({**place, "VersionNumber": version.number})
                continue
            number = int(text) if str(text).isdigit() else 0
            error = {"Code": code, "Message": why}
            failed.append({**place, "VersionNumber": number, "ResponseError": error})
    return ActionResult(
        {
            "SuccessfullyDeletedLaunchTemplateVersions": done,
            "UnsuccessfullyDeletedLaunchTemplateVersions": failed,
        }
    )
