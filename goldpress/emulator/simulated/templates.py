"""Owns simulated launch templates: `scaling.world.Templates`, and EC2's calls about them.

The rules are those of `goldpress.emulator.templates`: versions merge with their source, numbers are
used once, a client token makes the same request the same version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldpress.emulator.scaling.activities import utc
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.world import TemplateVersion, Time

PAGE = 200


@dataclass(kw_only=True)
class Template:
    """One launch template; `versions` by number, `highest` was ever used."""

    id: str
    name: str
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    default: int = 1
    highest: int = 0


@dataclass(kw_only=True)
class Templates:
    """The launch templates of one account and region."""

    clock: Time
    account: str
    region: str
    images: Mapping[str, Any]
    by_id: dict[str, Template] = field(default_factory=dict)
    by_name: dict[str, Template] = field(default_factory=dict)
    tokens: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = field(default_factory=dict)
    _versions: dict[tuple[str, int], TemplateVersion] = field(default_factory=dict)

    def version(self, template: str, version: str) -> TemplateVersion:
        """A version by the template's id or name; empty is ``$Default``. Raises KeyError."""
        found = self.by_id.get(template) or self.by_name[template]
        number = _number(found, version or "$Default")
        made = self._versions.get((found.id, number))
        if made is None:
            made = TemplateVersion(
                id=found.id,
                name=found.name,
                number=number,
                data=found.versions[number]["LaunchTemplateData"],
            )
            self._versions[found.id, number] = made
        return made

    def problem(self, version: TemplateVersion) -> str:
        """Why RunInstances would refuse it, in EC2's words; empty: it would not."""
        image = version.data.get("ImageId")
        return "" if image in self.images else f"The image id '[{image}]' does not exist"

    def make(self, name: str, data: Mapping[str, Any]) -> str:
        """A new template with a first version; returns its id."""
        number = len(self.by_id) + 1
        template = Template(id=f"lt-{number:017x}", name=name)
        self.by_id[template.id] = self.by_name[name] = template
        self._add(template, data, "")
        return template.id

    def _add(self, template: Template, data: Mapping[str, Any], text: str) -> dict[str, Any]:
        template.highest += 1
        row: dict[str, Any] = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": template.highest,
            "CreateTime": utc(self.clock.now()),
            "CreatedBy": f"arn:aws:iam::{self.account}:root",
            "LaunchTemplateData": dict(data),
        }
        if text:
            row["VersionDescription"] = text
        template.versions[template.highest] = row
        return row

    def of(self, request: Mapping[str, Any]) -> Template:
        """The template that a request names. Raises ScalingError."""
        found = self.by_id.get(request.get("LaunchTemplateId", ""))
        found = found or self.by_name.get(request.get("LaunchTemplateName", ""))
        if found is None:
            raise ScalingError(
                "InvalidLaunchTemplateId.NotFound",
                "The specified launch template, with template ID "
                f"{request.get('LaunchTemplateId') or request.get('LaunchTemplateName')}, does not "
                "exist.",
            )
        return found


def _number(template: Template, version: str) -> int:
    if version == "$Latest":
        return max(template.versions)
    number = template.default if version == "$Default" else int(version)
    if number not in template.versions:
        raise KeyError(version)
    return number


def _found(template: Template, version: str) -> int:
    try:
        return _number(template, version)
    except (KeyError, ValueError) as error:
        raise ScalingError(
            "InvalidLaunchTemplateId.VersionNotFound",
            f"Could not find the specified version {version} for the launch template with ID "
            f"{template.id}.",
        ) from error


def _shown(template: Template, row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "DefaultVersion": row["VersionNumber"] == template.default}


def create(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CreateLaunchTemplate."""
    name = request["LaunchTemplateName"]
    if name in templates.by_name:
        raise ScalingError(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            f"Launch template name already in use: {name}",
        )
    made = templates.make(name, request["LaunchTemplateData"])
    return {"LaunchTemplate": _template(templates.by_id[made])}


def _template(template: Template) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "DefaultVersionNumber": template.default,
        "LatestVersionNumber": max(template.versions),
    }


def create_version(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] CreateLaunchTemplateVersion."""
    template = templates.of(request)
    token = request.get("ClientToken", "")
    if token in templates.tokens:
        asked, answer = templates.tokens[token]
        if asked != dict(request):
            raise ScalingError(
                "IdempotentParameterMismatch", "The client token was used with other parameters."
            )
        return answer
    data = dict(request["LaunchTemplateData"])
    if source := request.get("SourceVersion"):
        row = template.versions[_found(template, source)]
        data = {**row["LaunchTemplateData"], **data}
    row = templates._add(template, data, request.get("VersionDescription", ""))  # noqa: SLF001
    answer = {"LaunchTemplateVersion": _shown(template, row)}
    if token:
        templates.tokens[token] = dict(request), answer
    return answer


def describe_versions(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeLaunchTemplateVersions, of one template."""
    template = templates.of(request)
    if wanted := request.get("Versions"):
        numbers = [_found(template, version) for version in wanted]
    else:
        numbers = sorted(template.versions, reverse=True)
    start = int(request.get("NextToken") or 0)
    end = start + request.get("MaxResults", PAGE)
    rows = [_shown(template, template.versions[number]) for number in numbers[start:end]]
    answer: dict[str, Any] = {"LaunchTemplateVersions": rows}
    return {**answer, "NextToken": str(end)} if end < len(numbers) else answer


def describe(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DescribeLaunchTemplates."""
    ids, names = request.get("LaunchTemplateIds"), request.get("LaunchTemplateNames")
    rows = [
        row
        for row in templates.by_id.values()
        if (not ids or row.id in ids) and (not names or row.name in names)
    ]
    return {"LaunchTemplates": [_template(row) for row in rows]}


def modify(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] ModifyLaunchTemplate: its default version."""
    template = templates.of(request)
    template.default = _found(template, request["DefaultVersion"])
    return {"LaunchTemplate": _template(template)}


def delete_versions(templates: Templates, request: Mapping[str, Any]) -> dict[str, Any]:
    """[M] DeleteLaunchTemplateVersions: each by its number, the default one never."""
    template = templates.of(request)
    place = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for text in request["Versions"]:
        number = int(text)
        code = ""
        if number not in template.versions:
            code = "launchTemplateVersionDoesNotExist"
        elif number == template.default:
            code = "unexpectedError"
        if code:
            error = {"Code": code, "Message": f"version {text} of {template.id}"}
            failed.append({**place, "VersionNumber": number, "ResponseError": error})
            continue
        del template.versions[number]
        templates._versions.pop((template.id, number), None)  # noqa: SLF001
        done.append({**place, "VersionNumber": number})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": done,
        "UnsuccessfullyDeletedLaunchTemplateVersions": failed,
    }


CALLS = {
    "CreateLaunchTemplate": create,
    "CreateLaunchTemplateVersion": create_version,
    "DescribeLaunchTemplates": describe,
    "DescribeLaunchTemplateVersions": describe_versions,
    "ModifyLaunchTemplate": modify,
    "DeleteLaunchTemplateVersions": delete_versions,
}
