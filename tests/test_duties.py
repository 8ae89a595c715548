"""What a roll asks of others: the revert as a branch or a pull request, holds, pointers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleeted import REGION, Fleeted
from promotable import ACCOUNT, Site
from test_proposing import hosted

from goldpress import holds
from goldpress.channel import load_channel, parse_channel
from goldpress.duties import NOTHING, RealDuties
from goldpress.errors import CloudError, ConflictError, GitHubError, MissingError, TrustError
from goldpress.github.api import Repository
from goldpress.host.run import run
from goldpress.promotion.available import pointer_name
from goldpress.sampling import KEY, fleet_key

__all__ = ["hosted"]


def nobody(_account: str) -> Any:
    raise CloudError("nobody calls")


def duties(site: Site, digest: str, previous: str, **given: Any) -> RealDuties:
    path = site.ws.project / site.path("staging")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(site.file("staging"))
    return RealDuties(
        ws=site.ws, channel=load_channel(site.ws.project, site.name, "staging"), digest=digest,
        previous=previous, owner=ACCOUNT, reach=given.pop("reach", nobody), endpoint="",
        emulated=True, **given,
    )  # fmt: skip


@pytest.fixture
def two(hosted: Site) -> tuple[Site, str, str]:
    """A site whose staging had one image, and has another one in force."""
    before = hosted.image("a")
    hosted.in_force("staging", before)
    digest = hosted.image("b")
    hosted.in_force("staging", digest)
    return hosted, digest, before


def proposed(site: Site, ref: str) -> str:
    """What a branch of the checkout gives to staging."""
    data = run(
        ["git", "-C", site.ws.project, "cat-file", "blob", f"{ref}:{site.path('staging')}"],
        timeout=60,
    ).stdout
    return parse_channel(data, path=site.path("staging")).digest


def test_the_revert_is_a_pull_request(two: tuple[Site, str, str]) -> None:
    site, digest, before = two
    made = duties(site, digest, before, repository=lambda: site.github.repository)
    told = made.propose("it burns")
    site.github.hub.notice()
    pull = site.github.hub.pulls[-1]
    assert told.endswith(f"/pull/{pull.number}")
    assert pull.title.startswith("staging: ")


def test_without_github_the_revert_is_a_branch_that_stays_here(two: tuple[Site, str, str]) -> None:
    site, digest, before = two
    told = duties(site, digest, before, repository=lambda: None).propose("it burns")
    assert told == ("branch goldpress/staging, not pushed: `git push origin goldpress/staging`")
    assert proposed(site, "goldpress/staging") == before


def test_neither_github_nor_the_remote_is_needed(
    two: tuple[Site, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    site, digest, before = two
    git = ["git", "-C", str(site.ws.project)]
    run([*git, "fetch", "-q", "origin", "+refs/heads/main:refs/remotes/origin/main"], timeout=60)
    run([*git, "remote", "set-url", "origin", "/nowhere/at/all.git"], timeout=60)

    def away() -> Repository | None:
        raise GitHubError("no answer of GitHub")

    told = duties(site, digest, before, repository=away).propose("it burns")
    assert "not pushed" in told
    assert "git's remote is out of reach (no answer of GitHub): the branch stays here" in (
        capsys.readouterr().err
    )
    assert proposed(site, "goldpress/staging") == before
    # Without a token at all, the remote itself is what does not answer.
    assert "not pushed" in duties(site, digest, before, repository=lambda: None).propose("x")


def test_without_an_image_before_there_is_nothing_to_propose(two: tuple[Site, str, str]) -> None:
    site, digest, _ = two
    assert duties(site, digest, "").propose("it burns") == NOTHING


def test_a_digest_is_held_once(two: tuple[Site, str, str]) -> None:
    site, digest, before = two
    made = duties(site, digest, before)
    told = made.hold("it\nburns")
    assert made.hold("again") == told
    (found,) = holds.history(site.ws.store, site.trust, digest)
    assert found.why == "roll: it burns"


def test_whoever_may_not_hold_is_told(
    two: tuple[Site, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, digest, before = two
    monkeypatch.setenv("GOLDPRESS_SIGNER", "nobody-2026")
    with pytest.raises((TrustError, MissingError)):
        duties(site, digest, before).hold("it burns")
    assert holds.history(site.ws.store, site.trust, digest) == ()


def test_a_pointer_is_written_and_read_back(fleeted: Fleeted) -> None:
    site = fleeted.site
    made = duties(site, fleeted.digest, fleeted.before, reach=fleeted.reach)
    made.point(REGION, fleeted.ami("b"))
    name = pointer_name(site.name, "staging")
    assert fleeted.place.parameters[name]["Value"] == fleeted.ami("b")
    fleeted.place.parameters[name]["DataType"] = "text"
    with pytest.raises(ConflictError, match="is there as text"):
        made.point(REGION, fleeted.ami("a"))


def test_without_a_key_nobody_verifies_an_instance_of_the_fleet(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=f"{KEY} is not set") as caught:
        fleet_key({})
    assert "take `verify` out of the wave's gates" in caught.value.hint
    with pytest.raises(MissingError, match=f"{KEY} /nowhere is no file"):
        fleet_key({KEY: "/nowhere"})
    path = tmp_path / "key"
    path.write_text("k")
    assert fleet_key({KEY: str(path)}) == path
