"""Owns the rules of preflight on what is launched: AMI, instance types, disks, keys, user data."""

from __future__ import annotations

import re

from goldpress.fleet.findings import Answer, bad, good
from goldpress.fleet.preflight_facts import Facts, known

BOOT_MODE = "uefi"
#: What the image takes of its user data, see the program `identity` of the image.
LINE = re.compile(r"[A-Z][A-Z0-9_]{0,63}=[A-Za-z0-9 .,:/_@+-]{0,512}")
#: What cloud-init would run or obey: https://cloudinit.readthedocs.io/en/latest/explanation/format.html
SCRIPTS = (
    b"#!", b"#cloud-config", b"#cloud-boothook", b"#include", b"#part-handler", b"#upstart-job",
    b"## template:", b"Content-Type:", b"MIME-Version:", b"\x1f\x8b",
)  # fmt: skip


def readable(facts: Facts) -> Answer:
    """The AMI is there for this account."""
    ami, image = facts.wish.ami, known(facts.image)
    if image is None:
        return bad(
            f"{ami.ami} is gone, or not shared with {facts.group.account}",
            "`./inv promote` shares it with the channel's `accounts`",
        )
    if image.state != "available":
        return bad(f"{ami.ami} is {image.state}: {image.why or 'no reason told'}", "publish anew")
    root = image.facts.get("RootDeviceName")
    if root != ami.root_device or image.facts.get("BootMode") != BOOT_MODE:
        return bad(
            f"{ami.ami} is not as it was published: root device {root}, boot mode "
            f"{image.facts.get('BootMode')}",
            "`./inv publish --audit` tells more",
        )
    return good()


def boot_mode(facts: Facts) -> Answer:
    """Every instance type that may be launched can boot by UEFI."""
    types = known(facts.types)
    if not types:
        return bad(
            "neither its template nor its overrides name an instance type",
            "name one in the launch template",
        )
    missing = sorted(name for name, row in types.items() if row is None)
    if missing:
        return bad(
            f"{facts.group.region} has no {', '.join(missing)}", "take them out of its overrides"
        )
    found = [row for row in types.values() if row is not None]
    refused = sorted(row.name for row in found if BOOT_MODE not in row.boot_modes)
    if refused:
        return bad(
            f"{', '.join(refused)} cannot boot by UEFI: every launch of them fails",
            "use types of the Nitro system, such as t3 or m5, in template and overrides",
        )
    return good()


def architecture(facts: Facts) -> Answer:
    """Every instance type has the image's architecture."""
    arch = "arm64" if facts.wish.ami.arch == "aarch64" else facts.wish.ami.arch
    found = [row for row in known(facts.types).values() if row is not None]
    other = sorted(row.name for row in found if arch not in row.architectures)
    if other:
        return bad(
            f"{', '.join(other)}: the image is for {arch}",
            "take them out of template and overrides, or give them a group of their own",
        )
    return good()


def overrides(facts: Facts) -> Answer:
    """No override has a template or an AMI of its own, which the new version would not change."""
    rows = facts.group.override_rows
    own = [row for row in rows if {"LaunchTemplateSpecification", "ImageId"} & row.keys()]
    if own:
        names = ", ".join(str(row.get("InstanceType", "by attributes")) for row in own)
        return bad(
            f"overrides have a launch template or AMI of their own: {names}",
            "take those out: what they launch is not what the template says",
        )
    return good()


def disks(facts: Facts) -> Answer:
    """The template's disks are the image's root and what it says of it, and nothing gets lost."""
    ami = facts.wish.ami
    data = facts.template.data
    if data.get("KernelId") or data.get("RamDiskId"):
        return bad("the template names a kernel or RAM disk", "make a version of it without")
    for row in data.get("BlockDeviceMappings", ()):
        device, disk = str(row["DeviceName"]), row.get("Ebs", {})
        if device != ami.root_device and disk.get("SnapshotId"):
            return bad(
                f"its disk {device} comes from {disk['SnapshotId']}, which AWS leaves out of a "
                "new version",
                "make that disk otherwise: an image has one disk",
            )
        if device != ami.root_device and _may_be_root(device):
            return bad(
                f"the template maps {device}, the image's root is {ami.root_device}: each "
                "instance would get a second disk, and its root no settings",
                f"make a version of it that maps {ami.root_device}",
            )
        size = disk.get("VolumeSize")
        if device == ami.root_device and size is not None and int(size) < ami.volume_gib:
            return bad(
                f"the template makes {device} {size} GiB; the image has {ami.volume_gib}",
                f"make a version of it with at least {ami.volume_gib} GiB",
            )
    return good()


