"""Owns adopting a group: the one-time move from `$Latest`, or a parameter, to a numbered version.

Nothing that runs is changed by it, and what the group launches next is what it would have launched
anyway: only not whatever comes after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from goldpress import progress
from goldpress.aws.scaling import TemplateRef
from goldpress.aws.templates import RESOLVED, TemplateVersion
from goldpress.errors import CloudError, ConflictError
from goldpress.fleet.observed import Observed, observe_one
from goldpress.fleet.owner import advice, owner_of
from goldpress.fleet.place import Place
from goldpress.fleet.preflight_facts import NO_TEMPLATE_HINT


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """The move of a group (`account/region/name`) from `before` to a numbered version of it.

    `to` is empty where that has to be made first, as a copy of `source` with this `ami`. `owner` is
    who may move it back.
    """

    group: str
    before: TemplateRef
    source: TemplateRef
    to: str
    ami: str
    owner: str

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.before.version != self.to

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "group": self.group,
            "template": self.before.id,
            "from": self.before.version,
            "to": self.to or f"a copy of {self.source.version} with {self.ami}",
            "ami": self.ami,
            "owner": self.owner or None,
            "needed": self.needed,
        }

    @property
    def text(self) -> str:
        """It in a sentence."""
        if not self.needed:
            return f"{self.group} launches from {self.before.text} already: nothing to do"
        made = self.to or f"a new version, which is {self.source.version} with {self.ami},"
        return f"{self.group} goes from {self.before.text} to {made} ({self.ami})"


def plan_adoption(observed: Observed, resolved: TemplateVersion) -> Adoption:
    """What would be moved; `resolved` is the group's version with its parameter's AMI.

    Raises CloudError for a group that cannot be moved, ConflictError while a refresh runs.
    """
    group, version = observed.group, observed.template
    if group.launch_configuration or version is None:
        raise CloudError(f"{group.key} launches from a launch configuration", hint=NO_TEMPLATE_HINT)
    if observed.active is not None:
        raise ConflictError(
            f"{group.key}: refresh {observed.active.id} is {observed.active.status}",
            hint="wait until it has ended: AWS sets the group's version at its end",
        )
    if not resolved.ami.startswith("ami-"):
        raise CloudError(
            f"{group.key}: {version.ref.text} names {resolved.ami or 'no AMI'}, of which EC2 does "
            "not tell what it is now",
            hint="make a version of the template that names an AMI, and give it to the group",
        )
    return Adoption(
        group=group.key,
        before=group.template,
        source=version.ref,
        to="" if version.ami.startswith(RESOLVED) else version.ref.version,
        ami=resolved.ami,
        owner=owner_of(group, version),
    )


def look(place: Place, name: str) -> Adoption:
    """What would be moved. Raises as `plan_adoption`, MissingError for no such group."""
    observed = observe_one(place, name, targets=False)
    if observed.template is None:
        raise CloudError(
            f"{observed.key} launches from a launch configuration", hint=NO_TEMPLATE_HINT
        )
    return plan_adoption(observed, _resolved(place, observed.template))


def adopt(place: Place, name: str, shown: Adoption) -> Adoption:
    """Make the move that was shown, and look whether it was made.

    Raises ConflictError when the group is not what was shown any more, CloudError.
    """
    adoption = look(place, name)
    if adoption != shown:
        raise ConflictError(
            f"{shown.group} has changed since it was shown: {adoption.text}",
            hint="look at it again",
        )
    if not adoption.needed:
        return adoption
    to = adoption.to
    if not to:
        made = place.templates.create(
            adoption.source,
            ami=adoption.ami,
            digest=adoption.ami,
            description=f"goldpress: version {adoption.source.version} with {adoption.ami}",
        )
        to = made.ref.version
    with progress.step(f"adopt {name}", f"version {to}"):
        group = observe_one(place, name, targets=False).group
        place.groups.set_template(group, group.template.at(to))
        after = observe_one(place, name, targets=False).group.template
    if after.version != to:
        raise CloudError(
            f"{shown.group}: AWS took the change, and its version is {after.version}",
            hint=f"somebody else changes it: {advice(adoption.owner)}",
        )
    if adoption.owner:
        progress.note(f"{adoption.owner} manages this group; {advice(adoption.owner)}")
    return adoption


def _resolved(place: Place, version: TemplateVersion) -> TemplateVersion:
    if version.ami.startswith(RESOLVED):
        return place.templates.version(version.ref, resolved=True)
    return version
