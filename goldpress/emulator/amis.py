"""Owns EC2's actions on AMIs that live: register, describe, share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses import EC2Response
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import generic_filter

from goldpress.emulator import patches
from goldpress.emulator.images import (
    NAME,
    Ec2Error,
    Image,
    check_choices,
    images_of,
    mapped,
    own,
)
from goldpress.emulator.retirement import (
    delete_snapshot,
    deregister_image,
    disable_image,
    disable_image_deprecation,
    disable_protection,
    enable_image,
    enable_image_deprecation,
    enable_protection,
)
from goldpress.emulator.snapshots import find, is_default_key
from goldpress.emulator.world import current

DESCRIBE_PAGE = (5, 1000)
ACCOUNT_DIGITS = 12


def extend_amis() -> None:
    """Teach moto's AMIs what it drops. Raises RuntimeError when moto has changed."""
    patches.replace(
        AmisResponse,
        {
            "register_image": register_image,
            "describe_images": describe_images,
            "describe_image_attribute": describe_image_attribute,
            "modify_image_attribute": modify_image_attribute,
            "deregister_image": deregister_image,
            "disable_image": disable_image,
            "enable_image": enable_image,
            "copy_image": _not_imitated("CopyImage"),
            "create_image": _not_imitated("CreateImage"),
        },
    )
    patches.add(
        EC2Response,
        {
            "enable_image_deprecation": enable_image_deprecation,
            "disable_image_deprecation": disable_image_deprecation,
            "enable_image_deregistration_protection": enable_protection,
            "disable_image_deregistration_protection": disable_protection,
        },
    )
    patches.original(EBSBackend, "delete_snapshot", ("self", "snapshot_id"))
    setattr(EBSBackend, "delete_snapshot", delete_snapshot)  # noqa: B010 - moto's method


def _not_imitated(action: str) -> Callable[[Any], ActionResult]:
    def refuse(_self: Any) -> ActionResult:
        raise Ec2Error("UnsupportedOperation", f"the embedded cloud has no {action}")

    return refuse


def register_image(self: Any) -> ActionResult:
    """[M] RegisterImage, with everything kept."""
    names = (
        "Name", "Description", "Architecture", "BootMode", "VirtualizationType", "TpmSupport",
        "ImdsSupport", "EnaSupport", "SriovNetSupport", "RootDeviceName",
    )  # fmt: skip
    asked = {name: self._get_param(name) for name in names}
    rows = self._get_param("BlockDeviceMappings", [])
    tags = image_tags(self)
    account, region = self.current_account, self.region
    with current().lock:
        if not NAME.fullmatch(asked["Name"] or ""):
            raise Ec2Error("InvalidAMIName.Malformed", f"AMI name '{asked['Name']}' is malformed")
        check_choices(asked)
        backend = ec2_backends[account][region]
        for image in backend.amis.values():
            if image.name == asked["Name"]:
                raise Ec2Error(
                    "InvalidAMIName.Duplicate",
                    f"AMI name {image.name} is already in use by AMI {image.id}",
                )
        root = asked["RootDeviceName"]
        asked["BlockDeviceMappings"] = mapped(rows, root, account=account, region=region)
        self.error_on_dryrun()
        made = Image(backend, asked)
        backend.amis[made.id] = made
        made.add_tags(tags)
    return ActionResult({"ImageId": made.id})


def image_tags(self: Any) -> dict[str, str]:
    """The tags for the AMI. [M] "If you specify another value, the request fails"."""
    tags: dict[str, str] = {}
    for row in self._get_param("TagSpecifications", []):
        if row.get("ResourceType") != "image":
            kind = row.get("ResourceType")
            raise Ec2Error("InvalidParameterValue", f"'{kind}' is not taggable by this operation")
        tags.update({tag["Key"]: tag.get("Value", "") for tag in row.get("Tags", [])})
    return tags


def describe_images(self: Any) -> ActionResult:
    """[M] DescribeImages: own, shared and public AMIs, filtered, in pages."""
    self.error_on_dryrun()
    account = self.current_account
    found = images_of(account, self.region)
    if ids := self._get_param("ImageIds", []):
        gone = ec2_backends[account][self.region].deleted_amis
        for image_id in ids:
            if all(image.id != image_id for image in found) and image_id not in gone:
                own(account, self.region, image_id)  # says what is wrong with this id
                raise Ec2Error(
                    "InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist"
                )
        found = [image for image in found if image.id in ids]
    if owners := self._get_param("Owners", []):
        wanted = [account if owner == "self" else owner for owner in owners]
        found = [i for i in found if i.owner_id in wanted or i.owner_alias in wanted]
    if users := self._get_param("ExecutableUsers", []):
        wanted = [account if user == "self" else user for user in users]
        found = [i for i in found if _explicit(i, wanted)]
    if not self._get_param("IncludeDeprecated"):
        found = [i for i in found if i.owner_id == account or not getattr(i, "deprecated", False)]
    if not (self._get_param("IncludeDisabled") or ids):
        found = [i for i in found if i.state != "disabled"]
    filters = self._filters_from_querystring()
    found = generic_filter(filters, found)
    rows, following = _page(self, found)
    result = {"Images": [i.document() if isinstance(i, Image) else i for i in rows]}
    return ActionResult({**result, "NextToken": following} if following else result)


