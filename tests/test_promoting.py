"""A promotion, from a merged pull request to what consumers read; and what is refused."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import pytest
from promotable import OTHER, PROD, REGION, SECOND, STAGING, Site, held, make_site
from signed import signer

from goldpress import promoting
from goldpress.aws.client import Access
from goldpress.aws.ec2 import Images
from goldpress.errors import CloudError, ConflictError, MissingError, PromotionError, TrustError
from goldpress.promotion import available, carrying, lease, record
from goldpress.promotion.carrying import journal_key, lease_key
from goldpress.promotion.lease import take
from goldpress.statements.signing import entry
from goldpress.statements.statement import VERIFICATION
from goldpress.store.journal import Journal

POLICY_WITH_FLEETS = """\
fleets:
  - {name: shop, region: us-east-1, silo: blue, groups: [shop-a]}
waves:
  - {name: all, fleets: [shop], soak_minutes: 0, gates: [healthy]}
"""


def refused(site: Site, channel: str, **given: Any) -> PromotionError:
    """How it was refused; nothing was changed in the cloud by it."""
    site.emulator.ask("calls", {})
    with pytest.raises(PromotionError) as caught:
        site.promote(channel, **given)
    assert site.changed() == {}
    return caught.value


def journal(site: Site, channel: str) -> dict[str, Any]:
    return Journal.read(site.ws.store.objects, journal_key(site.name, channel)).values


# ---- what is promoted ----


def test_a_merged_proposal_becomes_what_consumers_read_in_every_region(site: Site) -> None:
    site.everywhere()
    digest = site.soaked("a")
    pull = site.propose("prod", digest)
    merge = site.merge(pull, "ann", method="queue")
    outcome = site.promote("prod")
    for region in (REGION, SECOND):
        ami = site.ami("a", region)
        assert site.pointer("prod", region) == ami.ami
        assert site.versioned("prod", digest, region) == ami.ami
        images = Images.at(Access(), region)
        image = images.image(ami.ami)
        assert image is not None
        assert image.protected
        assert image.tags["goldpress:channel:prod"] == f"pull {pull.number}"
        assert images.launchers(ami.ami) == {OTHER}
    made = outcome.promotion
    assert made is not None
    assert made == site.history("prod")[-1]
    assert (made.digest, made.previous, made.emulated) == (digest, "", True)
    assert made.amis == {region: site.ami("a", region).ami for region in (REGION, SECOND)}
    approval = made.approval
    assert (approval.pull, approval.head, approval.merge) == (pull.number, pull.head, merge)
    assert approval.tree == site.github.hub.git("rev-parse", f"{merge}^{{tree}}")
    assert (approval.approvers, approval.merged_by) == (("ann",), "ben")
    # Every statement that it relied on: three of the build, two a region.
    assert len(made.evidence) == 3 + 2 * 2
    assert outcome.document()["state"] == "promoted"
    assert journal(site, "prod")["state"] == "done"


def test_again_changes_nothing(site: Site) -> None:
    digest = site.image("a")
    site.in_force("staging", digest)
    site.emulator.ask("calls", {})
    outcome = site.promote("staging")
    assert outcome.changes == ()
    assert site.changed() == {}
    assert len(site.history("staging")) == 1


def test_what_somebody_changed_since_is_made_right_again(site: Site) -> None:
    digest = site.image("a")
    site.in_force("staging", digest)
    client = Access().client("ssm", REGION)
    client.delete_parameter(Name=f"/goldpress/{site.name}/staging/current")
    outcome = site.promote("staging")
    assert [row.kind for row in outcome.changes] == ["pointer"]
    assert site.pointer("staging") == site.ami("a").ami
    assert len(site.history("staging")) == 1


def test_a_dry_run_tells_and_changes_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    site.emulator.ask("calls", {})
    outcome = site.promote("staging", dry_run=True)
    assert [row.kind for row in outcome.changes] == ["protect", "tag", "parameter", "pointer"]
    assert outcome.promotion is None
    assert outcome.document()["state"] == "would be promoted"
    assert site.changed() == {}
    assert (site.history("staging"), journal(site, "staging")) == ((), {})
    told = capsys.readouterr().err
    assert f"{site.name}/staging: what is changed" in told
    assert site.ami("a").ami in told
    assert "not-older" in told


def test_forth_and_back_by_the_same_way(site: Site) -> None:
    first = site.soaked("a")
    site.in_force("prod", first)
    second = site.soaked("b")
    site.in_force("prod", second)
    assert site.pointer("prod") == site.ami("b").ami
    back = site.in_force("prod", first)
    assert (back.digest, back.previous) == (first, second)
    assert site.pointer("prod") == site.ami("a").ami
    assert [row.digest for row in site.history("prod")] == [first, second, first]
    # Both can still be launched, and none can be removed.
    for letter in "ab":
        image = Images.at(Access(), REGION).image(site.ami(letter).ami)
        assert image is not None
        assert image.protected
    assert site.versioned("prod", second) == site.ami("b").ami


def test_with_fleets_the_pointer_waits_for_their_roll(site: Site) -> None:
    site.policy(staging=STAGING + POLICY_WITH_FLEETS)
    digest = site.image("a")
    site.in_force("staging", digest)
    assert site.versioned("staging", digest) == site.ami("a").ami
    assert site.pointer("staging") == ""
    assert journal(site, "staging")["state"] == "done"


def test_in_haste_with_two_approvals(site: Site) -> None:
    people = site.github.hub.people
    people["carl"] = dataclasses.replace(people["ann"], login="carl")
    digest = site.soaked("a")
    site.later -= site.later
    message = "a fix\n\nExpedite: CVE-2026-1"
    pull = site.propose("prod", digest, message=message)
    site.merge(pull, "ann")
    error = refused(site, "prod")
    assert error.rule == "approved"
    assert "1 of 2 approvals" in str(error)
    assert "soak: 0.0 of 1 hours in staging" in str(error)
    site.later += timedelta(hours=2)
    site.policy(prod=PROD)
    pull = site.propose("prod", digest, message=message)
    site.merge(pull, "ann", "carl")
    made = site.promote("prod").promotion
    assert made is not None
    assert (made.approval.approvers, made.approval.expedited) == (("ann", "carl"), "CVE-2026-1")
    assert site.pointer("prod") == site.ami("a").ami


def test_several_images_one_refused(site: Site) -> None:
    other = make_site(site.ws.project.parent, site.github, site.emulator)
    other.ws = site.ws
    good, bad = site.image("a"), other.image("b", "sbom")
    site.wanted("staging", good)
    other.wanted("staging", bad)
    repo = site.github.repository
    outcomes = promoting.promote(site.ws, "staging", repo=repo, now=site.now)
    states = {row.image: row.document()["state"] for row in outcomes}
    assert states == {site.name: "promoted", other.name: "REFUSED"}
    error = promoting.failure(outcomes)
    assert isinstance(error, PromotionError)
    assert error.rule == "evidence-sbom"
    (row,) = promoting.promote(site.ws, "staging", image=site.name, repo=repo, now=site.now)
    assert row.error is None


def test_a_channel_without_an_image_or_that_is_not_there(site: Site) -> None:
    repo = site.github.repository
    assert promoting.promote(site.ws, "prod", repo=repo) == []
    with pytest.raises(MissingError, match="main of example/images has no channel 'prd'"):
        promoting.promote(site.ws, "prd", repo=repo)
    with pytest.raises(MissingError, match="has no channel 'prod' of db"):
        promoting.promote(site.ws, "prod", image="db", repo=repo)


# ---- what is refused ----


def test_an_unapproved_merge(site: Site) -> None:
    digest = site.image("a")
    site.merge(site.propose("staging", digest))
    assert refused(site, "staging").rule == "approved"
    assert site.history("staging") == ()


def test_evidence_that_is_missing(site: Site) -> None:
    digest = site.image("a", "verification")
    site.wanted("staging", digest)
    error = refused(site, "staging")
    assert error.rule == "evidence-verification"
    assert "booted: no statement" in str(error)


def test_a_region_without_the_ami(site: Site) -> None:
    digest = site.image("a")
    site.everywhere()
    site.wanted("staging", digest)
    error = refused(site, "staging")
    assert error.rule == "published"
    assert f"no AMI of {digest[7:19]} was published to {SECOND}" in str(error)


def test_an_ami_that_is_gone(site: Site) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    Images.at(Access(), REGION).deregister(site.ami("a").ami)
    assert refused(site, "staging").rule == "published"


def test_a_held_digest(site: Site) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    held(site, digest, "it leaks")
    error = refused(site, "staging")
    assert error.rule == "not-held"
    assert "it leaks" in str(error)


def test_a_stand_in_for_aws(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    monkeypatch.setattr(Access, "emulated", False)
    error = refused(site, "staging")
    assert error.rule == "stand-in"
    assert "sandbox is a rehearsal, and never goes to AWS" in str(error)


def test_a_digest_that_main_names_no_more_while_it_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = site.image("a"), site.image("b")
    site.wanted("staging", first)

    def slowly(*given: Any, **more: Any) -> Any:
        site.wanted("staging", second)
        return take(*given, **more)

    monkeypatch.setattr(lease, "take", slowly)
    outcome = site.promote("staging")
    assert outcome.digest == second
    assert [row.digest for row in site.history("staging")] == [second]


def test_a_key_that_may_not_promote(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    builder = signer("builder", "build")
    monkeypatch.setattr(promoting, "signer_for", lambda *_, **__: builder)
    with pytest.raises(Exception, match="the key builder may not sign promote statements"):
        site.promote("staging")
    assert site.history("staging") == ()
    assert site.pointer("staging") == ""


# ---- what goes wrong in the middle ----


def test_two_at_once_one_stops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    inside, go_on = threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        inside.set()
        assert go_on.wait(60)
        return carrying.carry_out(*given)

    monkeypatch.setattr(promoting, "carry_out", slowly)
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(site.promote("staging")))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(ConflictError, match=r"is at the same work, at most until ..:..:.. UTC"):
        site.promote("staging")
    go_on.set()
    thread.join()
    assert outcomes[0].promotion == site.history("staging")[-1]
    assert len(site.history("staging")) == 1
    assert take(site.ws.store.objects, lease_key(site.name, "staging")).fence == 2


def test_a_write_that_aws_swallowed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldpress.aws.ssm.WRITTEN_SECONDS", 0.2)
    digest = site.image("a")
    site.wanted("staging", digest)
    put = {"service": "ssm", "action": "PutParameter", "status": 200, "times": 0}
    site.emulator.fail(put)
    with pytest.raises(PromotionError) as caught:
        site.promote("staging")
    assert caught.value.rule == "written"
    assert "did not keep it: it is not there" in str(caught.value)
    # Nothing is in force, and nobody is led to it; the journal knows where it ended.
    assert site.history("staging") == ()
    assert journal(site, "staging")["doing"]["kind"] == "parameter"
    site.emulator.fail()
    site.promote("staging")
    assert site.pointer("staging") == site.ami("a").ami


def test_a_hold_in_the_middle_keeps_the_pointer_where_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.image("a")
    site.in_force("staging", first)
    second = site.image("b")
    site.wanted("staging", second)
    keep = record.keep

    def then_held(*given: Any) -> Any:
        made = keep(*given)
        held(site, second, "it leaks")
        return made

    monkeypatch.setattr(carrying, "keep", then_held)
    with pytest.raises(PromotionError) as caught:
        site.promote("staging")
    assert caught.value.rule == "not-held"
    assert site.pointer("staging") == site.ami("a").ami
    # The way back is open: it needs its own approval, and nothing else.
    monkeypatch.undo()
    site.in_force("staging", first)
    assert site.pointer("staging") == site.ami("a").ami


def test_a_hold_since_the_rules_were_judged_keeps_it_out_of_the_record(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.image("a")
    site.in_force("staging", first)
    second = site.image("b")
    site.wanted("staging", second)

    def then_held(*given: Any) -> None:
        available.make(*given)
        held(site, second, "it leaks")

    monkeypatch.setattr(carrying, "make", then_held)
    with pytest.raises(PromotionError) as caught:
        site.promote("staging")
    assert caught.value.rule == "not-held"
    assert [row.digest for row in site.history("staging")] == [first]
    assert site.pointer("staging") == site.ami("a").ami


def test_a_checkout_adds_nobody_who_is_believed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to judge the evidence, nor to sign the promotion: `main` says who may."""
    digest = site.image("a", "verification")
    stranger = signer("stranger", "verify", "promote")
    text = entry("stranger", stranger.key.public, ("verify", "promote"), stand_in=True)
    (site.ws.project / "trust.yaml").write_text(f"keys:\n{text}")
    made = site.images["a"]
    both = dataclasses.replace(made, signer=stranger, trust=site.trust)
    both.say(VERIFICATION, made.verification().predicate())
    pull = site.propose("staging", digest)
    (rows,) = site.check(pull).verdicts.values()
    assert "evidence-verification" in {row.rule for row in rows if not row.ok}
    site.merge(pull, "ann")
    assert refused(site, "staging").rule == "evidence-verification"
    made.say(VERIFICATION, made.verification().predicate())
    monkeypatch.setattr(promoting, "signer_for", lambda *_, **__: stranger)
    with pytest.raises(TrustError, match="which is not trusted"):
        site.promote("staging")
    assert site.history("staging") == ()
    site.github.hub.commit("main", {"trust.yaml": f"keys:\n{text}"}, by="ann", message="trust")
    assert site.promote("staging").promotion == site.history("staging")[-1]


