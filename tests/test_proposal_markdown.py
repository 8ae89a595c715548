"""The text of a proposal: what a reviewer has to know, and nothing that means something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import proposals
import pytest
from channels import ONE, SMALL, TWO, channel
from markdown_it import MarkdownIt

from goldpress.promotion.difference import ImageDifference
from goldpress.promotion.markdown import CUT, LIMIT, markdown
from goldpress.promotion.plan import Count, Plan
from goldpress.promotion.proposal import Change
from goldpress.promotion.side import Component

GOLDEN = Path(__file__).parent / "golden/proposal.md"


def text_of(change: Change, **more: str) -> str:
    return markdown(proposals.proposal(change, **more))


def changed(**after: Any) -> Change:
    """The change of `web` with another new side."""
    web = proposals.web()
    difference = replace(web.difference, after=replace(web.difference.after, **after))
    return replace(web, difference=difference)


def test_the_text_is_the_one_that_was_looked_at() -> None:
    found = markdown(proposals.proposal())
    assert found == GOLDEN.read_text(), "look at it rendered, then replace tests/golden/proposal.md"


def test_a_renderer_sees_its_tables_lists_and_no_html() -> None:
    parser = MarkdownIt("commonmark").enable("table")
    kinds = [token.type for token in parser.parse(markdown(proposals.proposal()))]
    assert kinds.count("table_open") == 4
    assert kinds.count("ordered_list_open") == 2
    assert "html_block" not in kinds


def test_the_same_proposal_has_the_same_text() -> None:
    assert markdown(proposals.proposal()) == markdown(proposals.proposal())


def test_what_somebody_wrote_stays_text() -> None:
    hostile = "x](http://e.org) <script> @everyone | `a` #1 ![](y)\n## head"
    parts = frozenset({Component(name=hostile, version="1", licence="`|\n# x")})
    change = changed(components=parts, proofs=(hostile,))
    found = text_of(change, expedite=hostile.replace("\n", " "))
    html = MarkdownIt("commonmark").enable("table").render(found)
    for mark in ("<script", "<img", 'href="', "<h2>head", "<h1>"):
        assert mark not in html
    assert "\\@everyone" in found
    assert " @everyone" not in found


def test_a_stand_in_says_so_at_once() -> None:
    found = text_of(proposals.database())
    assert found.index("it is **not CentOS**") < found.index("| image |")
    assert "not CentOS" not in text_of(proposals.web())


def test_haste_says_why() -> None:
    found = text_of(proposals.web(), expedite="CVE-2026-0001 is used")
    assert "Expedited: a shorter soak, more approvals. Reason: CVE-2026-0001 is used" in found
    assert "1 hours there end at" in found


def test_going_back_is_told() -> None:
    found = text_of(replace(proposals.web(), is_return=True))
    assert "This goes back to the image that the channel had before" in found


def test_a_check_that_failed_or_is_not_made_any_more_is_told_loudly() -> None:
    web = proposals.web()
    local = web.difference.after.verified[0]
    failed = replace(local, failed=frozenset({"SSH_ROOT test_9"}), not_exercised=frozenset({"X"}))
    found = text_of(changed(verified=(failed,)))
    assert "4 passed, **1 failed**" in found
    assert "- **failed** on a local machine: SSH\\_ROOT test\\_9" in found
    assert "- not exercised on a local machine: X" in found
    assert "**no longer exercised**: X" in found
    assert "**1 no longer made**: SSH\\_ROOT test\\_2" in text_of(web)


def test_boots_of_different_accelerators_are_not_compared() -> None:
    web = proposals.web()
    other = replace(web.difference.after.verified[0], accelerator="tcg")
    assert "26.5 s, then 22.0 s (tcg)" in text_of(changed(verified=(other,)))
    assert "26.5 s, then 22.0 s (kvm; +2.4 s)" in text_of(web)


def test_what_is_not_known_is_told_as_that() -> None:
    web = proposals.web()
    blind = Plan(channel=web.channel, counts={})
    unknown = ImageDifference(
        before=None, after=web.difference.after, packages=None, unknown="no manifest sha256:1"
    )
    found = text_of(replace(web, plan=blind, difference=unknown))
    assert "| not known |" in found
    assert "0 and more instances in all." in found
    assert "Not known: nobody looked" in found
    assert "no manifest sha256:1" in found


def test_a_channel_without_fleets_replaces_nothing() -> None:
    plan = Plan(channel=channel(SMALL), counts={})
    found = text_of(replace(proposals.web(), plan=plan, soak=None))
    assert "no instance is replaced" in found
    assert "names the image at once, in every region" in found
    assert "launch permission" not in found


def test_known_counts_are_added_up() -> None:
    web = proposals.web()
    counts = {"shop": Count(instances=24), "intern": Count(instances=3)}
    found = text_of(replace(web, plan=Plan(channel=web.channel, counts=counts)))
    assert "\n27 instances in all.\n" in found
    assert "Not known" not in found


def test_a_long_text_fits_and_counts_what_it_leaves_out() -> None:
    web = proposals.web()
    packages = proposals.difference()
    many = tuple(
        replace(packages.sources[2], name=f"package-{number}-{'x' * 60}") for number in range(600)
    )
    difference = replace(web.difference, packages=replace(packages, sources=many))
    both = proposals.proposal(replace(web, difference=difference), proposals.web())
    found = markdown(both)
    assert len(found) <= LIMIT
    assert "more source packages have no room here" in found
    assert found.count("### How to go back") == 2


def test_even_what_cannot_give_way_is_cut_with_a_word() -> None:
    changes = tuple(proposals.web() for _ in range(40))
    found = markdown(proposals.proposal(*changes))
    assert len(found) == LIMIT
    assert found.endswith(CUT)


def test_title_branch_and_message_name_what_is_proposed() -> None:
    found = proposals.proposal(expedite="it burns")
    assert found.title == "prod: web 222222222222, db 333333333333"
    assert found.branch == "goldpress/prod"
    assert found.message == (
        f"{found.title}\n\nweb: {ONE} -> {TWO}\ndb: none -> {proposals.THREE}\n"
        "\nExpedite: it burns\nProposed-by: goldpress\n"
    )
    assert proposals.proposal(*[proposals.web()] * 9).title == "prod: 9 images"


@pytest.mark.parametrize("expedite", ["", "it burns"])
def test_the_files_differ_in_one_line_each(expedite: str) -> None:
    web, database = proposals.web(), proposals.database()
    files = proposals.proposal(web, database, expedite=expedite).files
    assert files[web.channel.path].decode() == web.channel.text.decode().replace(ONE, TWO)
    assert set(files) == {web.channel.path, database.channel.path}