def _explicit(image: Any, users: list[str]) -> bool:
    if "all" in users and image.is_public:
        return True
    return any(row.get("UserId") in users for row in image.launch_permissions)


def _page(self: Any, found: list[Any]) -> tuple[list[Any], str | None]:
    most = self._get_param("MaxResults")
    start = 0
    if token := self._get_param("NextToken"):
        try:
            start = int(base64.b64decode(token, validate=True))
        except (binascii.Error, ValueError):
            raise Ec2Error("InvalidNextToken", "The token is invalid") from None
    if most is None:
        return found[start:], None
    if not DESCRIBE_PAGE[0] <= int(most) <= DESCRIBE_PAGE[1]:
        raise Ec2Error("InvalidParameterValue", f"MaxResults {most} is not in {DESCRIBE_PAGE}")
    end = start + int(most)
    more = base64.b64encode(str(end).encode()).decode() if end < len(found) else None
    return found[start:end], more


def describe_image_attribute(self: Any) -> ActionResult:
    """[M] DescribeImageAttribute: for the owner."""
    image = own(self.current_account, self.region, self._get_param("ImageId"))
    values = {
        "description": ("Description", image.description),
        "bootMode": ("BootMode", image.boot_mode),
        "tpmSupport": ("TpmSupport", image.tpm_support),
        "imdsSupport": ("ImdsSupport", image.imds_support),
        "sriovNetSupport": ("SriovNetSupport", image.sriov_net_support),
        "deregistrationProtection": ("DeregistrationProtection", image.deregistration_protection),
    }
    attribute = self._get_param("Attribute")
    if attribute == "launchPermission":
        return ActionResult({"ImageId": image.id, "LaunchPermissions": image.launch_permissions})
    if attribute not in values:
        raise Ec2Error("InvalidParameterValue", f"Value ({attribute}) for Attribute is invalid.")
    name, value = values[attribute]
    return ActionResult({"ImageId": image.id, name: {"Value": value} if value else {}})


def modify_image_attribute(self: Any) -> ActionResult:
    """[M] ModifyImageAttribute: description, imdsSupport (one way), launchPermission."""
    with current().lock:
        image = own(self.current_account, self.region, self._get_param("ImageId"))
        add, remove = _permissions(self)
        for row in [*add, *remove]:
            user = row.get("UserId", "")
            if "UserId" in row and not (len(user) == ACCOUNT_DIGITS and user.isdigit()):
                raise Ec2Error(
                    "InvalidAMIAttributeItemValue",
                    f'Invalid attribute item value "{user}" for userId item type.',
                )
        if add:
            _check_shareable(image, public=any("Group" in row for row in add))
        self.error_on_dryrun()
        kept = [row for row in image.launch_permissions if row not in remove]
        image.launch_permissions = [*kept, *(row for row in add if row not in kept)]
        attribute, value = self._get_param("Attribute"), self._get_param("Value")
        description = self._get_param("Description.Value")
        imds = self._get_param("ImdsSupport.Value")
        if attribute == "description" or description is not None:
            image.description = value if attribute == "description" else description
        if attribute == "imdsSupport" or imds is not None:
            wanted = value if attribute == "imdsSupport" else imds
            if wanted != "v2.0":
                raise Ec2Error("InvalidParameterValue", f"Value ({wanted}) for imdsSupport")
            image.imds_support = wanted
    return ActionResult({})


def _permissions(self: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    given = self._get_param("LaunchPermission", {}) or {}
    add, remove = list(given.get("Add", [])), list(given.get("Remove", []))
    operation = self._get_param("OperationType")
    rows = [{"UserId": user} for user in self._get_param("UserIds", [])]
    rows += [{"Group": group} for group in self._get_param("UserGroups", [])]
    if rows and operation not in {"add", "remove"}:
        raise Ec2Error("InvalidParameterValue", "OperationType is add or remove")
    (add if operation == "add" else remove).extend(rows)
    return add, remove


def _check_shareable(image: Image, *, public: bool) -> None:
    """[D] "Share an AMI": not with the default key; encrypted AMIs never with everyone."""
    for snapshot_id in image.snapshot_ids:
        found = find(image.owner_id, image.ec2_backend.region_name, snapshot_id)
        if found is None or not found.encrypted:
            continue
        if is_default_key(found.kms_key_id) or public:
            why = "with a default key" if not public else "and cannot be public"
            raise Ec2Error("InvalidParameter", f"Snapshot {snapshot_id} is encrypted {why}")