def key(facts: Facts) -> Answer:
    """Auto Scaling may use every key that a launch needs."""
    for row in known(facts.keys):
        if row.state != "Enabled":
            return bad(f"{row.what}: KMS key {row.arn} is {row.state}", "enable it")
        if not row.allowed:
            return bad(
                f"{row.what}: Auto Scaling's role in {facts.group.account} may not use KMS key "
                f"{row.arn}: each instance would end as soon as it is launched",
                "allow AWSServiceRoleForAutoScaling in its policy (same account), or give it a "
                "grant: `aws kms create-grant --operations Decrypt CreateGrant "
                "GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo DescribeKey`",
            )
    return good()


def user_data(facts: Facts) -> Answer:
    """It is what the image takes: lines KEY=VALUE, and nothing that anybody expects to be run."""
    data = facts.template.user_data
    if data.lstrip().startswith(SCRIPTS):
        return bad(
            "its user data is a script (or cloud-init's): the image never runs any",
            "say what differs by environment as lines KEY=VALUE; the rest belongs into the image",
        )
    lines = data.decode(errors="replace").replace("\r", "").split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#") and not LINE.fullmatch(line):
            name = line.partition("=")[0]
            shown = name if re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) else "(no name)"
            # Its value may be a secret.
            return bad(
                f"line {number} of its user data, {shown}, is no KEY=VALUE that the image takes: "
                "it would be left out",
                "KEY in capitals, and letters, digits and .,:/_@+- in its value, without quotes",
            )
    return good()


def metadata(facts: Facts) -> Answer:
    """An instance can ask who it is."""
    options = facts.template.data.get("MetadataOptions", {})
    if options.get("HttpEndpoint") == "disabled":
        return bad(
            "its instances have no metadata service: no user data, no login key, no role",
            "make a version of the template with HttpEndpoint enabled",
        )
    return good()


def addresses(facts: Facts) -> Answer:
    """Its subnets have addresses for as many instances more."""
    free = known(facts.addresses)
    if not facts.group.subnets:
        return good()
    # AWS keeps zones even: each may have to take its share of what is launched at once.
    share = -(-facts.surge // len(facts.group.subnets))
    short = {name: count for name, count in free.items() if count < share}
    if short:
        told = ", ".join(f"{name} has {count}" for name, count in sorted(short.items()))
        return bad(
            f"{told} free addresses; {share} more are needed in each subnet",
            "free some, or give the group larger subnets",
        )
    return good()


def quota(facts: Facts) -> Answer:
    """The account may run as many vCPUs more."""
    types = [row for row in known(facts.types).values() if row is not None]
    for row in known(facts.quotas):
        largest = max((kind.vcpus for kind in types if kind.quota == row.code), default=0)
        needed = largest * facts.surge
        if row.used + needed > row.most:
            return bad(
                f"{row.used} of {row.most:.0f} vCPUs run (quota {row.code}); {needed} more are "
                "needed",
                f"raise it: `aws service-quotas request-service-quota-increase --service-code ec2 "
                f"--quota-code {row.code} --desired-value {row.used + 2 * needed}`",
            )
    rest = sorted(kind.name for kind in types if not kind.quota)
    return good(f"the quota of {', '.join(rest)} is not known here" if rest else "")


def connections(facts: Facts) -> Answer:
    """The database bears this group's instances and those that come in addition.

    That all groups of the fleet do so together is judged by the plan.
    """
    terms = facts.fleet.connections
    if terms is None:
        return good()
    most = facts.group.desired + facts.surge
    if most > terms.instances:
        return bad(
            f"{most} instances at once take {most * terms.per_instance + terms.others} of "
            f"{terms.budget} connections",
            "lower replacing.max_healthy of the fleet, raise its database's budget, or let a "
            "proxy pool them",
        )
    return good()


def _may_be_root(device: str) -> bool:
    """Whether some AMI has this name for its root: then it is meant for that."""
    return device in {"/dev/xvda", "/dev/sda1", "/dev/sda", "xvda", "sda1"}
