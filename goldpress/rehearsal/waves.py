"""Owns the channel of a rehearsal: its fleet and its waves, quicker than anybody's real ones."""

from __future__ import annotations

from goldpress.rehearsal.fleet import ALARM, NAME

PATH = "images/web/channels/staging.yaml"


def channel_text(
    *, image: str = "none", region: str, soak_minutes: int = 1, verify: bool = False
) -> str:
    """The channel's file: one instance of the fleet first, its gates, then the rest.

    With `verify` the suite runs on an instance of the fleet at the end.
    """
    last = ", verify" if verify else ""
    return f"""\
# What `staging` launches in this rehearsal. goldpress/terms.py tells what each key means.
image: {image}

regions: [{region}]
accounts: []

approvals: 1
evidence: [provenance, sbom, verification, publication, trial]

fleets:
  - name: {NAME}
    region: {region}
    silo: rehearsal
    groups: [{NAME}]
    alarms: [{ALARM}]
waves:
  - name: first
    fleets: [{NAME}]
    share: 50
    soak_minutes: {soak_minutes}
    gates: [healthy, alarms, errors]
  - name: rest
    fleets: [{NAME}]
    soak_minutes: {soak_minutes}
    gates: [healthy, alarms, errors{last}]
limits: {{errors_per_mille: 20, minutes: 1, canary_minutes: 1, requests: 20}}
ceilings: {{unavailable: 1}}
"""
