"""From an AMI to its approval: each step proven, and each single lie found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clouds import block
from emulated import Emulator
from github_server import GitHubServer
from promotable import ACCOUNT, Site, make_site

from goldpress import ami as amis
from goldpress import holds
from goldpress.ami import Ami
from goldpress.errors import CloudError, MissingError, TrustError
from goldpress.host.run import run
from goldpress.promotion.record import KIND as PROMOTION
from goldpress.promotion.record import Promotion
from goldpress.statements.chain import LINKS
from goldpress.statements.shelf import say
from goldpress.statements.signing import local_signer
from goldpress.statements.statement import PROMOTION as PROMOTED
from goldpress.statements.statement import Statement
from goldpress.tracing import audit

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def site(
    tmp_path: Path, github: GitHubServer, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """A site whose project is a checkout of the hosting site's repository."""
    monkeypatch.setattr("goldpress.aws.ssm.POLL_SECONDS", 0.02)
    monkeypatch.setattr("goldpress.github.api.PAUSE_SECONDS", 0.01)
    monkeypatch.delenv("GOLDPRESS_SIGNER", raising=False)
    made = make_site(tmp_path, github, emulator)
    folder = made.ws.project / "images" / made.name
    shutil.copytree(PROJECT / "images/web", folder, symlinks=True, dirs_exist_ok=True)
    text = (folder / "image.yaml").read_text()
    (folder / "image.yaml").write_text(text.replace("name: web\n", f"name: {made.name}\n", 1))
    (folder / "publish.yaml").write_text("regions: {us-east-1: {}, eu-west-1: {}}\n")
    run(("git", "-C", made.ws.project, "init", "-q"))
    run(("git", "-C", made.ws.project, "remote", "add", "origin", github.hub.bare))
    return made


def fetch(site: Site) -> None:
    run(("git", "-C", site.ws.project, "fetch", "-q", "origin"))


@pytest.fixture
def promoted(site: Site) -> tuple[Site, Ami]:
    """An image that staging has in force, fetched; and its AMI."""
    site.in_force("staging", site.image("A"))
    fetch(site)
    return site, site.ami("A")


def verdicts(site: Site, ami: Ami) -> dict[str, str]:
    """The links that are not proven, and why."""
    return {link.name: link.why for link in audit(site.ws, ami.ami).links if not link.ok}