def test_a_branch_without_a_trust_file_believes_nobody(site: Site) -> None:
    digest = site.image("a")
    site.wanted("staging", digest)
    site.github.hub.commit("main", {"trust.yaml": ""}, by="ann", message="no trust")
    with pytest.raises(MissingError, match=r"main of example/images has no trust\.yaml"):
        site.promote("staging")


def test_what_did_not_end_is_replaced_by_what_was_merged_since(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (site.image(letter) for letter in "abc")
    site.in_force("staging", first)
    site.wanted("staging", second)
    denied = {"service": "ssm", "action": "PutParameter", "status": 400, "times": 0}
    site.emulator.fail({**denied, "code": "AccessDeniedException"})
    with pytest.raises(CloudError, match="AWS denies ssm:PutParameter"):
        site.promote("staging")
    site.emulator.fail()
    made = site.in_force("staging", third)
    assert (made.digest, made.previous) == (third, first)
    assert f"{third[7:19]} comes in its place" in capsys.readouterr().err
    assert site.pointer("staging") == site.ami("c").ami


def test_the_policy_in_force_is_that_of_main(site: Site) -> None:
    digest = site.soaked("a")
    pull = site.propose("prod", digest)
    # Since then more time is asked for.
    site.policy(prod=PROD.replace("soak_hours: 24", "soak_hours: 48"))
    site.merge(pull, "ann")
    error = refused(site, "prod")
    assert error.rule == "soak"
    assert "of 48 hours in staging" in str(error)
