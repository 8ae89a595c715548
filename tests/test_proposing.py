"""Proposing: what a channel could have now, from signed evidence to a pull request."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attested import PLAIN, World
from clouds import Account
from cve_site import CVE, Patched
from emulated import new_account
from promotable import ACCOUNT, STAGING, Site

from goldpress import holds, proposing
from goldpress.channel import parse_channel
from goldpress.digest import digest_of, short
from goldpress.errors import ConflictError, DocumentError, MissingError, PromotionError
from goldpress.host.run import run
from goldpress.lock import KIND as LOCK
from goldpress.mirror.roots import IMAGE
from goldpress.promotion.candidate import newest
from goldpress.proposing import Proposed, Wish
from goldpress.rehearsal.site import BOT, Pull
from goldpress.statements.signing import local_signer
from goldpress.statements.statement import PROVENANCE

IMAGE_YAML = """\
name: {name}
summary: a test
distribution: centos-stream-9
arch: x86_64
packages: [bash]
disk: {{esp_mib: 64, var_mib: 64}}
verify: {{suite: web, boot_seconds: 60}}
"""


@pytest.fixture
def hosted(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site, its project a clone of what the hosting site has."""
    # Whoever runs it, the commits are of whom the token is: an account that GitHub knows.
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@elsewhere.example")
    project = site.ws.project
    (project / f"images/{site.name}/image.yaml").write_text(IMAGE_YAML.format(name=site.name))
    for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", site.github.hub.bare]):
        run(["git", "-C", project, *words], timeout=60)
    return site


def publishing_yaml(site: Site) -> None:
    folder = site.ws.project / f"images/{site.name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "publish.yaml").write_text("regions: {us-east-1: {}, eu-west-1: {}}\n")


def propose(site: Site, channel: str = "staging", **given: Any) -> Proposed | None:
    token = given.pop("token", True)
    found = proposing.propose(
        site.ws,
        Wish(channel=channel, sandbox=True, **given),
        repo=site.github.repository if token else None,
        now=site.now(),
    )
    site.github.hub.notice()
    return found


def proposed(site: Site, channel: str = "staging", **given: Any) -> Proposed:
    found = propose(site, channel, **given)
    assert found is not None
    return found


def pull_of(site: Site, found: Proposed) -> Pull:
    (pull,) = [pull for pull in site.github.hub.pulls if found.url.endswith(f"/{pull.number}")]
    return pull


def test_the_newest_image_becomes_a_pull_request_that_the_check_accepts(hosted: Site) -> None:
    hosted.image("a")
    digest = hosted.image("b")
    found = proposed(hosted)
    pull = pull_of(hosted, found)
    assert (pull.branch, pull.head, pull.by) == ("goldpress/staging", found.branch.commit, BOT)
    assert pull.title == f"staging: {hosted.name} {short(digest)}"
    assert pull.body == found.text
    text = hosted.file("staging", pull.head)
    assert parse_channel(text, path=hosted.path("staging")).digest == digest
    checked = hosted.check(pull)
    assert checked.ok, checked.document()


def test_proposing_again_changes_nothing_and_doubles_nothing(hosted: Site) -> None:
    hosted.image("a")
    first = proposed(hosted)
    before = list(hosted.github.asked)
    again = proposed(hosted)
    assert (again.branch.commit, again.branch.fresh) == (first.branch.commit, False)
    assert len(hosted.github.hub.pulls) == 1
    asked = hosted.github.asked[len(before) :]
    # A question that needs a POST, and changes nothing: whose token it is.
    assert {row.path for row in asked if row.method != "GET"} == {"graphql"}


def test_a_newer_image_updates_the_open_pull_request(hosted: Site) -> None:
    hosted.image("a")
    first = proposed(hosted)
    newer = hosted.image("b")
    second = proposed(hosted)
    assert second.url == first.url
    pull = pull_of(hosted, second)
    assert short(newer) in pull.title
    assert pull.head == second.branch.commit != first.branch.commit


