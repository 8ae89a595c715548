"""publish.yaml: strict, with the regions that were named."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.errors import DocumentError, MissingError
from goldpress.publish.settings import Target, load_settings, targets

PROJECT = Path(__file__).resolve().parents[1]
TEXT = """
regions:
  us-east-1: {kms_key: alias/golden, subnet: subnet-0a}
  eu-west-1: {}
share_with: ["111122223333"]
"""


def written(directory: Path, text: str) -> Path:
    (directory / "publish.yaml").write_text(text)
    return directory


def test_the_file_of_the_web_image_can_be_read() -> None:
    assert load_settings(PROJECT / "images/web").regions


def test_regions_are_those_of_the_file_or_some_of_them(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, TEXT))
    both = targets(settings, (), emulated=False)
    assert [row.region for row in both] == ["us-east-1", "eu-west-1"]
    assert both[0] == Target(region="us-east-1", kms_key="alias/golden", subnet="subnet-0a")
    assert [row.region for row in targets(settings, ("eu-west-1",), emulated=False)] == [
        "eu-west-1"
    ]


def test_the_embedded_cloud_gets_no_key_and_no_subnet_of_aws(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, TEXT))
    (first, _) = targets(settings, (), emulated=True)
    assert first == Target(region="us-east-1", kms_key="", subnet="")


def test_a_region_that_the_file_lacks_is_refused(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, TEXT))
    with pytest.raises(DocumentError, match=r"publish.yaml has no region 'eu-west-2'; nearest: eu"):
        targets(settings, ("eu-west-2",), emulated=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regions: {}", "regions: "),
        ("regions: {us-east-1: {key: x}}", "regions.us-east-1.key: unknown key"),
        ("regions: {us-east-1: {}}\nshare_with: ['12']", r"share_with\[0\]: "),
        ("regions: {us-east-1: {}}\nrole: admin", "role: "),
        ("regions: {us-east-1: {}}\ntrial: {reach: vpn}", "trial.reach: expected 'direct'"),
        ("regions: {us-east-1: {subnet: net-1}}", "regions.us-east-1.subnet: "),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        load_settings(written(tmp_path, text))


def test_an_image_without_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"publish.yaml: there is no such file"):
        load_settings(tmp_path)
