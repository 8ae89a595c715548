"""Owns what a group launches: a launch template's version, or a mixed instances policy.

[M] LaunchTemplateSpecification, MixedInstancesPolicy, LaunchTemplateOverrides, DesiredConfiguration
and InstancesDistribution. Weights and attribute-based instance types are refused: nothing here
counts in anything but instances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goldpress.emulator.scaling.errors import ScalingError, invalid
from goldpress.emulator.scaling.member import Member
from goldpress.emulator.scaling.world import Templates, TemplateVersion

#: [M] DesiredConfiguration's members, and the same of a group.
KEYS = ("LaunchTemplate", "MixedInstancesPolicy")
RESOLVE = "resolve:ssm:"
DEFAULT_TYPE = "m1.small"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A version of a launch template as someone asked for it: ``3``, ``$Latest``, ``$Default``."""

    id: str = ""
    name: str = ""
    version: str = "$Default"

    @property
    def numeric(self) -> bool:
        """Whether it names one version for good."""
        return self.version.isdigit()

    def resolved(self, templates: Templates) -> TemplateVersion:
        """The version that it means now. Raises ScalingError."""
        try:
            return templates.version(self.id or self.name, self.version)
        except KeyError as error:
            raise invalid(
                "You must use a valid fully-formed launch template. The specified launch template, "
                f"with template {self.id or self.name} and version {self.version}, does not exist."
            ) from error

    def document(self) -> dict[str, str]:
        """[M] LaunchTemplateSpecification."""
        return {
            "LaunchTemplateId": self.id,
            "LaunchTemplateName": self.name,
            "Version": self.version,
        }


@dataclass(frozen=True, kw_only=True)
class Override:
    """[M] LaunchTemplateOverrides: an instance type, with its own template or AMI if it has one."""

    type: str
    spec: Spec | None = None
    image: str = ""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a group, or a refresh, launches. `mixed` is the policy as it was asked for."""

    spec: Spec
    mixed: Mapping[str, Any] | None = None
    overrides: tuple[Override, ...] = ()
    #: [M] InstancesDistribution: OnDemandBaseCapacity, OnDemandPercentageAboveBaseCapacity.
    base: int = 0
    percent: int = 100
    prioritized: bool = False

    def document(self) -> dict[str, Any]:
        """As a group and a DesiredConfiguration show it."""
        if self.mixed is None:
            return {"LaunchTemplate": self.spec.document()}
        return {"MixedInstancesPolicy": self.mixed}

    def no_way_back(self, templates: Templates) -> str:
        """Why a refresh of a group with this configuration cannot be rolled back; empty: it can.

        [M] RefreshPreferences.AutoRollback: "The Auto Scaling group has a launch template that uses
        an AWS Systems Manager parameter instead of an AMI ID", "... $Latest or $Default version".
        """
        specs = [self.spec, *(row.spec for row in self.overrides if row.spec)]
        for spec in specs:
            if not spec.numeric:
                return f"the group's launch template version is {spec.version}"
            if str(spec.resolved(templates).data.get("ImageId", "")).startswith(RESOLVE):
                return "the group's launch template uses an AWS Systems Manager parameter"
        return ""

    def spot_next(self, live: int, on_demand: int) -> bool:
        """Whether the next instance is a Spot one, with so many live ones.

        [M] OnDemandPercentageAboveBaseCapacity; rounding up to On-Demand is our own guess.
        """
        above = live + 1 - self.base
        return above > 0 and on_demand >= self.base + -(-above * self.percent // 100)

    def candidates(self, version: TemplateVersion, number: int, *, spot: bool) -> list[Override]:
        """The types to try, in order; `number` counts the group's launches.

        [M] OnDemandAllocationStrategy ``prioritized`` is the overrides' order. ``lowest-price`` and
        the Spot strategies depend on prices and capacities that nobody has here: they take turns.
        """
        if not self.overrides:
            return [Override(type=str(version.data.get("InstanceType") or DEFAULT_TYPE))]
        rows = list(self.overrides)
        turn = 0 if self.prioritized and not spot else number % len(rows)
        return rows[turn:] + rows[:turn]

    def matches(self, member: Member, version: TemplateVersion) -> bool:
        """[D] "Use an instance refresh with skip matching": same template version and a type of it.

        `version` is this configuration's, resolved.
        """
        own = member.template
        if own is None:
            return False
        if not self.overrides:
            return (own.id, own.number) == (version.id, version.number)
        row = next((row for row in self.overrides if row.type == member.type), None)
        if row is None or row.image != member.image:
            return False
        if row.spec is not None:
            return (own.id, str(own.number)) == (row.spec.id, row.spec.version)
        return (own.id, own.number) == (version.id, version.number)


def checked(request: Mapping[str, Any], templates: Templates) -> Configuration:
    """As `parsed`, for a group itself: AWS tries the launch template before it takes it.

    That StartInstanceRefresh does not is our own guess: its launches will fail.
    """
    found = parsed(request, templates)
    if why := templates.problem(found.spec.resolved(templates)):
        raise invalid(f"You must use a valid fully-formed launch template. {why}")
    return found


def parsed(request: Mapping[str, Any], templates: Templates) -> Configuration:
    """What a request's LaunchTemplate or MixedInstancesPolicy is. Raises ScalingError."""
    given = [key for key in KEYS if key in request]
    if len(given) != 1:
        raise invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, "
            "InstanceId or MixedInstancesPolicy parameter."
        )
    if given[0] == "LaunchTemplate":
        return Configuration(spec=spec_of(request["LaunchTemplate"], templates))
    return _mixed(request["MixedInstancesPolicy"], templates)