def test_nothing_new_says_so_and_opens_nothing(
    hosted: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = hosted.image("a")
    hosted.in_force("staging", digest)
    pulls = len(hosted.github.hub.pulls)
    assert propose(hosted) is None
    assert f"{hosted.name}: staging has {short(digest)} already" in capsys.readouterr().err
    assert len(hosted.github.hub.pulls) == pulls


def test_without_a_token_there_is_a_branch_here_and_nothing_elsewhere(hosted: Site) -> None:
    hosted.image("a")
    found = proposed(hosted, token=False)
    assert (found.url, found.document()["pull_request"]) == ("", None)
    here = run(["git", "-C", hosted.ws.project, "rev-parse", "goldpress/staging"], timeout=60)
    assert here.text.strip() == found.branch.commit
    assert "refs/heads/goldpress/staging" not in hosted.github.hub.refs
    assert hosted.github.asked == []


def with_newer_bash(site: Site, letter: str) -> World:
    """An image of other packages than `a`, of which only the provenance was stated."""
    made, store = site.press(letter), site.ws.store
    bash = dataclasses.replace(PLAIN, version="5.2.0", sha256="d" * 64)
    lock = dataclasses.replace(made.lock, packages=(bash, made.lock.packages[1]))
    store.put_document(LOCK, lock.to_document())
    rows = digest_of([[p.nevra, p.sha256] for p in lock.packages])
    manifest = dataclasses.replace(made.manifest, packages=rows)
    site.images[letter] = dataclasses.replace(made, lock=lock, manifest=manifest)
    store.put_document("manifest", manifest.to_document())
    store.enter(IMAGE, f"{site.name}.sandbox.x86_64", manifest.digest)
    site.images[letter].say(PROVENANCE, site.images[letter].provenance().predicate())
    return site.images[letter]


def finish(site: Site, letter: str) -> None:
    """State all that is missing of an image, and publish it."""
    site.images[letter].say_all("provenance", "publication", "trial")
    for region in site.regions:
        site.state(letter, site.publish(letter, region))


def test_what_changed_is_told_from_both_locks(hosted: Site) -> None:
    hosted.in_force("staging", hosted.image("a"))
    with_newer_bash(hosted, "b")
    with pytest.raises(PromotionError, match=r"is not proven: sbom: no statement; `\./inv build"):
        propose(hosted, image=hosted.name)
    finish(hosted, "b")
    found = proposed(hosted)
    assert "| `bash` | up | 5.1.8-9.el9 → 5.2.0-9.el9 | bash |" in found.text
    assert "no CVE data" in found.text
    assert "components: 2 → 2; 0 added, 0 removed, 1 in another version" in found.text
    assert "checks, the embedded cloud | 1 passed | 1 passed |" in found.text
    assert f"--digest={hosted.images['a'].image}" in found.text


def test_an_image_whose_lock_is_lost_is_told_as_unknown(hosted: Site) -> None:
    hosted.in_force("staging", hosted.image("a"))
    with_newer_bash(hosted, "b")
    finish(hosted, "b")
    hosted.ws.store.document_path(LOCK, hosted.images["a"].lock.digest).unlink()
    assert "what changed is not known: " in (text := proposed(hosted).text)
    assert "the store has no lock sha256:" in text


def test_an_image_whose_predecessor_the_store_lost_is_told_as_unknown(hosted: Site) -> None:
    lost = f"sha256:{'9' * 64}"
    hosted.merge(hosted.propose("staging", lost), "ann")
    hosted.image("a")
    found = proposed(hosted)
    assert f"the store has no manifest {lost}" in found.text


def test_an_image_without_evidence_is_left_out_and_told(
    hosted: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    hosted.image("a", "trial")
    assert propose(hosted) is None
    told = capsys.readouterr().err
    assert f"{hosted.name}: nothing is proposed: evidence: " in told
    assert "is not proven: trial: no statement; `./inv publish` makes it" in told
    with pytest.raises(PromotionError) as caught:
        propose(hosted, image=hosted.name)
    assert caught.value.rule == "evidence"


def test_a_held_image_is_not_proposed(hosted: Site) -> None:
    digest = hosted.image("a")
    signer = local_signer(hosted.ws)
    holds.hold(hosted.ws.store, hosted.trust, digest, why="it burns", signer=signer)
    assert propose(hosted) is None
    with pytest.raises(PromotionError, match=rf"not-held: {digest} is held since .*: it burns"):
        propose(hosted, image=hosted.name, digest=digest)


def test_the_next_channel_gets_what_the_earlier_one_had_for_long_enough(hosted: Site) -> None:
    digest = hosted.soaked("a")
    hosted.image("b")
    found = proposed(hosted, "prod")
    (change,) = found.proposal.changes
    assert change.digest == digest
    assert change.soak
    assert change.soak.channel == "staging"
    assert "24 hours there end at " in found.text
    assert hosted.check(pull_of(hosted, found)).ok


def test_before_its_time_is_up_it_is_not_proposed(hosted: Site) -> None:
    digest = hosted.image("a")
    hosted.in_force("staging", digest)
    hosted.later = timedelta(hours=23)
    assert propose(hosted, "prod") is None
    with pytest.raises(PromotionError) as caught:
        propose(hosted, "prod", image=hosted.name)
    assert caught.value.rule == "soak"
    assert f"staging has {short(digest)} since 20" in str(caught.value)
    assert "its 24 hours there end at" in str(caught.value)
    assert "--expedite=REASON" in str(caught.value)


def test_the_same_proposal_an_hour_later_has_the_same_text(hosted: Site) -> None:
    hosted.soaked("a")
    first = proposed(hosted, "prod")
    hosted.later += timedelta(hours=1, seconds=17)
    assert proposed(hosted, "prod").text == first.text


def test_in_haste_it_is_proposed_sooner_with_a_reason_that_is_in_its_commit(hosted: Site) -> None:
    hosted.in_force("staging", hosted.image("a"))
    hosted.later = timedelta(hours=2)
    found = proposed(hosted, "prod", image=hosted.name, expedite="CVE-2026-1 is used")
    assert "Expedited: a shorter soak, more approvals. Reason: CVE" in found.text
    message = hosted.github.hub.git("log", "-1", "--format=%B", found.branch.commit)
    assert "\nExpedite: CVE-2026-1 is used\n" in message
    assert hosted.check(pull_of(hosted, found)).ok


def test_haste_is_refused_by_a_channel_without_rules_for_it(hosted: Site) -> None:
    hosted.image("a")
    with pytest.raises(DocumentError, match="expedite: this channel has no such rules"):
        propose(hosted, expedite="now")


def test_what_was_merged_and_not_promoted_yet_is_in_no_channel(hosted: Site) -> None:
    digest = hosted.image("a")
    hosted.wanted("staging", digest)
    with pytest.raises(MissingError, match="staging has no image yet"):
        propose(hosted, "prod", image=hosted.name)
    with pytest.raises(PromotionError, match=f"soak: staging never had {short(digest)}"):
        propose(hosted, "prod", image=hosted.name, digest=digest)


def test_a_newer_one_that_is_held_gives_way_to_the_one_before(hosted: Site) -> None:
    first, second = hosted.image("a"), hosted.image("b")
    for digest in (first, second):
        hosted.in_force("staging", digest)
    prod = hosted.file("prod").decode().replace("soak_hours: 24", "soak_hours: 0")
    hosted.policy(prod=prod.partition("expedite:")[0])
    signer = local_signer(hosted.ws)
    holds.hold(hosted.ws.store, hosted.trust, second, why="it burns", signer=signer)
    (change,) = proposed(hosted, "prod").proposal.changes
    assert change.digest == first
    hosted.in_force("prod", first)
    with pytest.raises(PromotionError, match="not-held"):
        propose(hosted, "prod", image=hosted.name)


def test_going_back_to_the_previous_one_needs_no_soak(hosted: Site) -> None:
    first = hosted.soaked("a")
    hosted.in_force("prod", first)
    second = hosted.soaked("b")
    hosted.in_force("prod", second)
    found = proposed(hosted, "prod", image=hosted.name, digest=first)
    (change,) = found.proposal.changes
    assert (change.is_return, change.soak) == (True, None)
    assert "This goes back to the image that the channel had before" in found.text


def test_an_image_of_another_name_is_refused(hosted: Site) -> None:
    hosted.image("a")
    hosted.name, mine = "other", hosted.name
    publishing_yaml(hosted)
    other = hosted.image("x")
    hosted.name = mine
    with pytest.raises(PromotionError, match=f"is the image other, not {mine}"):
        propose(hosted, image=mine, digest=other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"digest": "sha256:1"}, "--digest is of one image: name it with --image"),
        ({"expedite": "a\nb"}, "--expedite: a reason of one line"),
        ({"expedite": "x" * 201}, "--expedite: a reason of one line"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        Wish(channel="prod", **given)


def test_an_unknown_channel_or_image_says_so(hosted: Site) -> None:
    with pytest.raises(MissingError, match="no image has a channel 'stagin' at"):
        propose(hosted, "stagin")
    with pytest.raises(MissingError, match="no image nowhere has a channel 'staging'"):
        propose(hosted, image="nowhere")


def test_an_image_that_was_never_pressed_says_so(hosted: Site) -> None:
    assert propose(hosted) is None
    with pytest.raises(MissingError, match=rf"no image {hosted.name}\.sandbox\.x86_64 was pressed"):
        propose(hosted, image=hosted.name)
    with pytest.raises(MissingError, match="was pressed yet"):
        newest(hosted.ws.store, "web.sandbox.x86_64")


def test_a_checkout_without_a_remote_cannot_push(hosted: Site) -> None:
    hosted.image("a")
    run(["git", "-C", hosted.ws.project, "remote", "remove", "origin"], timeout=60)
    with pytest.raises(MissingError, match="has no remote `origin` to push the branch to"):
        propose(hosted)
    with pytest.raises(MissingError, match="there is no branch main to propose a change of"):
        propose(hosted, token=False)


def test_somebody_s_work_on_the_branch_stops_it(hosted: Site) -> None:
    hosted.image("a")
    found = proposed(hosted)
    hosted.github.hub.commit(
        found.branch.name, {"README.md": "mine\n"}, by="ann", message="a change of mine"
    )
    hosted.image("b")
    with pytest.raises(ConflictError, match="goldpress/staging: somebody else committed"):
        propose(hosted)


def test_fleets_are_counted_where_they_can_be_seen(hosted: Site) -> None:
    account = Account(emulator=hosted.emulator, id=ACCOUNT)
    hosted.emulator.ask("settings", {"driver": "virtual"})
    digest = hosted.image("a")
    group = f"shop-{new_account()}"
    tags = [{"Key": "aws:autoscaling:groupName", "Value": group}]
    for _ in range(3):
        account.run(
            hosted.ami("a").ami,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
    text = hosted.file("staging").decode() + (
        'accounts: ["111122223333"]\n'
        "fleets:\n"
        f"  - {{name: here, region: us-east-1, silo: a, groups: [{group}]}}\n"
        '  - {name: there, account: "111122223333", region: us-east-1, silo: a, groups: [x]}\n'
        "waves: [{name: all, fleets: [here, there], soak_minutes: 0, gates: [healthy]}]\n"
    )
    hosted.github.hub.commit("main", {hosted.path("staging"): text}, by="ann", message="fleets")
    found = proposed(hosted)
    assert found.proposal.changes[0].digest == digest
    assert f"| here | that which publishes | us-east-1 | a | {group} | 3 |" in found.text
    assert "| there | 111122223333 | us-east-1 | a | x | not known |" in found.text
    assert "Not known: 111122223333/us-east-1: no role may look there" in found.text


def test_one_pull_request_is_for_all_images_of_the_channel(hosted: Site) -> None:
    first, digest = hosted.name, hosted.image("a")
    second = f"{first}-db"
    hosted.name = second
    publishing_yaml(hosted)
    path: Path = hosted.ws.project / f"images/{second}/image.yaml"
    path.write_text(IMAGE_YAML.format(name=second))
    other = hosted.image("z")
    text = STAGING
    hosted.github.hub.commit("main", {hosted.path("staging"): text}, by="ann", message="db")
    found = proposed(hosted)
    assert {row.digest for row in found.proposal.changes} == {digest, other}
    assert len(hosted.github.hub.pulls) == 1
    assert found.document()["images"] == [
        {"image": second, "before": None, "after": other},
        {"image": first, "before": None, "after": digest},
    ]
    assert hosted.check(pull_of(hosted, found)).ok


def test_cves_of_the_difference_are_named(hosted: Site, patched: Patched) -> None:
    (hosted.ws.project / f"images/{hosted.name}/image.yaml").write_text(
        IMAGE_YAML.format(name=hosted.name)
    )
    hosted.in_force("staging", patched.press("a", patched.older).image)
    patched.press("b", patched.newer)
    text = proposed(hosted).text
    assert "| `tool` | up | 1.0-1.el9 → 1.2-1.el9 | tool | +" in text
    assert CVE in text
    assert "CVEs named by what is new: 1" in text


def test_from_a_to_b_and_back_by_the_same_way(hosted: Site) -> None:
    """The whole way: proposed, checked, approved, merged, promoted; then back to A."""
    first = hosted.image("a")
    _carried(hosted, "staging")
    assert hosted.pointer("staging") == hosted.ami("a").ami
    second = hosted.image("b")
    _carried(hosted, "staging")
    assert hosted.pointer("staging") == hosted.ami("b").ami
    found = proposed(hosted, image=hosted.name, digest=first)
    assert found.proposal.changes[0].is_return
    _merged(hosted, found)
    assert hosted.pointer("staging") == hosted.ami("a").ami
    assert [row.digest for row in hosted.history("staging")] == [first, second, first]
    # The way leads forward again, too: the branch begins at what was merged.
    _carried(hosted, "staging")
    assert hosted.pointer("staging") == hosted.ami("b").ami


def _carried(site: Site, channel: str) -> None:
    _merged(site, proposed(site, channel))


def _merged(site: Site, found: Proposed) -> None:
    pull = pull_of(site, found)
    checked = site.check(pull)
    assert checked.ok, checked.document()
    site.merge(pull, "ann")
    site.promote(found.proposal.channel)
