"""A proposal, checked before anybody approves it: every rule and its verdict, in a comment."""

from __future__ import annotations

import pytest
from channels import ONE
from promotable import PROD, STAGING, Site, held

from goldpress.errors import PromotionError
from goldpress.promotion.verdict import failed


def refused(site: Site, number: int) -> dict[str, str]:
    """The rules that are not met, and why."""
    checked = site.check(site.github.hub.pull(number))
    rows = {row.rule: row.why for all_ in checked.verdicts.values() for row in failed(all_)}
    assert checked.ok == (not rows)
    return rows


def test_a_good_proposal_and_its_comment(site: Site) -> None:
    digest = site.image("a")
    pull = site.propose("staging", digest)
    checked = site.check(pull, comment=True)
    assert checked.ok
    checked.refuse_failed()
    rows = checked.document()["channels"][site.path("staging")]
    assert [row["rule"] for row in rows[:3]] == ["only-image", "authors", "image"]
    (comment,) = site.github.hub.comments
    assert comment.body.startswith("<!-- goldpress:promotion-check -->\n### images/")
    assert "Every rule is met." in comment.body
    assert f"Judged: {pull.head}" in comment.body
    # What was refused since is told in the same place.
    held(site, digest, "it <leaks>")
    checked = site.check(pull, comment=True)
    (comment,) = site.github.hub.comments
    assert "**Refused** by 1 of" in comment.body
    assert "it \\<leaks\\>" in comment.body
    with pytest.raises(PromotionError, match=r"not-held: .* is refused: held since"):
        checked.refuse_failed()
    assert site.emulator.ask("calls")
    (table,) = checked.tables()
    assert table.row_count == len(rows)


def test_a_change_of_policy_is_no_promotion(site: Site) -> None:
    hub = site.github.hub
    hub.commit("topic", {site.path("prod"): PROD.replace("24", "48"), "x": "y"}, by="ann")
    checked = site.check(hub.open("topic", by="ann"), comment=True)
    assert (checked.ok, checked.verdicts, checked.tables()) == (True, {}, [])
    assert "gives no channel another image" in hub.comments[0].body


def test_anything_besides_the_image(site: Site) -> None:
    hub = site.github.hub
    digest = site.image("a")
    hub.commit("propose/staging", {"goldpress/x.py": "x"})
    site.edit("staging", digest)
    pull = hub.open("propose/staging")
    assert refused(site, pull.number) == {"only-image": "goldpress/x.py is changed, too"}


def test_a_new_channel_with_an_image(site: Site) -> None:
    hub = site.github.hub
    digest = site.image("a")
    path = site.path("canary")
    hub.commit("topic", {path: STAGING.replace("none", digest)}, by="ann")
    found = refused(site, hub.open("topic", by="ann").number)
    assert found == {
        "only-image": f"{path} is made",
        "image": f"{path}: main has no such channel yet",
    }


def test_a_channel_that_nobody_can_read(site: Site) -> None:
    hub = site.github.hub
    hub.commit("topic", {site.path("prod"): "image: everything\n"}, by="ann")
    found = refused(site, hub.open("topic", by="ann").number)
    assert set(found) == {"only-image", "image", *found}
    assert "'everything' is not an image digest" in found["only-image"]


def test_an_image_that_does_not_exist(site: Site) -> None:
    found = refused(site, site.propose("staging", ONE).number)
    assert found["image"] == f"the store has no manifest {ONE}"
    assert {"evidence-provenance", "booted", "launched", "published", "not-older"} <= set(found)


def test_the_policy_is_that_of_main_not_of_an_old_branch(site: Site) -> None:
    digest = site.soaked("a")
    pull = site.propose("prod", digest)
    assert refused(site, pull.number) == {}
    site.policy(prod=PROD.replace("soak_hours: 24", "soak_hours: 48"))
    assert list(refused(site, pull.number)) == ["soak"]


def test_a_channel_comes_after_another(site: Site) -> None:
    digest = site.image("a")
    found = refused(site, site.propose("prod", digest).number)
    assert found == {"soak": "staging never had it"}


def test_an_older_image_than_the_channel_has(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    older = site.image("a")
    monkeypatch.setattr("goldpress.store.ledger._now", lambda: "2999-01-01T00:00:00Z")
    newer = site.image("b")
    monkeypatch.undo()
    site.in_force("staging", newer)
    found = refused(site, site.propose("staging", older).number)
    assert list(found) == ["not-older"]


def test_a_request_into_another_branch_is_told(site: Site) -> None:
    hub = site.github.hub
    hub.commit("release", {"x": "x"})
    site.edit("staging", site.image("a"))
    pull = hub.open("propose/staging", base="release")
    with pytest.raises(PromotionError, match=r"only-image: pull request .* is for release"):
        site.check(pull)
