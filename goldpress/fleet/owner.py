"""Owns who manages a group besides goldpress, as far as that shows: CloudFormation, Terraform."""

from __future__ import annotations

from goldpress.aws.scaling import Group
from goldpress.aws.templates import TemplateVersion

#: AWS itself sets it, and nobody else can.
STACK = "aws:cloudformation:stack-name"
#: By convention only: Terraform marks nothing by itself.
KEYS = ("managed-by", "managedby", "managed_by", "provisioner", "iac", "tool")


def owner_of(group: Group, version: TemplateVersion | None = None) -> str:
    """Who made the group, or this version of its template, in a few words; empty: not seen."""
    if stack := group.tags.get(STACK):
        return f"the CloudFormation stack {stack}"
    for key, value in sorted(group.tags.items()):
        if "terraform" in key.lower() or (
            key.lower() in KEYS and any(word in value.lower() for word in ("terraform", "tofu"))
        ):
            return f"Terraform (by its tag {key}={value})"
    if version is not None and "terraform" in f"{version.by} {version.description}".lower():
        return f"Terraform ({version.by})"
    return ""


def advice(owner: str) -> str:
    """What its owner has to be told, so that it does not move the group back."""
    if owner.startswith("the CloudFormation"):
        return (
            "there, take the launch template's version from a parameter that the roll's pipeline "
            "sets, not from LatestVersionNumber"
        )
    if owner.startswith("Terraform"):
        return "there, ignore_changes of the group's launch_template, and of mixed_instances_policy"
    return "whoever manages it has to leave the group's launch template version alone"
