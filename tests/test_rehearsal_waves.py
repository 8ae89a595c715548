"""The channel of a rehearsal."""

from __future__ import annotations

import pytest

from goldpress.channel import edited, only_image, parse_channel
from goldpress.errors import DocumentError
from goldpress.rehearsal.fleet import ALARM, NAME
from goldpress.rehearsal.waves import PATH, channel_text

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize("verify", [False, True])
def test_the_text_is_a_channel_without_contradictions(verify: bool) -> None:
    text = channel_text(region="us-east-1", verify=verify).encode()
    found = parse_channel(text, path=PATH)
    (fleet,) = found.policy.fleets
    assert (fleet.name, fleet.groups, fleet.alarms) == (NAME, (NAME,), (ALARM,))
    first, rest = found.policy.waves
    assert (first.share, first.fleets, rest.fleets) == (50, (NAME,), (NAME,))
    assert ("verify" in rest.gates, "verify" in first.gates) == (verify, False)


def test_a_promotion_edits_its_image_and_nothing_else() -> None:
    text = channel_text(region="us-east-1").encode()
    after = edited(parse_channel(text, path=PATH), DIGEST)
    assert only_image(text, after)
    assert after == channel_text(image=DIGEST, region="us-east-1").encode()
    assert not only_image(text, channel_text(region="us-east-1", soak_minutes=2).encode())


def test_a_wave_of_a_fleet_that_is_not_there_is_refused() -> None:
    text = channel_text(region="us-east-1").replace(f"fleets: [{NAME}]", "fleets: [other]", 1)
    with pytest.raises(DocumentError, match="other"):
        parse_channel(text.encode(), path=PATH)
