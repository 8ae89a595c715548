"""The main job on the sandbox: one command, a verified image, and nothing done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pressing import PROJECT, booted_directly, inv, sandbox_press, variant
from suites import web_controls

from goldpress.host.run import run
from goldpress.machine import ssh

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


@pytest.fixture(scope="session")
def built() -> dict[str, Any]:
    """What `./inv build-image --sandbox` prints."""
    done = inv("build-image", "--sandbox")
    assert done.returncode == 0, done.stderr.decode()
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_stdout_is_one_document_that_names_the_image(built: dict[str, Any]) -> None:
    assert built["image_digest"].startswith("sha256:")
    assert (built["distribution"], built["stand_in"]) == ("sandbox", True)
    assert len(built["disk_sha256"]) == 64
    assert built["checks"]["failed"] == 0
    assert built["checks"]["passed"] >= 25
    assert len(built["largest_packages"]) == 10


def test_evidence_is_about_this_image_on_a_uefi_machine(built: dict[str, Any]) -> None:
    evidence = json.loads(Path(built["evidence"]).read_text())
    assert evidence["subject"]["image_digest"] == built["image_digest"]
    assert evidence["subject"]["disk_sha256"] == built["disk_sha256"]
    assert (evidence["outcome"], evidence["stand_in"]) == ("passed", True)
    assert evidence["machine"]["firmware"] == "uefi"
    first, second = ({c["control"] for c in boot["checks"]} for boot in evidence["boots"])
    assert {
        "os-selinux-enforcing", "boot-state-running", "packages-none-missing",
        "packages-none-added", "disk-etc-not-writable", "os-selinux-no-denial",
        "disk-root-verity", "disk-var-grown", "identity-host-key-kept",
    } <= first == second  # fmt: skip
    assert len({boot["host_key"] for boot in evidence["boots"]}) == 1
    assert len({boot["console_sha256"] for boot in evidence["boots"]}) == 2


def test_the_table_of_controls_lies_beside_the_evidence(built: dict[str, Any]) -> None:
    report = Path(built["controls"])
    assert report.parent == Path(built["evidence"]).parent
    said = report.read_text()
    assert f"Image {built['image_digest']}: {built['checks']['passed']} checks passed" in said
    table = said.partition("\n## ")[0]
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table.splitlines()}
    assert [name for name in web_controls().every if name not in rows] == []
    assert "FAILED" not in said
    assert rows["os-crypto-policy"].count("not exercised") == 2
    assert f"The bare image: {built['bare_image']}." in said


def test_the_seconds_of_the_suite_are_told(built: dict[str, Any]) -> None:
    evidence = json.loads(Path(built["evidence"]).read_text())
    booted = [boot["seconds"] for boot in evidence["boots"]]
    assert built["suite_seconds"]["booted"] == booted
    assert min(*booted, built["suite_seconds"]["offline"]) > 0


def test_the_manifest_names_the_root_hash_of_the_disk(built: dict[str, Any]) -> None:
    pressed = sandbox_press().press()
    assert pressed.digest == built["image_digest"]
    found = json.loads(run(("sfdisk", "--json", built["disk"])).text)["partitiontable"]
    uuids = [part["uuid"].replace("-", "").lower() for part in found["partitions"]]
    assert "".join(uuids[1:3]) == pressed.manifest.root_hash
    assert f"roothash={pressed.manifest.root_hash}" in pressed.manifest.command_line.split()


def test_a_second_run_makes_nothing(built: dict[str, Any]) -> None:
    done = inv("build-image", "--sandbox")
    again = json.loads(done.stdout)
    assert again["rebuilt"] == []
    assert again["image_digest"] == built["image_digest"]
    assert again["evidence"] == built["evidence"]
    assert "nothing changed" in done.stderr.decode()


def test_centos_is_never_replaced_by_the_sandbox(built: dict[str, Any]) -> None:
    assert built["stand_in"]
    done = inv("build-image", timeout=20)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert "error: no lock of web for CentOS Stream 9" in said
    assert "./inv mirror.sync lock" in said
    assert "--sandbox" in said


def test_two_presses_are_identical(built: dict[str, Any]) -> None:
    done = inv("reproduce", "--sandbox")
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    assert result["disk_sha256"] == [built["disk_sha256"]] * 2


def test_a_changed_template_installs_nothing_and_boots_with_the_new_line(
    built: dict[str, Any], tmp_path: Path
) -> None:
    template = PROJECT / "images/web/files/etc/nginx/nginx.conf.j2"
    new = template.read_text().replace("{{ keepalive_seconds }}s;", "61s;")
    press = variant(sandbox_press(), tmp_path / "web", {"files/etc/nginx/nginx.conf.j2": new})
    pressed = press.press()
    fresh = {name for name, product in pressed.stages.items() if product.fresh}
    assert not fresh & {"packages", "initrd", "policy"}
    assert pressed.digest != built["image_digest"]
    with booted_directly(pressed, tmp_path / "machine") as machine:
        found = ssh.execute(machine, "cat", "/etc/nginx/nginx.conf").text
    assert "keepalive_timeout 61s;" in found