def test_an_ami_is_led_back_to_its_approval(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    found = audit(site.ws, ami.ami)
    names = ["blocks", *LINKS, "this AMI", "not held", "approval"]
    assert [(link.name, link.ok) for link in found.links] == [(name, True) for name in names]
    found.refuse_unproven()
    by = {link.name: link.why for link in found.links}
    assert by["blocks"].startswith(f"1 blocks read back from {ami.snapshot}: block root ")
    (promotion,) = found.promotions
    assert f"{site.name}/staging since {promotion.at}: example/images#" in by["approval"]
    assert "by ann, merged by" in by["approval"]
    document = found.document()
    json.dumps(document)
    assert document["image_digest"] == ami.image
    assert document["promotions"][0]["approval"]["approvers"] == ["ann"]


def test_a_block_that_was_changed_is_found(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    account = site.account(ami.region)
    # As EC2 shows it by now: another disk under the AMI that was approved.
    other = account.made({0: block("other")})
    site.emulator.ask("settings", {"complete_seconds": 0.0})
    known = replace(ami, ami=account.register(other, Name="other"), snapshot=other)
    amis.keep(site.ws.store, known)
    found = verdicts(site, known)
    assert "does not hold the image: 1 blocks differ" in found["blocks"]
    assert found["this AMI"] == f"no statement that is believed is about {known.ami}"
    assert found["approval"].startswith("no promotion that is believed made ami-")
    with pytest.raises(TrustError) as caught:
        audit(site.ws, known.ami).refuse_unproven()
    assert caught.value.message == (
        f"{known.ami}: 3 of 10 links are not proven: blocks, this AMI, approval"
    )


def test_an_ami_that_is_gone_is_told(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    ec2 = site.account(ami.region).ec2
    ec2.disable_image_deregistration_protection(ImageId=ami.ami)
    ec2.deregister_image(ImageId=ami.ami)
    assert verdicts(site, ami) == {"blocks": f"{ami.ami} is gone from {ami.region}"}


def test_an_image_without_promotion_is_approved_by_nobody(site: Site) -> None:
    site.image("A")
    ami = site.ami("A")
    assert verdicts(site, ami) == {
        "approval": f"no promotion that is believed made {ami.ami} available in us-east-1"
    }


def test_a_held_image_is_told(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    key = local_signer(site.ws)
    holds.hold(site.ws.store, site.trust, ami.image, why="bad kernel", signer=key)
    found = verdicts(site, ami)
    assert set(found) == {"not held"}
    assert found["not held"].endswith("by (this machine): bad kernel")


def test_a_checkout_that_was_not_fetched_proves_no_approval(site: Site) -> None:
    site.in_force("staging", site.image("A"))
    found = verdicts(site, site.ami("A"))
    assert set(found) == {"approval"}
    assert "this checkout lacks the commit" in found["approval"]
    assert found["approval"].endswith("`git fetch`")


def forged(site: Site, **changes: Any) -> Promotion:
    """The promotion in force as somebody signs it who may, and lies."""
    (real,) = site.history("staging")
    return replace(real, **changes)


def lies(site: Site) -> Iterator[tuple[Promotion, str]]:
    (real,) = site.history("staging")
    later = {"at": "2031-01-01T00:00:00Z"}
    nobody = replace(real.approval, approvers=())
    yield forged(site, approval=nobody), "names nobody who approved it"
    tree = replace(real.approval, tree="0" * 40)
    yield forged(site, approval=tree), "not 000000000000"
    first = site.github.hub.git("rev-list", "--max-parents=0", "main").strip()
    merge = replace(real.approval, merge=first)
    yield forged(site, approval=merge), "names no image"
    option = replace(real.approval, merge="--output=x")
    yield forged(site, approval=option), "this checkout lacks the commit --output=x"
    lost = f"sha256:{'7' * 64}"
    yield forged(site, evidence=(lost,)), "statements that are not proven: 777777777777"
    yield forged(site, **later), "the ledger does not have the promotion that was signed at 2031"
    yield forged(site, channel="../x"), "is not the name of a channel"


def test_a_promotion_that_lies_is_found_out(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    count = 0
    for lie, why in lies(site):
        said = Statement(image=ami.image, predicate_type=PROMOTED, predicate=lie.predicate())
        document = say(site.ws.store, said, local_signer(site.ws), site.trust)
        found = verdicts(site, ami)
        assert set(found) == {"approval"}, why
        assert why in found["approval"]
        site.ws.store.forget("statement", ami.image, document)
        count += 1
    assert count == 7
    assert not verdicts(site, ami)


def test_a_ledger_without_the_promotion_is_told(promoted: tuple[Site, Ami]) -> None:
    site, ami = promoted
    name = f"{site.name}/staging"
    (entry,) = site.ws.store.history(PROMOTION, name)
    site.ws.store.forget(PROMOTION, name, entry.digest)
    assert "the ledger does not have the promotion" in verdicts(site, ami)["approval"]


def test_an_ami_of_another_account_or_unknown_is_refused(site: Site) -> None:
    with pytest.raises(MissingError, match="ami-0aaaaaaaa: the store has no record of it"):
        audit(site.ws, "ami-0aaaaaaaa")
    site.press("A")
    other = site.publish("A", "us-east-1", account="111122223333")
    with pytest.raises(CloudError, match=f"is in account 111122223333, .* of {ACCOUNT}"):
        audit(site.ws, other.ami)
