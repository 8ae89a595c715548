"""Channels: strict documents of which a promotion edits one line, byte for byte."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from channels import ONE, PROD, SMALL, TEXT, TWO, channel

from goldpress.channel import (
    changed_lines,
    channel_path,
    edited,
    expedite_reason,
    load_channel,
    load_channels,
    only_image,
    parse_channel,
)
from goldpress.errors import DocumentError, MissingError
from goldpress.terms import Terms

PROJECT = Path(__file__).resolve().parents[1]
MUTATIONS = 500


def test_the_channels_of_the_project_can_be_read_and_name_one_after_the_other() -> None:
    staging, prod = (load_channel(PROJECT, "web", name) for name in ("staging", "prod"))
    assert (staging.policy.after, prod.policy.after) == (None, "staging")
    assert staging.image == prod.image == "web"
    assert prod in load_channels(PROJECT, "prod")


def test_a_channel_tells_what_its_file_says() -> None:
    found = channel()
    assert (found.image, found.name, found.digest) == ("web", "prod", ONE)
    shop, intern = found.policy.fleets
    assert (shop.account, intern.account) == ("111122223333", None)
    assert [wave.share for wave in found.policy.waves] == [5, 100]
    assert found.policy.readers == {"111122223333": "arn:aws:iam::111122223333:role/look"}


def test_a_channel_that_was_never_promoted_to_has_no_digest() -> None:
    assert not channel(SMALL.replace(ONE, "none")).digest


def test_an_edit_changes_one_line_and_no_other_byte() -> None:
    odd = TEXT.replace("approvals: 1\n", "approvals:   1   # two, one day\n\n\n")
    found = edited(channel(odd), TWO)
    assert found.decode() == odd.replace(ONE, TWO)
    assert edited(parse_channel(found, path=PROD), ONE) == odd.encode()
    assert only_image(odd.encode(), found)


def test_an_edit_can_take_the_digest_away() -> None:
    assert b"\nimage: none\n" in edited(channel(), "")


def test_an_edit_refuses_what_is_no_digest() -> None:
    with pytest.raises(DocumentError, match="'sha256:12' is not an image digest"):
        edited(channel(), "sha256:12")


@pytest.mark.parametrize(
    "after",
    [
        TEXT.replace(ONE, TWO).replace("approvals: 1", "approvals: 2"),
        TEXT.replace(ONE, TWO).replace("# What prod", "# what prod"),
        TEXT.replace(ONE, TWO) + "\n",
        TEXT.replace(f"image: {ONE}", f"image:  {TWO}"),
        TEXT.replace(f"image: {ONE}\n", ""),
        TEXT + f"image: {TWO}\n",
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_more_than_the_one_line_is_seen(after: str) -> None:
    assert not only_image(TEXT.encode(), after.encode())


def test_the_digest_in_a_comment_is_not_the_line() -> None:
    before = TEXT.replace("# What", f"# image: {ONE}\n# What").encode()
    assert only_image(before, edited(parse_channel(before, path=PROD), TWO))
    assert not only_image(before, before.replace(f"# image: {ONE}".encode(), b"# image: none"))


def test_changed_lines_are_shown() -> None:
    after = TEXT.replace("soak_hours: 24", "soak_hours: 0")
    assert changed_lines(TEXT.encode(), after.encode()) == ("- soak_hours: 24", "+ soak_hours: 0")
    assert changed_lines(TEXT.encode(), TEXT.encode()) == ()


def test_what_cannot_be_seen_is_shown_too() -> None:
    assert changed_lines(b"a\n", b"a") == ("- ",)
    assert changed_lines(b"a\n", b"a\r\n") == ("- a", "+ a\\r")
    assert changed_lines(b"a\n", "a\u202e\n".encode()) == ("- a", "+ a\\u202e")
    assert changed_lines(b"a\n", b"a\xff\n") == ("- a", "+ a\\xff")


WRONG_LINES = [
    (f'image: "{ONE}"\n', "image: has to be one line"),
    (f"image: {ONE} # the best\n", "image: has to be one line"),
    (f"image:\n  {ONE}\n", "image: has to be one line"),
    (f'"image": {ONE}\n', "image: has to be one line"),
    (f"image: {ONE}\r\n", "image: has to be one line"),
    (f"image: {ONE}\nimage: {ONE}\n", "line 3: the key `image` is there twice"),
    ("image: sha256:1\n", "image: 'sha256:1' is not an image digest, or none"),
    ("image: ~\n", "image: expected a valid string, not None"),
    ("", "image: this key is required"),
]


@pytest.mark.parametrize(("line", "message"), WRONG_LINES)
def test_another_form_of_the_line_is_refused(line: str, message: str) -> None:
    text = TEXT.replace(f"image: {ONE}\n", line)
    with pytest.raises(DocumentError) as caught:
        channel(text)
    assert f"{PROD}: {message}" in str(caught.value)


WRONG = [
    ('  "111122223333": arn', '  "12": arn', "readers.12: '12' is not an account (12 digits"),
    ('  "111122223333": arn', '  "999999999999": arn', "readers.999999999999: is not in `accounts"),
    (":iam::111122223333:", ":iam::999999999999:", "readers.111122223333: its role is of another"),
    (":role/look", ":user/look", "readers.111122223333: 'arn:aws:iam::111122223333:user/look' is"),
    ("soak_hours: 24", "soak_hour: 24", "soak_hour: unknown key; nearest: soak_hours"),
    ("soak_hours: 24", "soak_hours: -1", "soak_hours: expected greater than or equal to 0, not -1"),
    ("after: staging", "after: prod", "after: is this very channel"),
    ("after: staging\n", "", "soak_hours: there is no earlier channel to be in"),
    ("[us-east-1, eu-west-1]", "[]", "regions: at least one is needed"),
    ("[us-east-1, eu-west-1]", "[us-east-1]", "fleets[1].region: 'eu-west-1' is not in `regions`"),
    ('accounts: ["111122223333"]', "accounts: []", "fleets[0].account: '111122223333' is not in"),
    (
        'accounts: ["111122223333"]',
        "accounts: [12]",
        "accounts[0]: expected a valid string",
    ),
    ("[provenance, verification, trial]", "[]", "evidence: at least one is needed"),
    ("[provenance, verification, trial]", "[faith]", "evidence[0]: expected 'provenance', 'sbom'"),
    ("  - days: [sat, sun]", "  - days: [sat, sat]", "freeze[1].days: 'sat' is listed twice"),
    ("  - days: [sat, sun]\n    why", "  - why", "freeze[1]: needs start and end, or days"),
    ("2027-01-04T08:00Z", "2026-01-04T08:00Z", "freeze[0]: ends before it starts"),
    ("2027-01-04T08:00Z", "tomorrow", "freeze[0].end: 'tomorrow' is not a time in UTC, such as"),
    ("    why: nobody looks", "    start: 2026-12-20T00:00Z\n    why: x", "freeze[1]: either days"),
    ("  soak_hours: 1", "  soak_hours: 48", "expedite.soak_hours: is longer than without haste"),
    ("approvals: 1\n", "approvals: 2\n", "expedite.approvals: haste needs more approvals"),
    ("  approvals: 2", "  approvals: 1", "expedite.approvals: expected greater than or equal to 2"),
    ("name: intern", "name: shop", "fleets[1].name: 'shop' is listed twice"),
    ("[shop-a, shop-b]", "[shop-a, shop-a]", "fleets[0].groups: 'shop-a' is listed twice"),
    (
        "fleets: [intern]",
        "fleets: [inturn]",
        "waves[0].fleets: there is no fleet 'inturn'",
    ),
    ("share: 5", "share: 100", "waves[1].share: fleet 'intern' has 100 percent already"),
    ("[intern, shop]", "[intern]", "waves: fleet 'shop' never reaches 100 percent"),
    ("name: rest", "name: first", "waves[1].name: 'first' is listed twice"),
    ("gates: [healthy]", "gates: []", "waves[1].gates: at least one is needed"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_what_cannot_be_meant_is_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(DocumentError) as caught:
        channel(TEXT.replace(old, new, 1))
    assert f"{PROD}: {message}" in str(caught.value)


def test_one_group_is_in_one_fleet() -> None:
    text = TEXT.replace(
        "    region: eu-west-1", '    account: "111122223333"\n    region: us-east-1'
    )
    with pytest.raises(DocumentError, match=r"fleets\[1\]\.groups: 'shop-a' is in fleet 'shop'"):
        channel(text)


def test_the_path_names_image_and_channel() -> None:
    assert channel_path("web", "staging") == "images/web/channels/staging.yaml"
    for image, name in (("web", "../x"), ("../x", "prod"), ("web", "Prod"), ("", "prod")):
        with pytest.raises(DocumentError, match="is not the name of a channel"):
            channel_path(image, name)
    with pytest.raises(DocumentError, match=r"elsewhere\.yaml: not the path of a channel"):
        channel(path="elsewhere.yaml")


def test_an_unknown_channel_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "images/web/channels"
    folder.mkdir(parents=True)
    (folder / "staging.yaml").write_text(SMALL)
    with pytest.raises(MissingError, match=r"stagin\.yaml: there is no such channel; nearest: st"):
        load_channel(tmp_path, "web", "stagin")


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (datetime(2026, 12, 19, 23, 59, tzinfo=UTC), "nobody looks"),  # a Saturday
        (datetime(2026, 12, 21, 0, 0, tzinfo=UTC), "holidays"),
        (datetime(2027, 1, 4, 7, 59, tzinfo=UTC), "holidays"),
        (datetime(2027, 1, 4, 8, 0, tzinfo=UTC), ""),
        (datetime(2026, 11, 23, 12, 0, tzinfo=UTC), ""),
        (datetime.fromisoformat("2026-11-23T00:30:00+02:00"), "nobody looks"),  # Sunday in UTC
    ],
)
def test_a_freeze_covers_its_time_in_utc(at: datetime, why: str) -> None:
    found = channel().frozen(at)
    assert (found.why if found else "") == why


def test_haste_has_terms_of_its_own() -> None:
    assert channel().terms(expedited=False) == Terms(
        soak_hours=24, approvals=1, during_freeze=False
    )
    assert channel().terms(expedited=True) == Terms(soak_hours=1, approvals=2, during_freeze=True)


def test_haste_is_refused_where_no_rules_are() -> None:
    with pytest.raises(DocumentError, match=r"prod\.yaml: expedite: this channel has no such rul"):
        channel(SMALL).terms(expedited=True)


def test_the_reason_for_haste_is_a_line_of_the_message() -> None:
    assert expedite_reason("prod: web\n\ntext\n\nExpedite: CVE-2026-1 is used\n") == (
        "CVE-2026-1 is used"
    )
    assert not expedite_reason("prod: web\n\nNot Expedite: x\nExpedite:  \n")


def mutated(text: bytes, chance: random.Random) -> bytes:
    """One random change: bits, a byte more or less, a line twice, gone, or elsewhere."""
    place = chance.randrange(len(text))
    kind = chance.randrange(6)
    if kind == 0:
        return text[:place] + bytes([text[place] ^ (1 << chance.randrange(8))]) + text[place + 1 :]
    if kind == 1:
        return text[:place] + chance.randbytes(1) + text[place:]
    if kind == 2:
        return text[:place] + text[place + chance.randrange(1, 9) :]
    lines = text.splitlines(keepends=True)
    row = chance.randrange(len(lines))
    if kind == 3:
        return b"".join([*lines[:row], *lines[row + 1 :]])
    if kind == 4:
        return b"".join([*lines[:row], lines[row], *lines[row:]])
    return b"".join([*lines[:row], *lines[row + 1 :], lines[row]])


def test_of_many_mutations_none_passes_as_a_promotion_of_the_same_digest() -> None:
    chance = random.Random(6)  # noqa: S311 - a test
    before = TEXT.encode()
    refused, others = 0, 0
    while refused + others < MUTATIONS:
        after = mutated(before, chance)
        if after == before:
            continue
        try:
            found = parse_channel(after, path=PROD)
        except DocumentError:
            refused += 1
            continue
        if not only_image(before, after):
            assert changed_lines(before, after)
            refused += 1
            continue
        # The one line alone: then it is another digest, which has to prove itself.
        assert found.digest != ONE
        others += 1
    assert refused > others
