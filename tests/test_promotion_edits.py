"""What lies between two trees: a promotion, something else, or both, which is refused."""

from __future__ import annotations

import pytest
from channels import ONE, SMALL, TEXT, TWO

from goldpress.github.trees import File, Files
from goldpress.promotion.approval import judge_only_image
from goldpress.promotion.edits import Edited, edits, judged

PROD = "images/web/channels/prod.yaml"
OTHER = "images/db/channels/prod.yaml"
NEW = TEXT.replace(ONE, TWO)


class Blobs:
    """Trees of texts."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def files(self, texts: dict[str, str], mode: str = "100644") -> Files:
        rows = {}
        for path, text in texts.items():
            self.kept[id_ := f"{hash(text):x}"] = text.encode()
            rows[path] = File(mode=mode, blob=id_)
        return rows

    def read(self, id_: str) -> bytes:
        return self.kept[id_]


def between(before: dict[str, str], after: dict[str, str], *, mode: str = "100644") -> Edited:
    blobs = Blobs()
    return judged(edits(blobs.files(before), blobs.files(after, mode)), blobs.read)


def test_one_line_of_one_channel_is_a_promotion() -> None:
    found = between({PROD: TEXT, "README.md": "x"}, {PROD: NEW, "README.md": "x"})
    assert found == Edited(digests={PROD: TWO}, faults=())
    assert judge_only_image(found).ok


def test_several_channels_at_once_are_one_too() -> None:
    small = SMALL.replace(ONE, TWO)
    found = between({PROD: TEXT, OTHER: SMALL}, {PROD: NEW, OTHER: small})
    assert found == Edited(digests={OTHER: TWO, PROD: TWO}, faults=())


def test_what_changes_no_digest_is_no_promotion_and_may_change_anything() -> None:
    policy = TEXT.replace("soak_hours: 24", "soak_hours: 48")
    assert between({PROD: TEXT, "x": "1"}, {PROD: policy, "y": "2"}) == Edited(
        digests={}, faults=()
    )
    none = SMALL.replace(ONE, "none")
    assert between({}, {OTHER: none}) == Edited(digests={}, faults=())


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (
            {PROD: TEXT, "trust.yaml": "keys: {}"},
            {PROD: NEW, "trust.yaml": "keys: {a: b}"},
            "trust.yaml is changed, too",
        ),
        ({PROD: TEXT}, {PROD: NEW, "goldpress/x.py": "x"}, "goldpress/x.py is changed, too"),
        ({PROD: TEXT, "x": "1"}, {PROD: NEW}, "x is changed, too"),
        (
            {PROD: TEXT},
            {PROD: NEW.replace("soak_hours: 24", "soak_hours: 12")},
            f"{PROD}: more than its line `image:` is changed: - soak_hours: 24; + soak_hours: 12",
        ),
        (
            {PROD: TEXT},
            {PROD: NEW.replace("# What prod launches.\n", "# Launched.\n")},
            "its line `image:` is changed: - # What prod launches.; + # Launched.",
        ),
        ({PROD: TEXT}, {PROD: NEW.rstrip("\n")}, f"{PROD}: more than its line"),
        ({}, {PROD: TEXT}, f"{PROD} is made"),
        ({PROD: TEXT}, {}, f"{PROD} is removed"),
        (
            {PROD: TEXT, OTHER: SMALL},
            {PROD: NEW, OTHER: SMALL.replace("us-east-1", "eu-west-1")},
            f"{OTHER}: more than its line",
        ),
        ({PROD: TEXT}, {PROD: NEW + "more: 1\n"}, f"{PROD}: more: unknown key"),
        ({PROD: TEXT}, {PROD: NEW + f"image: {ONE}\n"}, "the key `image` is there twice"),
        ({PROD: TEXT}, {PROD: "\t"}, f"{PROD}: "),
    ],
)
def test_anything_besides_is_refused(
    before: dict[str, str], after: dict[str, str], fault: str
) -> None:
    verdict = judge_only_image(between(before, after))
    assert (verdict.rule, verdict.ok) == ("only-image", False)
    assert fault in verdict.why


@pytest.mark.parametrize("mode", ["100755", "120000", "160000"])
def test_a_channel_stays_a_plain_file(mode: str) -> None:
    verdict = judge_only_image(between({PROD: TEXT}, {PROD: NEW}, mode=mode))
    assert f"{PROD} is no plain file any more (mode {mode})" in verdict.why
    assert not verdict.ok


def test_many_lines_are_cut() -> None:
    longer = NEW.replace("approvals: 1\n", "approvals: 1\n\n\n\n\n\n")
    found = between({PROD: TEXT}, {PROD: longer})
    assert found.faults[0].endswith("+ ; + ; +  and 2 more")
