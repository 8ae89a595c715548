"""The chain of an image: closed by what is signed and fits, and broken by each single lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attested import BOOTED, GOOD, World, boot, world
from signed import signer, trust

from goldpress.digest import digest_of
from goldpress.statements.chain import LINKS, chain
from goldpress.statements.envelope import sign
from goldpress.statements.provenance import Source
from goldpress.statements.statement import (
    PROMOTION,
    PROVENANCE,
    PUBLICATION,
    SBOM,
    VERIFICATION,
    Statement,
)
from goldpress.statements.trust import Trust
from goldpress.statements.verification import Launched, Verification
from goldpress.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture(params=[True, False], ids=["stand-in", "real"])
def either(request: pytest.FixtureRequest, store: Store) -> World:
    return world(store, stand_in=request.param)


@pytest.fixture
def real(store: Store) -> World:
    return world(store, stand_in=False)


def verdicts(of: World, *, trusted: Trust | None = None) -> dict[str, str]:
    """The links that are not proven, and why."""
    found = chain(of.store, of.image, trusted or of.trust)
    return {link.name: link.why for link in found.missing()}


def test_it_closes_when_all_is_said(either: World) -> None:
    either.say_all()
    found = chain(either.store, either.image, either.trust)
    assert [(link.name, link.ok) for link in found.links] == [(name, True) for name in LINKS]
    assert not found.missing()
    assert found.link("publication").why == "signed by tests: 123456789012/us-east-1"
    assert [row.by for row in found.rows] == ["tests"] * 5
    assert found.provenances == (either.provenance(),)
    assert found.bill == either.bill()
    assert [row.evidence.machine.kind for row in found.verifications] == ["qemu"]
    assert [row.launched.ami for row in found.trials if row.launched] == ["ami-0123456789abcdef0"]
    assert [row.ami for row in found.publications] == [either.ami()]


def test_the_document_tells_all(either: World) -> None:
    either.say_all()
    document = chain(either.store, either.image, either.trust).document()
    assert [row["name"] for row in document["links"]] == list(LINKS)
    assert {row["kind"] for row in document["statements"]} == set(LINKS) - {"manifest"}
    digest_of(document)


@pytest.mark.parametrize("link", LINKS[1:])
def test_what_was_not_said_is_a_missing_link(either: World, link: str) -> None:
    either.say_all(link)
    found = verdicts(either)
    assert found.pop(link).startswith("no statement; `./inv ")
    # An AMI was not tried that nobody published, or for whose local copy nobody vouches.
    rest = {"trial"} if link in {"publication", "verification"} else set()
    assert set(found) == rest


def test_only_required_links_are_missed(either: World) -> None:
    either.say_all("trial")
    found = chain(either.store, either.image, either.trust)
    assert not found.missing(["provenance", "sbom", "verification", "publication"])
    assert [link.name for link in found.missing(["trial"])] == ["trial"]


def test_a_key_that_is_not_trusted_proves_nothing(either: World) -> None:
    either.say_all()
    found = verdicts(either, trusted=trust(signer("other", stand_in=either.stand_in)))
    assert set(found) == set(LINKS) - {"manifest"}
    assert all("which is not trusted" in why for why in found.values())
    assert all(why.startswith("no statement that is believed; ") for why in found.values())


def test_a_key_of_the_other_class_proves_nothing(either: World) -> None:
    either.say_all()
    other = replace(either.signer.key, stand_in=not either.stand_in)
    found = verdicts(either, trusted=Trust(keys=(other,)))
    assert set(found) == set(LINKS) - {"manifest"}
    named = "images of real distributions, never for stand-ins"
    named = named if either.stand_in else "stand-ins, never for images of real distributions"
    assert all(f"vouches for {named}" in why for why in found.values())


def test_a_key_proves_only_what_it_may(either: World) -> None:
    either.say_all()
    limited = replace(either.signer.key, roles=("build",))
    found = verdicts(either, trusted=Trust(keys=(limited,)))
    assert set(found) == {"verification", "publication", "trial"}
    assert "may not sign verify statements, only build" in found["verification"]


def test_what_is_not_believed_takes_nothing_away(either: World) -> None:
    """Whoever can write to the store can add to it; that must not hide what others signed."""
    either.say_all()
    stranger = signer("stranger", stand_in=either.stand_in)
    said = Statement(image=either.image, predicate_type=PROVENANCE, predicate={"x": 1})
    either.put(sign(said, stranger).to_document())
    either.put({"junk": True})
    found = chain(either.store, either.image, either.trust)
    assert not found.missing()
    rows = [(row.link, row.believed, row.good) for row in found.rows[-2:]]
    assert rows == [("provenance", False, False), ("unknown", False, False)]


def test_one_changed_byte_is_seen(either: World) -> None:
    either.say_all()
    digest = either.store.history("statement", either.image)[0].digest
    path = either.store.document_path("statement", digest)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"payloadType", b"payloadTypf", 1))
    found = chain(either.store, either.image, either.trust)
    assert found.rows[0].why.endswith("its bytes do not match its name; the file was changed")
    assert [link.name for link in found.missing()] == ["provenance"]


def test_a_statement_that_the_store_lost_is_seen(either: World) -> None:
    either.say_all()
    digest = either.store.history("statement", either.image)[0].digest
    either.store.document_path("statement", digest).unlink()
    found = chain(either.store, either.image, either.trust)
    assert found.rows[0].why == f"the store has no statement {digest}"
    assert [link.name for link in found.missing()] == ["provenance"]


def test_a_statement_about_another_image_is_of_no_use(either: World) -> None:
    either.say_all("provenance")
    other = f"sha256:{'9' * 64}"
    digest = either.say(PROVENANCE, either.provenance().predicate(), image=other)
    either.store.enter("statement", either.image, digest)
    assert f"it is about another image, {other}" in verdicts(either)["provenance"]


def test_without_a_manifest_nothing_is_proven(either: World) -> None:
    either.say_all()
    path = either.store.document_path("manifest", either.image)
    path.write_bytes(path.read_bytes().replace(b'"ro"', b'"rw"'))
    found = verdicts(either)
    assert set(found) == set(LINKS)
    assert found["manifest"].endswith("its bytes do not match its name; the file was changed")
    assert "there is no manifest to hold it against" in found["sbom"]
    path.unlink()
    assert verdicts(either)["manifest"] == f"the store has no manifest {either.image}"


@pytest.mark.parametrize("image", ["web", "", "sha256:1", f"sha256:{'A' * 64}", "../../etc"])
def test_what_is_no_digest_has_no_chain(store: Store, image: str) -> None:
    found = chain(store, image, Trust())
    assert found.link("manifest").why == f"{image!r} is not an image digest"


Lie = Callable[[World], tuple[str, Any]]
LIES: dict[str, tuple[str, str, Lie]] = {
    "another definition": (
        "provenance", "its definition is not the manifest's",
        lambda w: (PROVENANCE, w.provenance(definition=f"sha256:{'8' * 64}")),
    ),
    "another disk": (
        "provenance", "its disk is not the manifest's",
        lambda w: (PROVENANCE, w.provenance(disk_sha256="8" * 64)),
    ),
    "another snapshot": (
        "provenance", "its snapshots are not those of its lock",
        lambda w: (PROVENANCE, w.provenance(snapshots={"x": f"sha256:{'8' * 64}"})),
    ),
    "a lock that is not there": (
        "provenance", "the store has no lock sha256:88888",
        lambda w: (PROVENANCE, w.provenance(lock=f"sha256:{'8' * 64}")),
    ),
    "another package": (
        "sbom", "its packages are not those of the manifest",
        lambda w: (SBOM, w.bill(components=w.bill().components[:1])),
    ),
    "another bill": (
        "sbom", "it is of another image, sha256:88888",
        lambda w: (SBOM, w.bill(image=f"sha256:{'8' * 64}")),
    ),
    "a failed check": (
        "verification", "the suite did not pass: 1 of 3 checks failed",
        lambda w: (
            VERIFICATION,
            w.verification(boots=(boot(1), boot(2, replace(BOOTED, outcome="failed")))),
        ),
    ),
    "a skipped suite": (
        "verification", "the suite did not pass",
        lambda w: (VERIFICATION, w.verification(boots=())),
    ),
    "a suite that did not look": (
        "verification", "controls without a passed check at boot 2: os-sshd",
        lambda w: (
            VERIFICATION,
            w.verification(boots=(boot(1), boot(2, replace(BOOTED, control="os-other")))),
        ),
    ),
    "a tree that was not looked at": (
        "verification", "controls without a passed check on the tree: os-tree",
        lambda w: (VERIFICATION, w.verification(offline=(replace(GOOD, control="os-x"),))),
    ),
    "a kernel that QEMU loaded": (
        "verification", "booted by 'direct', not through its firmware",
        lambda w: (
            VERIFICATION,
            w.verification(machine=replace(w.evidence().machine, firmware="direct")),
        ),
    ),
    "a machine from nowhere": (
        "verification", "was launched from no AMI that it names",
        lambda w: (VERIFICATION, w.verification(kind="ec2")),
    ),
    "evidence of another image": (
        "verification", "its evidence is of another image, sha256:88888",
        lambda w: (
            VERIFICATION,
            w.verification(
                subject=replace(w.evidence().subject, image_digest=f"sha256:{'8' * 64}")
            ),
        ),
    ),
    "evidence of another disk": (
        "verification", "its evidence is of another disk",
        lambda w: (
            VERIFICATION,
            w.verification(subject=replace(w.evidence().subject, disk_sha256="8" * 64)),
        ),
    ),
    "evidence that the store lost": (
        "verification", "the store has no evidence sha256:",
        lambda w: (VERIFICATION, Verification(evidence=w.evidence(suite_sha256="4" * 64))),
    ),
    "promises that the store lost": (
        "verification", "the store has no promises sha256:88888",
        lambda w: (VERIFICATION, w.verification(input_digest=f"sha256:{'8' * 64}")),
    ),
    "another AMI's content": (
        "publication", "its blocks were read back and are not the image's",
        lambda w: (PUBLICATION, replace(w.publication(), block_root="8" * 64)),
    ),
    "another AMI's document": (
        "publication", "its document has another block root than the manifest",
        lambda w: (PUBLICATION, w.publication(block_root="8" * 64)),
    ),
    "another image's AMI": (
        "publication", "is of another image, sha256:88888",
        lambda w: (PUBLICATION, w.publication(image=f"sha256:{'8' * 64}")),
    ),
    "a local machine that was launched": (
        "trial", "its machine is 'qemu', not 'ec2",
        lambda w: (VERIFICATION, w.trial(kind="qemu")),
    ),
    "an AMI that nobody published": (
        "trial", "no good statement of publication is about ami-0aaaaaaaa",
        lambda w: (
            VERIFICATION,
            w.trial(launched=Launched(account="1" * 12, region="us-east-1", ami="ami-0aaaaaaaa")),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_breaks_its_link_though_others_tell_the_truth(either: World, lie: str) -> None:
    link, why, make = LIES[lie]
    either.say_all()
    type_, value = make(either)
    either.say(type_, value.predicate())
    found = verdicts(either)
    assert set(found) == {link}
    assert why in found[link]
    assert found[link].endswith("(signed by tests)")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (Source(commit="", clean=False), "it names no commit"),
        (Source(commit="a" * 40, clean=False), "files were changed since its commit aaaaaaaaaaaa"),
    ],
)
def test_a_real_image_comes_from_a_commit(store: Store, source: Source, why: str) -> None:
    for stand_in in (True, False):
        made = world(store, stand_in=stand_in)
        made.say_all("provenance")
        made.say(PROVENANCE, made.provenance(source=source).predicate())
        found = verdicts(made).get("provenance", "")
        assert (why in found) is not stand_in


def test_controls_of_a_real_image_are_all_exercised(real: World) -> None:
    real.say_all("verification")
    lacking = real.verification(not_exercised={"os-crypto": "no"}).predicate()
    real.say(VERIFICATION, lacking)
    assert "controls were not exercised: os-crypto" in verdicts(real)["verification"]


def test_a_rehearsal_in_the_embedded_cloud_says_nothing_of_aws(real: World) -> None:
    real.say_all("publication", "trial")
    real.say(PUBLICATION, real.publication(emulated=True).predicate())
    real.say(VERIFICATION, real.trial(kind="ec2-emulated").predicate())
    found = verdicts(real)
    assert set(found) == {"publication", "trial"}
    assert found["trial"] == "no statement; `./inv publish` makes it"
    # and takes nothing away from what was done there
    real.say(PUBLICATION, real.publication(ami="ami-0bbbbbbbb").predicate())
    place = Launched(account="123456789012", region="us-east-1", ami="ami-0bbbbbbbb")
    real.say(VERIFICATION, real.trial(launched=place).predicate())
    assert not verdicts(real)


def test_a_trial_is_in_the_cloud_of_its_ami(real: World) -> None:
    real.say_all("publication")
    real.say(PUBLICATION, real.publication(emulated=True).predicate())
    assert "published to another cloud than it was tried in" in verdicts(real)["trial"]


def test_a_stand_in_is_in_no_real_cloud(store: Store) -> None:
    made = world(store)
    made.say_all("publication", "trial")
    made.say(PUBLICATION, made.publication(emulated=False).predicate())
    made.say(VERIFICATION, made.trial(kind="ec2").predicate())
    found = verdicts(made)
    assert "a stand-in belongs in the embedded cloud only" in found["publication"]
    assert "its machine is 'ec2', not 'ec2-emulated'" in found["trial"]


def test_the_blocks_of_an_ami_are_in_the_store(either: World) -> None:
    either.say_all()
    path = either.store.document_path("blocks", either.ami().blocks)
    path.unlink()
    assert "the store has no blocks sha256:" in verdicts(either)["publication"]


def test_the_lock_of_an_image_is_in_the_store_and_its_own(either: World) -> None:
    either.say_all()
    path = either.store.document_path("lock", either.lock.digest)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"libsolv 1", b"libsolv 2"))
    assert "the file was changed" in verdicts(either)["provenance"]
    path.write_bytes(data)
    assert not verdicts(either)


def test_promotions_are_told_and_judged_elsewhere(either: World) -> None:
    either.say_all()
    either.say(PROMOTION, {"channel": "prod"})
    found = chain(either.store, either.image, either.trust)
    assert [row.predicate for row in found.promotions] == [{"channel": "prod"}]
    assert not found.missing()


def test_a_document_of_another_form_proves_nothing(either: World) -> None:
    """Whoever signs it: what is not what goldpress writes is not believed to mean anything."""
    for type_ in (PROVENANCE, SBOM, VERIFICATION, PUBLICATION):
        either.say(type_, {"strange": [1, {"a": None}]})
    found = verdicts(either)
    assert set(found) == set(LINKS) - {"manifest"}
    assert found["sbom"].startswith("SBOM: KeyError('metadata')")
    assert found["verification"].startswith("verification: KeyError('evidence')")
    assert found["trial"] == "no statement; `./inv publish` makes it"


def test_a_trial_that_rests_on_what_nobody_signed_proves_nothing(either: World) -> None:
    either.say_all("trial")
    other = f"sha256:{'7' * 64}"
    either.say(VERIFICATION, either.trial(rests_on=other).predicate())
    found = verdicts(either)
    assert set(found) == {"trial"}
    assert found["trial"].startswith(
        "it rests on 777777777777, of which no good statement of verification is (signed by "
    )
