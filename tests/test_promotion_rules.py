"""Every rule of promotion: what it lets through, what it refuses; nothing missing passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attested import AMI_ID, BOOTED, REGION, World, boot, world
from signed import signer, trust

from goldpress.aws.ec2 import Image
from goldpress.channel import Channel, edited, parse_channel
from goldpress.errors import MissingError
from goldpress.holds import Hold
from goldpress.promotion import rules
from goldpress.promotion.facts import Facts, Missing, Place, known
from goldpress.promotion.record import MOMENT, Approval, Promotion
from goldpress.promotion.rules import judge
from goldpress.statements.chain import chain
from goldpress.statements.publication import Publication
from goldpress.statements.statement import PROVENANCE, PUBLICATION, VERIFICATION
from goldpress.statements.verification import Launched, Verification
from goldpress.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
TEXT = """\
image: none
after: staging
soak_hours: 24
regions: [us-east-1]
accounts: ["111122223333"]
evidence: [provenance, sbom, verification, publication, trial]
freeze:
  - days: [sat, sun]
    why: nobody looks
expedite:
  soak_hours: 1
  approvals: 2
  during_freeze: true
"""
SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RULES = (
    "image", "evidence-provenance", "evidence-sbom", "evidence-verification",
    "evidence-publication", "evidence-trial", "booted", "launched", "stand-in", "published",
    "content", "launchable", "soak", "not-frozen", "not-held", "not-older",
)  # fmt: skip


@pytest.fixture
def image(tmp_path: Path) -> World:
    return world(Store(root=tmp_path / "store"))


@pytest.fixture
def real(tmp_path: Path) -> World:
    return world(Store(root=tmp_path / "store"), stand_in=False)


def channel_of(digest: str, text: str = TEXT) -> Channel:
    path = "images/web/channels/prod.yaml"
    return parse_channel(edited(parse_channel(text.encode(), path=path), digest), path=path)


def promotion(digest: str, at: datetime, *, previous: str = "", emulated: bool = True) -> Promotion:
    return Promotion(
        image="web", channel="x", digest=digest, previous=previous,
        approval=Approval(
            repository="r", pull=1, head="", merge="", tree="", approvers=(), merged_by="",
            expedited="",
        ),
        account="1", emulated=emulated, amis={}, evidence=(), at=at.strftime(MOMENT), after="",
    )  # fmt: skip


def ec2_image(of: World, **changes: Any) -> Image:
    ami = of.ami()
    made = Image(
        id=ami.ami, name=ami.ami_name, state="available", why="", snapshot=ami.snapshot,
        protected=False, deprecation="", facts={},
    )  # fmt: skip
    return replace(made, **changes)


def facts_of(of: World, *, text: str = TEXT, **changes: Any) -> Facts:
    """Facts with which every rule is met, once all is said of the image."""

    def promoted(digest: str, at: datetime, previous: str = "") -> Promotion:
        return promotion(digest, at, previous=previous, emulated=of.stand_in)

    made = Facts(
        channel=channel_of(of.image, text),
        at=NOW,
        expedited="",
        emulated=of.stand_in,
        chain=chain(of.store, of.image, of.trust),
        past=(
            promoted(A, NOW - timedelta(days=9)),
            promoted(B, NOW - timedelta(days=5), A),
        ),
        earlier=(promoted(of.image, NOW - timedelta(hours=30)),),
        hold=None,
        pressed={A: "2026-11-01", B: "2026-11-10", of.image: "2026-11-15"},
        places={REGION: Place(ami=of.ami(), image=ec2_image(of), locked_out=())},
    )
    return dataclasses.replace(made, **changes)


def refused(facts: Facts) -> dict[str, str]:
    """The rules that are not met, and why."""
    return {row.rule: row.why for row in judge(facts) if not row.ok}


def test_with_all_facts_every_rule_is_met(image: World) -> None:
    image.say_all()
    found = judge(facts_of(image))
    assert tuple(row.rule for row in found) == RULES
    assert [row for row in found if not row.ok] == []
    why = {row.rule: row.why for row in found}
    assert why["booted"] == "3 checks passed, 2 boots"
    assert why["soak"] == "30.0 of 24 hours in staging"
    assert why["stand-in"] == "sandbox, to the embedded cloud"


def test_a_real_image_in_aws_too(real: World) -> None:
    real.say_all()
    assert refused(facts_of(real)) == {}


def test_no_fact_no_yes(image: World) -> None:
    image.say_all()
    gone = Missing(why="the store is on fire")
    whole = facts_of(image)
    facts = dataclasses.replace(
        whole, chain=gone, past=gone, earlier=gone, hold=gone, pressed=gone, emulated=gone,
        places={REGION: gone},
    )  # fmt: skip
    # Nothing is known to be frozen now, and that is known.
    assert set(refused(facts)) == set(RULES) - {"not-frozen"}
    for name in ("chain", "past", "earlier", "hold", "pressed", "emulated"):
        changed: dict[str, Any] = {name: gone}
        assert refused(dataclasses.replace(whole, **changed))


def test_a_fact_that_cannot_be_read_is_missing() -> None:
    def read() -> int:
        raise MissingError("no such thing", hint="make it")

    assert known(read) == Missing(why="no such thing")
    assert known(lambda: 1) == 1

    def broken() -> int:
        raise OSError(5, "Input/output error", "store")

    assert known(broken) == Missing(why="store: Input/output error")


# ---- the image and its evidence ----


def test_nothing_was_said(image: World) -> None:
    image.publication()
    found = refused(facts_of(image))
    assert set(found) == {
        *(rule for rule in RULES if rule.startswith("evidence-")),
        "booted", "launched", "content",
    }  # fmt: skip
    assert found["evidence-sbom"] == "no statement; `./inv build-image` makes it"
    assert found["content"].endswith(f"nobody who is believed read back the blocks of {AMI_ID}")


@pytest.mark.parametrize("link", ["provenance", "sbom", "verification", "publication", "trial"])
def test_one_link_is_missing(image: World, link: str) -> None:
    image.say_all(link)
    image.publication()
    found = refused(facts_of(image))
    assert f"evidence-{link}" in found
    more = {
        "verification": {"booted", "launched", "evidence-trial"},
        "publication": {"content", "launched", "evidence-trial"},
        "trial": {"launched"},
    }.get(link, set())
    assert set(found) == {f"evidence-{link}", *more}


def test_booted_and_launched_are_needed_whatever_the_channel_asks_for(image: World) -> None:
    image.say_all("verification", "trial")
    text = TEXT.replace("[provenance, sbom, verification, publication, trial]", "[provenance]")
    assert set(refused(facts_of(image, text=text))) == {"booted", "launched"}


def test_signed_by_someone_who_is_not_trusted(image: World) -> None:
    image.say_all()
    facts = facts_of(image, chain=chain(image.store, image.image, trust(signer("them"))))
    found = refused(facts)
    assert "which is not trusted" in found["evidence-provenance"]
    assert {"booted", "launched", "content"} <= set(found)


def test_signed_by_a_key_that_is_for_something_else(image: World) -> None:
    image.say_all("verification", "trial")
    builder = signer("builder", "build")
    said = image.verification().predicate()
    # The very bytes, signed by a key that builds and does not verify.
    verifier = replace(builder, key=replace(builder.key, roles=("verify",)))
    both = trust(image.signer, builder)
    replace(image, signer=verifier, trust=trust(image.signer, verifier)).say(VERIFICATION, said)
    found = refused(facts_of(image, chain=chain(image.store, image.image, both)))
    assert "the key builder may not sign verify statements" in found["evidence-verification"]


def test_evidence_of_another_image(image: World) -> None:
    image.say_all("verification")
    other = image.evidence(subject=replace(image.evidence().subject, image_digest=A))
    image.store.put_document("evidence", other.to_document())
    image.say(VERIFICATION, Verification(evidence=other).predicate())
    found = refused(facts_of(image))
    assert f"its evidence is of another image, {A}" in found["evidence-verification"]
    assert "booted" in found


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda c: replace(c, outcome="failed", message="no"), "the suite did not pass: "),
        (lambda _: None, "the suite did not pass: "),
    ],
    ids=["failed", "no check ran"],
)
def test_a_suite_that_failed_or_ran_nothing(
    image: World, spoil: Callable[[Any], Any], why: str
) -> None:
    image.say_all("verification", "trial")
    check = spoil(BOOTED)
    second = replace(boot(2), checks=(check,) if check else ())
    rows = (boot(1), second)
    image.say(VERIFICATION, image.verification(boots=rows).predicate())
    image.say(VERIFICATION, image.trial(boots=rows).predicate())
    found = refused(facts_of(image))
    for rule in ("evidence-verification", "evidence-trial", "booted", "launched"):
        assert why in found[rule]


@pytest.mark.parametrize("link", ["verification", "trial"])
def test_one_that_failed_is_not_outweighed_by_one_that_passed(image: World, link: str) -> None:
    """Not even where the channel does not ask for that link."""
    image.say_all()
    rows = (boot(1), replace(boot(2), checks=(replace(BOOTED, outcome="failed", message="no"),)))
    said = image.verification(boots=rows) if link == "verification" else image.trial(boots=rows)
    image.say(VERIFICATION, said.predicate())
    text = TEXT.replace("[provenance, sbom, verification, publication, trial]", "[provenance]")
    (rule,) = (name for name in refused(facts_of(image, text=text)))
    assert rule == {"verification": "booted", "trial": "launched"}[link]
    assert "the suite did not pass" in refused(facts_of(image, text=text))[rule]


def test_a_boot_that_was_left_out(image: World) -> None:
    image.say_all("verification")
    image.say(VERIFICATION, image.verification(boots=(boot(1),)).predicate())
    assert "the suite did not pass" in refused(facts_of(image))["booted"]


def test_a_required_control_that_was_not_exercised(image: World) -> None:
    image.say_all()
    assert refused(facts_of(image, text=TEXT + "controls: [os-sshd]\n")) == {}
    found = refused(facts_of(image, text=TEXT + "controls: [os-crypto]\n"))
    told = "the control os-crypto did not pass at boot 1"
    assert found == {"booted": told, "launched": told}


def test_a_required_control_of_which_one_check_failed() -> None:
    evidence = type("E", (), {"boots": (boot(1, BOOTED, replace(BOOTED, outcome="failed")),)})
    good = (type("V", (), {"evidence": evidence}),)
    facts = type("F", (), {"channel": channel_of(A, TEXT + "controls: [os-sshd]\n")})
    verdict = rules._verified("booted", facts, good, "")  # type: ignore[arg-type]  # noqa: SLF001
    assert verdict.why == "the control os-sshd did not pass at boot 1"


def test_an_image_of_another_name(image: World) -> None:
    image.say_all()
    path = "images/db/channels/prod.yaml"
    channel = replace(channel_of(image.image), image="db", path=path)
    assert refused(facts_of(image, channel=channel)) == {"image": "it is an image of web"}


def test_an_image_that_the_store_does_not_have(image: World) -> None:
    image.say_all()
    channel = channel_of(C)
    facts = facts_of(image, channel=channel, chain=chain(image.store, C, image.trust))
    found = refused(facts)
    assert found["image"] == f"the store has no manifest {C}"
    assert "evidence-provenance" in found


def test_a_channel_that_would_have_none(image: World) -> None:
    image.say_all()
    channel = parse_channel(TEXT.encode(), path="images/web/channels/prod.yaml")
    assert "the channel would have no image" in refused(facts_of(image, channel=channel))["image"]


# ---- the cloud ----


def test_a_stand_in_never_goes_to_aws(image: World) -> None:
    image.say_all()
    found = refused(facts_of(image, emulated=False))
    assert found["stand-in"] == "sandbox is a rehearsal, and never goes to AWS"
    assert found["content"] == f"us-east-1: {AMI_ID} is in another cloud"


def test_a_rehearsal_in_the_embedded_cloud_proves_nothing_of_aws(real: World) -> None:
    real.say_all("trial")
    emulated = Launched(account="1", region="us-east-1", ami="ami-00000000000000007")
    real.say(PUBLICATION, real.publication(ami=emulated.ami, emulated=True).predicate())
    real.say(VERIFICATION, real.trial(kind="ec2-emulated", launched=emulated).predicate())
    assert set(refused(facts_of(real))) == {"evidence-trial", "launched"}


@pytest.mark.parametrize("name", ["past", "earlier"])
def test_what_was_promoted_in_the_embedded_cloud_counts_nothing_in_aws(
    real: World, name: str
) -> None:
    """Neither as a time to soak nor as a way back that needs none."""
    real.say_all()
    rows: dict[str, Any] = {name: (promotion(real.image, NOW - timedelta(days=9)),)}
    assert refused(facts_of(real, **rows)) == {
        "stand-in": "web/x was promoted in the embedded cloud before, and this is another: "
        "a rehearsal needs a store of its own"
    }


def test_what_was_promoted_in_aws_counts_nothing_in_the_embedded_cloud(image: World) -> None:
    image.say_all()
    rows = (promotion(image.image, NOW - timedelta(days=9), emulated=False),)
    assert "was promoted in AWS before" in refused(facts_of(image, past=rows))["stand-in"]


def place(of: World, **changes: Any) -> dict[str, Place | Missing]:
    made = Place(ami=of.ami(), image=ec2_image(of), locked_out=())
    return {REGION: replace(made, **changes)}


@pytest.mark.parametrize("state", ["pending", "disabled", "failed", ""])
def test_an_ami_that_cannot_be_launched(image: World, state: str) -> None:
    image.say_all()
    found = ec2_image(image, state=state) if state else None
    assert refused(facts_of(image, places=place(image, image=found))) == {
        "published": f"us-east-1: {AMI_ID} is {state or 'gone'}"
    }


def test_an_ami_with_another_disk(image: World) -> None:
    image.say_all()
    found = ec2_image(image, snapshot="snap-00000000000000007")
    assert refused(facts_of(image, places=place(image, image=found))) == {
        "content": f"us-east-1: {AMI_ID} has the disk snap-00000000000000007, not "
        "snap-0123456789abcdef0"
    }


def test_an_ami_whose_blocks_are_not_the_image_s(image: World) -> None:
    image.say_all("publication", "trial")
    other = image.publication()
    image.say(PUBLICATION, Publication(ami=other.ami, block_root="7" * 64, blocks=2).predicate())
    image.say(VERIFICATION, image.trial().predicate())
    found = refused(facts_of(image))
    assert "its blocks were read back and are not the image's" in found["evidence-publication"]
    assert f"nobody who is believed read back the blocks of {AMI_ID}" in found["content"]


def test_an_ami_of_which_somebody_read_back_something_else_since(image: World) -> None:
    """Not even where the channel does not ask for that link."""
    image.say_all()
    other = Publication(ami=image.publication().ami, block_root="7" * 64, blocks=2)
    image.say(PUBLICATION, other.predicate())
    text = TEXT.replace("[provenance, sbom, verification, publication, trial]", "[provenance]")
    found = refused(facts_of(image, text=text))
    assert "its blocks were read back and are not the image's" in found["content"]


def test_an_ami_whose_document_has_another_root(image: World) -> None:
    image.say_all()
    ami = image.ami(block_root="7" * 64)
    found = refused(facts_of(image, places=place(image, ami=ami)))
    assert f"{AMI_ID} has another block root than the manifest" in found["content"]


def test_an_ami_that_was_published_but_never_stated(image: World) -> None:
    image.say_all()
    ami = image.ami(ami="ami-00000000000000007")
    found = refused(facts_of(image, places=place(image, ami=ami)))
    assert (
        "nobody who is believed read back the blocks of ami-00000000000000007" in found["content"]
    )
    assert "launched" in found


def test_a_region_without_the_ami(image: World) -> None:
    image.say_all()
    why = "no AMI of it was published to eu-west-1"
    places = {**place(image), "eu-west-1": Missing(why=why)}
    assert refused(facts_of(image, places=places)) == dict.fromkeys(
        ("published", "content", "launchable"), f"eu-west-1: {why}"
    )


def test_a_key_that_others_cannot_use(image: World) -> None:
    image.say_all()
    found = refused(facts_of(image, places=place(image, locked_out=("111122223333",))))
    assert found["launchable"].endswith(" is not open to 111122223333")


# ---- time ----


def test_too_short_in_the_channel_before(image: World) -> None:
    image.say_all()
    earlier = (promotion(image.image, NOW - timedelta(hours=5)),)
    assert refused(facts_of(image, earlier=earlier)) == {"soak": "5.0 of 24 hours in staging"}


def test_time_after_it_was_replaced_does_not_count(image: World) -> None:
    image.say_all()
    earlier = (
        promotion(image.image, NOW - timedelta(hours=90)),
        promotion(A, NOW - timedelta(hours=88)),
    )
    assert refused(facts_of(image, earlier=earlier)) == {"soak": "2.0 of 24 hours in staging"}


def test_never_in_the_channel_before(image: World) -> None:
    image.say_all()
    found = refused(facts_of(image, earlier=(promotion(A, NOW),)))
    assert found == {"soak": "staging never had it"}


def test_no_channel_before(image: World) -> None:
    image.say_all()
    text = TEXT.replace("after: staging\nsoak_hours: 24\n", "").replace(
        "  soak_hours: 1\n", "  soak_hours: 0\n"
    )
    assert refused(facts_of(image, text=text, earlier=())) == {}


def test_in_haste_for_a_shorter_time(image: World) -> None:
    image.say_all()
    earlier = (promotion(image.image, NOW - timedelta(hours=2)),)
    facts = facts_of(image, earlier=earlier, expedited="CVE-2026-1")
    assert refused(facts) == {}
    assert {row.rule: row.why for row in judge(facts)}["expedite"] == "CVE-2026-1"
    shorter = (promotion(image.image, NOW - timedelta(minutes=30)),)
    found = refused(facts_of(image, earlier=shorter, expedited="CVE-2026-1"))
    assert found == {"soak": "0.5 of 1 hours in staging"}


def test_in_haste_where_there_are_no_terms_for_it(image: World) -> None:
    image.say_all()
    text = TEXT[: TEXT.index("expedite:")]
    found = refused(facts_of(image, text=text, expedited="CVE-2026-1"))
    assert found["expedite"] == "this channel has no terms for haste"
    assert "expedite: this channel has no such rules" in found["soak"]


def test_in_a_freeze(image: World) -> None:
    image.say_all()
    assert refused(facts_of(image, at=SATURDAY)) == {"not-frozen": "nobody looks"}
    assert refused(facts_of(image, at=SATURDAY, expedited="CVE-2026-1")) == {}
    text = TEXT.replace("  during_freeze: true\n", "")
    found = refused(facts_of(image, text=text, at=SATURDAY, expedited="CVE-2026-1"))
    assert found == {"not-frozen": "nobody looks"}


# ---- holds and age ----


def test_a_held_digest(image: World) -> None:
    image.say_all()
    hold = Hold(
        image=image.image, act="hold", why="it leaks", at="2026-11-20T08:00:00Z", after="",
        by="ops",
    )  # fmt: skip
    assert refused(facts_of(image, hold=hold)) == {
        "not-held": "held since 2026-11-20T08:00:00Z by ops: it leaks"
    }


def test_an_older_one_than_the_channel_had(image: World) -> None:
    image.say_all()
    pressed = {A: "2026-11-01", B: "2026-11-10", image.image: "2026-11-09"}
    assert refused(facts_of(image, pressed=pressed)) == {
        "not-older": f"pressed 2026-11-09, before {'b' * 12}, which was at 2026-11-10"
    }
    # The newest of all, not the last: one that went back does not open the way for old ones.
    past = (
        promotion(B, NOW - timedelta(days=9)),
        promotion(A, NOW - timedelta(days=8), previous=B),
    )
    assert set(refused(facts_of(image, pressed=pressed, past=past))) == {"not-older"}


def test_the_recorded_one_before_may_come_back_at_once(image: World) -> None:
    image.say_all()
    past: tuple[Promotion, ...] = (
        promotion(image.image, NOW - timedelta(days=9)),
        promotion(B, NOW, previous=image.image),
    )
    pressed = {B: "2026-11-10", image.image: "2026-11-01"}
    facts = facts_of(image, past=past, pressed=pressed, earlier=(), at=SATURDAY)
    assert refused(facts) == {}
    why = {row.rule: row.why for row in judge(facts)}
    assert why["not-older"] == "the recorded one before"
    assert why["soak"] == "the channel had it in force before"
    assert why["not-frozen"].startswith("nobody looks; but")
    # Only that one: what came before it is old.
    past = (*past, promotion(A, NOW, previous=B))
    pressed = {**pressed, A: "2026-11-12"}
    found = refused(dataclasses.replace(facts, past=past, pressed=pressed))
    assert set(found) == {"soak", "not-frozen", "not-older"}


def test_what_is_in_force_already(image: World) -> None:
    image.say_all()
    past = (promotion(image.image, NOW, previous=A),)
    facts = facts_of(image, past=past, earlier=(), at=SATURDAY)
    assert refused(facts) == {}


@pytest.mark.parametrize(
    ("without", "why"),
    [("mine", "the store does not know when it was pressed"), ("theirs", "when bbbbbbbbbbbb was")],
)
def test_an_age_that_is_not_known(image: World, without: str, why: str) -> None:
    image.say_all()
    gone = image.image if without == "mine" else B
    pressed = {A: "2026-11-01", B: "2026-11-10", image.image: "2026-11-15"}
    pressed.pop(gone)
    assert why in refused(facts_of(image, pressed=pressed))["not-older"]


def test_the_first_of_a_channel(image: World) -> None:
    image.say_all()
    facts = facts_of(image, past=())
    assert (facts.in_force, facts.way_back) == ("", "")
    assert refused(facts) == {}


def test_a_statement_of_the_wrong_kind_proves_nothing(image: World) -> None:
    image.say_all("provenance")
    image.say(PROVENANCE, {"buildDefinition": "mine"})
    assert refused(facts_of(image))["evidence-provenance"].startswith("provenance: ")