def _mixed(policy: Mapping[str, Any], templates: Templates) -> Configuration:
    template = policy.get("LaunchTemplate", {})
    if "LaunchTemplateSpecification" not in template:
        raise invalid("You must specify a launch template in your mixed instances policy.")
    spec = spec_of(template["LaunchTemplateSpecification"], templates)
    overrides = tuple(_override(row, templates) for row in template.get("Overrides", ()))
    split = policy.get("InstancesDistribution", {})
    shown = {
        **policy,
        "LaunchTemplate": {**template, "LaunchTemplateSpecification": spec.document()},
    }
    return Configuration(
        spec=spec,
        mixed=shown,
        overrides=overrides,
        base=split.get("OnDemandBaseCapacity", 0),
        percent=split.get("OnDemandPercentageAboveBaseCapacity", 100),
        prioritized=split.get("OnDemandAllocationStrategy") == "prioritized",
    )


def _override(row: Mapping[str, Any], templates: Templates) -> Override:
    if "InstanceType" not in row or "WeightedCapacity" in row:
        raise ScalingError(
            "ValidationError",
            "the emulated cloud has overrides with an InstanceType and without weights only",
        )
    spec = row.get("LaunchTemplateSpecification")
    return Override(
        type=row["InstanceType"],
        spec=spec_of(spec, templates) if spec else None,
        image=row.get("ImageId", ""),
    )


def spec_of(given: Mapping[str, Any], templates: Templates) -> Spec:
    """A specification with the template's id and name, once it is known to exist.

    [M] LaunchTemplateSpecification: id or name, not both; the default of Version is ``$Default``.
    """
    known = [key for key in ("LaunchTemplateId", "LaunchTemplateName") if given.get(key)]
    if len(known) != 1:
        raise invalid(
            "Valid requests must contain either launchTemplateId or LaunchTemplateName"
            + (", not both" if known else "")
        )
    asked = Spec(
        id=given.get("LaunchTemplateId", ""),
        name=given.get("LaunchTemplateName", ""),
        version=str(given.get("Version") or "$Default"),
    )
    if not asked.numeric and asked.version not in {"$Latest", "$Default"}:
        raise invalid(f"Invalid launch template version: {asked.version}")
    found = asked.resolved(templates)
    return Spec(id=found.id, name=found.name, version=asked.version)
