"""Owns the facts that preflight judges a group by, and how they are gathered.

What AWS refuses to tell is kept as the error: the rule that needs it fails by it, and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from goldpress.ami import Ami
from goldpress.aws import kms
from goldpress.aws.autoscaling import Hook
from goldpress.aws.capacity import Capacity, InstanceType, Quota
from goldpress.aws.ec2 import Image, Images
from goldpress.aws.metrics import Alarm
from goldpress.aws.scaling import Group
from goldpress.aws.targets import TargetGroup
from goldpress.aws.templates import TemplateVersion
from goldpress.errors import CloudError, GoldpressError
from goldpress.fleet.observed import Observed
from goldpress.fleet.place import Caller, Place
from goldpress.terms import Fleet

Found = TypeVar("Found")
LATEST = "$Latest"


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """A KMS key that a launch needs: what for, its state, and whether Auto Scaling may use it."""

    arn: str
    what: str
    state: str
    allowed: bool


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a group is to run: the AMI, and how long one takes (seconds) until it serves.

    `held` are AMIs that nothing may launch. `stop_seconds` is how long nginx takes to end at most,
    None where that is not known; `owner` calls in the account that has the AMI's key.
    """

    ami: Ami
    boot_seconds: int
    stop_seconds: int | None
    held: frozenset[str]
    owner: Caller


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that is known of a group before a roll. An error is what could not be found out.

    `image` and `before` are the AMIs that are to run and ran, as this account sees them; `coming`
    is what the refresh that runs brings. `same_template` are the other groups of the region that
    launch from the same template.
    """

    wish: Wish
    fleet: Fleet
    observed: Observed
    image: Image | CloudError | None
    before: Image | CloudError | None
    coming: str | CloudError
    types: Mapping[str, InstanceType | None] | CloudError
    addresses: Mapping[str, int] | CloudError
    quotas: tuple[Quota, ...] | CloudError
    keys: tuple[KeyUse, ...] | CloudError
    hooks: tuple[Hook, ...] | CloudError
    target_groups: tuple[TargetGroup, ...] | CloudError
    alarms: Mapping[str, Alarm | None] | CloudError
    same_template: tuple[Group, ...] | CloudError

    @property
    def group(self) -> Group:
        """The group."""
        return self.observed.group

    @property
    def template(self) -> TemplateVersion:
        """The version that the group launches from. Raises CloudError when it has none."""
        if self.observed.template is None:
            raise CloudError("the group has no launch template", hint=NO_TEMPLATE_HINT)
        return self.observed.template

    @property
    def surge(self) -> int:
        """How many instances more than now there will be."""
        return self.fleet.replacing.surge(self.group.desired)


NO_TEMPLATE_HINT = "make a launch template from its launch configuration, and give it to the group"


def known(value: Found | CloudError) -> Found:
    """The value. Raises the CloudError that is in its place."""
    if isinstance(value, CloudError):
        raise value
    return value


def gather(place: Place, fleet: Fleet, observed: Observed, wish: Wish) -> Facts:
    """Everything that is asked for before a roll of this group; asks AWS some twenty times."""
    group = observed.group
    client = place.access.client("ec2", place.region)
    images = Images(client=client, region=place.region)
    capacity = Capacity(
        client=client,
        quotas=_Late(place.access, "service-quotas", place.region),
        region=place.region,
    )
    before = observed.template.ami if observed.template else ""
    types = _tried(lambda: capacity.types(_type_names(capacity, observed, wish)))
    return Facts(
        wish=wish,
        fleet=fleet,
        observed=observed,
        image=_tried(lambda: images.image(wish.ami.ami)),
        before=_tried(lambda: images.image(before) if before.startswith("ami-") else None),
        coming=_tried(lambda: _coming(place, observed)),
        types=types,
        addresses=_tried(lambda: capacity.addresses(group.subnets)),
        quotas=_tried(lambda: _quotas(capacity, types)),
        keys=_tried(lambda: tuple(_keys(place, images, observed, wish))),
        hooks=_tried(lambda: place.groups.hooks(group.name)),
        target_groups=_tried(lambda: place.targets.groups(group.target_groups)),
        alarms=_tried(lambda: place.metrics.alarms(fleet.alarms) if fleet.alarms else {}),
        same_template=_tried(lambda: _same_template(place, group)),
    )


@dataclass(frozen=True)
class _Late:
    """A client that is made when it is first called: not every cloud has every service."""

    access: Caller
    service: str
    region: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.access.client(self.service, self.region), name)


def _tried(ask: Callable[[], Found]) -> Found | CloudError:
    try:
        return ask()
    except CloudError as error:
        return error
    except GoldpressError as error:
        return CloudError(error.message, hint=error.hint)


def _type_names(capacity: Capacity, observed: Observed, wish: Wish) -> Iterable[str]:
    """Every instance type that the group may launch."""
    group = observed.group
    architecture = "arm64" if wish.ami.arch == "aarch64" else wish.ami.arch
    asked = [row["InstanceRequirements"] for row in group.override_rows if _by_attributes(row)]
    data = observed.template.data if observed.template else {}
    if "InstanceRequirements" in data and not group.override_rows:
        asked.append(data["InstanceRequirements"])
    found = set(group.overrides)
    for requirements in asked:
        found.update(capacity.types_of(requirements, architecture=architecture))
    if not found and observed.template and observed.template.type:
        found.add(observed.template.type)
    return found


def _by_attributes(row: Mapping[str, Any]) -> bool:
    return "InstanceRequirements" in row


def _coming(place: Place, observed: Observed) -> str:
    """The AMI that the refresh that runs brings; empty without one, or where it is not told."""
    active = observed.active
    if active is None or active.desired is None:
        return ""
    return place.templates.version(active.desired).ami


def _quotas(
    capacity: Capacity, types: Mapping[str, InstanceType | None] | CloudError
) -> tuple[Quota, ...]:
    codes = {row.quota for row in known(types).values() if row is not None and row.quota}
    return tuple(capacity.quota(code) for code in sorted(codes))


def _same_template(place: Place, group: Group) -> tuple[Group, ...]:
    if not group.template.id:
        return ()
    return tuple(
        row
        for row in place.groups.every()
        if row.template.id == group.template.id and row.name != group.name
    )


def service_role(group: Group) -> str:
    """The ARN of the role by which Auto Scaling launches for this group."""
    partition = "aws"
    if group.region.startswith("cn-"):
        partition = "aws-cn"
    elif group.region.startswith("us-gov-"):
        partition = "aws-us-gov"
    return group.service_role or (
        f"arn:{partition}:iam::{group.account}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling"
    )


def _keys(place: Place, images: Images, observed: Observed, wish: Wish) -> Iterable[KeyUse]:
    role = service_role(observed.group)
    for what, key in _key_names(images, observed, wish):
        other = key.split(":")[4] if key.startswith("arn:") else place.account
        # A key's policy is told in its own account only.
        caller = place.access if other == place.account else wish.owner
        found = kms.describe(caller, place.region, key)
        # Every role of the account may use aws/ebs there, and nobody else anywhere.
        allowed = found.account == place.account if found.owned_by_aws else (
            kms.lets_launch(caller, place.region, found.arn, role)
        )  # fmt: skip
        yield KeyUse(arn=found.arn, what=what, state=found.state, allowed=allowed)


def _key_names(images: Images, observed: Observed, wish: Wish) -> Iterable[tuple[str, str]]:
    """The keys that disks of a launch are encrypted with: of the AMI, the template, the account."""
    mapped = _disks(observed.template)
    root = mapped.get(wish.ami.root_device, {})
    if wish.ami.kms_key:
        yield "the AMI's EBS snapshot", wish.ami.kms_key
    elif not root.get("KmsKeyId"):
        default = images.default_encryption()
        if default is not None:
            yield "the account's default encryption", default
    for device, disk in sorted(mapped.items()):
        if disk.get("KmsKeyId"):
            yield f"the template's {device}", str(disk["KmsKeyId"])


def _disks(template: TemplateVersion | None) -> Mapping[str, Mapping[str, Any]]:
    rows = template.data.get("BlockDeviceMappings", ()) if template else ()
    return {str(row["DeviceName"]): row.get("Ebs", {}) for row in rows}
