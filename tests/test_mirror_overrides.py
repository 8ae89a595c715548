from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from definitions import definition

from goldpress.errors import DocumentError
from goldpress.mirror.overrides import NONE, Overrides, load_overrides

DIGEST = f"sha256:{'a' * 64}"
COMMON = """\
    distribution: test-9
    reason: https://example.org/issues/7
    expires: 2026-12-31
"""
PIN = f"pins:\n  - name: nginx\n    evr: 2:1.20.1-20.el9\n{COMMON}"
TRACK = f"""\
fast_tracks:
  - nevra: openssl-libs-1:3.2.2-6.el9.x86_64
    snapshot: {DIGEST}
    repository: baseos
{COMMON}"""
TODAY = dt.date(2026, 12, 31)


def written(root: Path, text: str) -> Path:
    (root / "rpm-mirror").mkdir()
    (root / "rpm-mirror/overrides.yaml").write_text(text)
    return root


def fault(root: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.chdir(root)
    with pytest.raises(DocumentError) as caught:
        load_overrides(written(root, text))
    return str(caught.value)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert load_overrides(tmp_path) == NONE
    assert NONE.document() == []
    NONE.check_expiry(dt.date(9999, 1, 1))


def test_the_committed_file_can_be_read() -> None:
    assert isinstance(load_overrides(Path(__file__).parents[1]), Overrides)


def test_pins_and_fast_tracks_are_read(tmp_path: Path) -> None:
    found = load_overrides(written(tmp_path, PIN + TRACK))
    (pin,), (track,) = found.pins, found.fast_tracks
    assert (pin.name, pin.evr, pin.reason) == (
        "nginx",
        "2:1.20.1-20.el9",
        "https://example.org/issues/7",
    )
    assert (track.name, track.evr, track.arch) == ("openssl-libs", "1:3.2.2-6.el9", "x86_64")
    assert str(pin) == "pin of nginx at 2:1.20.1-20.el9"
    assert str(track) == (
        "fast-track of openssl-libs-1:3.2.2-6.el9.x86_64 from baseos of snapshot aaaaaaaaaaaa"
    )


def test_an_epoch_that_is_left_out_is_zero(tmp_path: Path) -> None:
    text = PIN.replace("2:1.20.1", "1.20.1") + TRACK.replace("1:3.2.2", "3.2.2")
    found = load_overrides(written(tmp_path, text))
    assert found.pins[0].evr == "0:1.20.1-20.el9"
    assert found.fast_tracks[0].nevra == "openssl-libs-0:3.2.2-6.el9.x86_64"


def test_what_they_decide_is_without_reasons_and_days(tmp_path: Path) -> None:
    found = load_overrides(written(tmp_path, PIN + TRACK))
    assert found.document() == [
        {"evr": "2:1.20.1-20.el9", "pin": "nginx"},
        {
            "fast_track": "openssl-libs-1:3.2.2-6.el9.x86_64",
            "repository": "baseos",
            "snapshot": DIGEST,
        },
    ]


def test_the_last_day_is_a_good_one_and_the_next_an_error(tmp_path: Path) -> None:
    found = load_overrides(written(tmp_path, PIN + TRACK))
    found.check_expiry(TODAY)
    with pytest.raises(DocumentError) as caught:
        found.check_expiry(TODAY + dt.timedelta(days=1))
    assert str(caught.value) == (
        "rpm-mirror/overrides.yaml: the pin of nginx at 2:1.20.1-20.el9 expired on 2026-12-31; it "
        "was for https://example.org/issues/7\n"
        "rpm-mirror/overrides.yaml: the fast-track of openssl-libs-1:3.2.2-6.el9.x86_64 from "
        "baseos of snapshot aaaaaaaaaaaa expired on 2026-12-31; it was for "
        "https://example.org/issues/7\n"
        "  remove it, or write another day after looking at its reason"
    )


def applied(found: Overrides, ids: list[str], **changes: object) -> list[str]:
    kept = found.applying(definition("a", **changes), ids)
    return [row.name for row in kept.every()]


def test_they_apply_to_distributions_images_and_architectures(tmp_path: Path) -> None:
    found = load_overrides(written(tmp_path, PIN + "    images: [web, db]\n" + TRACK))
    assert applied(found, ["test-9"]) == ["nginx", "openssl-libs"]
    assert applied(found, ["extra-9", "test-9"]) == ["nginx", "openssl-libs"]
    assert applied(found, ["other-9"]) == []
    assert applied(found, ["test-9"], name="mail") == ["openssl-libs"]
    assert applied(found, ["test-9"], arch="aarch64") == ["nginx"]


def test_two_for_one_package_of_an_image_are_refused(tmp_path: Path) -> None:
    other = PIN.removeprefix("pins:\n").replace("test-9", "extra-9")
    found = load_overrides(written(tmp_path, PIN + other))
    assert applied(found, ["test-9"]) == ["nginx"]
    with pytest.raises(DocumentError, match=r"at 2:1\.20\.1-20\.el9 are both for this image"):
        applied(found, ["test-9", "extra-9"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "evr: 2:1.20.1-20.el9",
            "evr: 1.20.1",
            "pins[0].evr: '1.20.1' is not [epoch:]version-release",
        ),
        ("evr: 2:1.20.1-20.el9", "evr: 1", "pins[0].evr: expected a valid string, not 1"),
        ("    expires: 2026-12-31\n", "", "pins[0].expires: this key is required"),
        ("2026-12-31", "2026-13-31", "pins[0].expires: '2026-13-31' is not a day"),
        ("2026-12-31", "20261231", "pins[0].expires: expected a valid string, not 20261231"),
        ("2026-12-31", "'20261231'", "pins[0].expires: '20261231' is not a day"),
        ("https://example.org/issues/7", "because", "pins[0].reason: 'because' is not the URL"),
        ("https://example.org/issues/7", "https://example.org", "pins[0].reason: 'https://exam"),
        ("name: nginx", "nam: nginx", "pins[0].nam: unknown key; nearest: name"),
        ("pins:", "pin:", "pin: unknown key; nearest: pins"),
    ],
)
def test_a_fault_in_a_pin_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    assert old in PIN
    said = fault(tmp_path, monkeypatch, PIN.replace(old, new))
    assert f"rpm-mirror/overrides.yaml: {message}" in said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-6.el9.x86_64", "", "fast_tracks[0].nevra: 'openssl-libs-1:3.2.2' is not name-[epoch:]"),
        (DIGEST, "centos-stream-9~1", "fast_tracks[0].snapshot: 'centos-stream-9~1' is not the"),
        (DIGEST, "a" * 64, "fast_tracks[0].snapshot: 'aaaa"),
        ("    repository: baseos\n", "", "fast_tracks[0].repository: this key is required"),
    ],
)
def test_a_fault_in_a_fast_track_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    assert old in TRACK
    said = fault(tmp_path, monkeypatch, TRACK.replace(old, new))
    assert f"rpm-mirror/overrides.yaml: {message}" in said


@pytest.mark.parametrize("images", ["", "    images: [web]\n", "    images: [mail]\n"])
def test_two_for_the_same_images_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: str
) -> None:
    text = PIN + PIN.removeprefix("pins:\n").replace("-20.el9", "-16.el9") + images
    assert fault(tmp_path, monkeypatch, text) == (
        "rpm-mirror/overrides.yaml: the pin of nginx at 2:1.20.1-20.el9 and the pin of nginx at "
        "2:1.20.1-16.el9 are for the same images"
    )


def test_two_for_other_images_or_architectures_are_none(tmp_path: Path) -> None:
    arm = TRACK.removeprefix("fast_tracks:\n").replace("x86_64", "aarch64")
    other = PIN.removeprefix("pins:\n")
    text = f"{PIN}    images: [web]\n{other}    images: [db]\n{TRACK}{arm}"
    found = load_overrides(written(tmp_path, text))
    assert (len(found.pins), len(found.fast_tracks)) == (2, 2)
