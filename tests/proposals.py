"""Owns a proposal of tests: an image with news of every kind, one that was never there."""

from __future__ import annotations

from dataclasses import replace

from channels import ONE, TEXT, TWO, channel

from goldpress.mirror.difference.change import (
    Build,
    Change,
    Cve,
    Difference,
    Findings,
    Side,
    Source,
)
from goldpress.promotion import side
from goldpress.promotion.difference import ImageDifference
from goldpress.promotion.plan import Count, Plan
from goldpress.promotion.proposal import Change as Promoted
from goldpress.promotion.proposal import Proposal, Soak
from goldpress.promotion.side import Component, Verified

THREE = f"sha256:{'3' * 64}"
DATABASE = """\
image: none
regions: [us-east-1]
after: staging
soak_hours: 12
evidence: [verification, trial]
"""


def build(name: str, version: str, *, size: int = 1_000_000, source: str = "") -> Build:
    evr = f"{version}-1.el9"
    return Build(
        name=name,
        epoch=0,
        version=version,
        release="1.el9",
        arch="x86_64",
        sha256=f"{name}{version}",
        size=size,
        repository="baseos",
        source_rpm=f"{source or name}-{evr}.src.rpm",
        stream="",
    )


def difference() -> Difference:
    """Packages up, down, added and removed; with CVEs, without, and one without any data."""
    up = Change(
        kind="up",
        name="openssl-libs",
        arch="x86_64",
        before=build("openssl-libs", "3.2.2", source="openssl"),
        after=build("openssl-libs", "3.2.4", size=1_200_000, source="openssl"),
    )
    down = Change(
        kind="down",
        name="nginx-core",
        arch="x86_64",
        before=build("nginx-core", "1.26.1", source="nginx"),
        after=build("nginx-core", "1.26.0", source="nginx"),
    )
    added = Change(
        kind="added", name="tzdata", arch="x86_64", before=None, after=build("tzdata", "2026b")
    )
    old = build("lua-libs", "5.4.4", source="lua")
    removed = Change(kind="removed", name=old.name, arch="x86_64", before=old, after=None)
    fixed = Findings(
        fixed=(
            Cve(id="CVE-2026-0001", by=("ALSA-2026:1", "changelog"), severity="Important"),
            Cve(id="CVE-2026-0002", by=("changelog",), severity=""),
        ),
        consulted=("changelog", "alma-9"),
    )
    reopened = Findings(
        reopened=(Cve(id="CVE-2025-1234", by=("changelog",), severity="Moderate"),),
        consulted=("changelog",),
    )
    rows = (
        Source(name="lua", stream="", changes=(removed,), findings=None),
        Source(name="nginx", stream="", changes=(down,), findings=reopened),
        Source(name="openssl", stream="", changes=(up,), findings=fixed),
        Source(name="tzdata", stream="", changes=(added,), findings=None),
    )
    return Difference(
        before=Side(
            name="centos-stream-9.x86_64 lock aaaaaaaaaaaa", digest="a", packages=180, size=10**8
        ),
        after=Side(
            name="centos-stream-9.x86_64 lock bbbbbbbbbbbb", digest="b", packages=180, size=10**8
        ),
        sources=rows,
        remarks=("advisories of alma-9 are about its own builds; that is likely but no proof",),
    )


def verified(machine: str, *extra: str, seconds: float = 24.06, without: str = "") -> Verified:
    passed = {f"SSH_ROOT test_{number}" for number in range(3)} | set(extra)
    return Verified(
        machine=machine,
        accelerator="kvm" if machine == "qemu" else "t3.small",
        passed=frozenset(passed - {without}),
        failed=frozenset(),
        not_exercised=frozenset(),
        boot_seconds=(seconds, 22.0),
    )


def image(digest: str, *, newer: bool) -> side.Side:
    parts = {
        Component(name="nginx.x86_64", version="1.26", licence="BSD-2-Clause"),
        Component(name="lua.x86_64", version="5.4.4", licence="MIT"),
    }
    if newer:
        parts = {
            Component(name="nginx.x86_64", version="1.27", licence="GPL-3.0-only"),
            Component(name="tzdata.noarch", version="2026b", licence=""),
        }
    new = ("TLS_13 test_tls",) if newer else ()
    return side.Side(
        digest=digest,
        name="web",
        distribution="centos-stream-9",
        stand_in=False,
        disk_bytes=2_147_483_648,
        data_bytes=912_000_000 + (4_000_000 if newer else 0),
        verified=(
            verified("qemu", *new, seconds=26.5 if newer else 24.06),
            verified("ec2", *new, without="SSH_ROOT test_2" if newer else ""),
        ),
        components=frozenset(parts),
        proofs=("provenance: signed by build-2026", "trial: signed by verify-2026: 1/us-east-1"),
    )


def web() -> Promoted:
    counts = {"shop": Count(instances=24), "intern": Count(instances=None, why="no role to look")}
    return Promoted(
        plan=Plan(channel=channel(TEXT), counts=counts),
        difference=ImageDifference(
            before=image(ONE, newer=False), after=image(TWO, newer=True), packages=difference()
        ),
        soak=Soak(channel="staging", since="2026-11-22T03:00:00Z", until="2026-11-23T03:00Z"),
    )


def database() -> Promoted:
    """A stand-in, for a channel that has no image yet."""
    after = replace(image(THREE, newer=True), name="db", distribution="sandbox", stand_in=True)
    return Promoted(
        plan=Plan(channel=channel(DATABASE, "images/db/channels/prod.yaml"), counts={}),
        difference=ImageDifference(
            before=None,
            after=replace(after, data_bytes=None, components=frozenset(), verified=(), proofs=()),
            packages=None,
        ),
    )


def proposal(*changes: Promoted, expedite: str = "") -> Proposal:
    return Proposal(channel="prod", changes=changes or (web(), database()), expedite=expedite)
