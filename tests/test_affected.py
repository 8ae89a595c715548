"""What a CVE affects: images, the channels that have them, the instances that run them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from clouds import Account
from cve_site import CVE, Patched
from promotable import ACCOUNT, REGION, SECOND, Site
from rich.console import Console

from goldpress import affected
from goldpress.affected import Affected
from goldpress.digest import short
from goldpress.errors import CloudError, DocumentError, MissingError
from goldpress.mirror.roots import IMAGE


def shown(found: Affected) -> str:
    console = Console(file=io.StringIO(), width=220)
    console.print(affected.table(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_images_channels_and_instances_that_carry_it_and_the_fix(patched: Patched) -> None:
    old = patched.press("a", patched.older)
    new = patched.press("b", patched.newer)
    patched.site.in_force("staging", old.image)
    instances = {patched.launch("a"), patched.launch("a", "eu-west-1")}
    patched.launch("b")
    found = patched.look()
    carrying, fixed = found.images
    assert (carrying.digest, fixed.digest) == (old.image, new.image)
    (carrier,) = carrying.carries
    assert (carrier.evr, carrier.fix, carrier.sure) == ("1.0-1.el9", "1.2-1.el9", True)
    assert carrying.channels == (f"{patched.site.name}/staging",)
    assert {row.id for row in carrying.instances} == instances
    assert {(row.account, row.region) for row in carrying.instances} == {
        (ACCOUNT, region) for region in (REGION, SECOND)
    }
    assert fixed.carries == ()
    assert fixed.instances == ()
    assert [row.digest for row in found.carrying] == [old.image]
    text = shown(found)
    for part in (*instances, short(old.image), "1.2-1.el9", "it is fixed", "changelog"):
        assert part in text


def test_instances_that_have_ended_are_not_named(patched: Patched) -> None:
    patched.press("a", patched.older)
    instance = patched.launch("a")
    account = Account(emulator=patched.site.emulator, id=ACCOUNT)
    account.ec2.terminate_instances(InstanceIds=[instance])
    assert patched.look().images[0].instances == ()


def test_its_document_is_plain_json(patched: Patched) -> None:
    patched.press("a", patched.older)
    value = json.loads(json.dumps(patched.look().document()))
    assert value["images"][0]["carries"] is True
    assert value["images"][0]["carriers"][0]["fix"] == "1.2-1.el9"
    assert value["named_by_the_mirror"] is True


def test_accounts_that_nobody_may_look_at_are_told_and_end_in_an_error(patched: Patched) -> None:
    site = patched.site
    patched.press("a", patched.older)
    prod = site.file("prod").decode()
    assert 'accounts: ["111122223333"]' in prod
    found = patched.look()
    assert found.blind == tuple(
        f"111122223333/{region}: no role may look there: name one in `readers` of the channel"
        for region in ("eu-west-1", "us-east-1")
    )
    error = found.failure()
    assert isinstance(error, CloudError)
    assert "more instances may run an affected image; not looked at:" in str(error)
    assert "not looked at: 111122223333/eu-west-1" in shown(found)


def test_a_role_reads_other_accounts(patched: Patched) -> None:
    site = patched.site
    patched.press("a", patched.older)
    roles = 'readers: {"111122223333": "arn:aws:iam::111122223333:role/look"}\n'
    text = site.file("prod").decode() + roles
    site.github.hub.commit("main", {site.path("prod"): text}, by="ann", message="readers")
    for region in site.regions:
        place = Account(emulator=site.emulator, id=ACCOUNT, region=region)
        place.ec2.modify_image_attribute(
            ImageId=site.ami("a", region).ami,
            LaunchPermission={"Add": [{"UserId": "111122223333"}]},
        )
    instance = patched.launch("a", "eu-west-1", account="111122223333")
    found = patched.look()
    assert found.blind == ()
    assert found.failure() is None
    (row,) = found.images[0].instances
    assert (row.id, row.account, row.region) == (instance, "111122223333", "eu-west-1")


def test_a_cve_that_nothing_names_is_no_sign_of_safety(patched: Patched) -> None:
    patched.press("a", patched.older)
    found = patched.look("CVE-2026-9999")
    assert not found.is_named
    assert found.images[0].carriers == ()
    text = shown(found)
    assert "nothing in the mirror names CVE-2026-9999: neither a changelog nor an advisory" in text
    assert "that is no sign that nothing carries it" in " ".join(text.split())
    assert "none that is named" in text


def test_an_image_that_nobody_stated_the_lock_of_is_not_known(patched: Patched) -> None:
    patched.site.press("z")
    (row,) = patched.look().images
    assert row.unknown
    assert "provenance" in row.unknown or "no statement" in row.unknown
    assert "not known: " in shown(patched.look())


def test_what_was_forgotten_is_not_looked_at(patched: Patched) -> None:
    made = patched.press("a", patched.older)
    series = f"{patched.site.name}.sandbox.x86_64"
    patched.site.ws.store.forget(IMAGE, series, made.image)
    assert patched.look().images == ()


def test_an_image_whose_project_folder_is_gone_is_told(patched: Patched) -> None:
    patched.press("a", patched.older)
    Path(patched.site.ws.project / f"images/{patched.site.name}/publish.yaml").unlink()
    (blind,) = patched.look().blind
    assert blind.startswith(f"{patched.site.name}: ")
    assert "publish.yaml: there is no such file" in blind


@pytest.mark.parametrize("cve", ["", "2026-1111", "CVE-26-1", "CVE-2026-1111 ", "cve-2026-1111"])
def test_what_is_no_cve_is_refused(site: Site, cve: str) -> None:
    with pytest.raises(DocumentError, match="is not the id of a CVE"):
        affected.affected(site.ws, cve)


def test_without_a_snapshot_there_is_nothing_to_ask(site: Site) -> None:
    site.image("a")
    with pytest.raises(MissingError, match="no snapshot of sandbox for x86_64 yet"):
        affected.affected(site.ws, CVE)


def test_an_aws_that_does_not_answer_is_told_and_the_images_all_the_same(
    patched: Patched,
) -> None:
    patched.press("a", patched.older)
    patched.site.emulator.fail(
        {"service": "ec2", "action": "DescribeInstances", "code": "UnauthorizedOperation",
         "status": 403}
    )  # fmt: skip
    found = patched.look()
    assert found.images[0].carries
    assert any("UnauthorizedOperation" in row or "denies" in row for row in found.blind)
    assert found.failure() is not None
