"""Owns channel files of tests."""

from __future__ import annotations

from goldpress.channel import Channel, parse_channel

ONE = f"sha256:{'1' * 64}"
TWO = f"sha256:{'2' * 64}"
PROD = "images/web/channels/prod.yaml"
TEXT = f"""\
# What prod launches.
image: {ONE}

after: staging
soak_hours: 24
regions: [us-east-1, eu-west-1]
accounts: ["111122223333"]
readers:
  "111122223333": arn:aws:iam::111122223333:role/look
approvals: 1
evidence: [provenance, verification, trial]
controls: [os-sshd]

freeze:
  - start: 2026-12-20T00:00Z
    end: 2027-01-04T08:00Z
    why: holidays
  - days: [sat, sun]
    why: nobody looks

expedite:
  soak_hours: 1
  approvals: 2
  during_freeze: true

fleets:
  - name: shop
    account: "111122223333"
    region: us-east-1
    silo: blue
    groups: [shop-a, shop-b]
  - name: intern
    region: eu-west-1
    silo: green
    groups: [shop-a]
    alarms: [intern-errors]

waves:
  - name: first
    fleets: [intern]
    share: 5
    soak_minutes: 60
    gates: [healthy, alarms]
  - name: rest
    fleets: [intern, shop]
    soak_minutes: 0
    gates: [healthy]
"""
SMALL = f"""\
image: {ONE}
regions: [us-east-1]
evidence: [verification]
"""


def channel(text: str = TEXT, path: str = PROD) -> Channel:
    return parse_channel(text.encode(), path=path)
