"""The tasks of channels: what each prints, where, and how it ends."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from github_server import TOKEN
from invoke.context import Context
from promotable import ACCOUNT, Site
from test_proposing import IMAGE_YAML

from goldpress.commands import promotion, standing
from goldpress.digest import short
from goldpress.host.run import run
from goldpress.rehearsal.site import BOT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def inv(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a task in the site's project; its exit status, and what it printed where."""
    monkeypatch.setattr("goldpress.workspace.workspace", lambda: site.ws)

    def call(task: Any, **given: Any) -> tuple[int, str, str]:
        status = 0
        capsys.readouterr()
        try:
            task(Context(), **given)
        except SystemExit as end:
            status = int(str(end.code))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def pulled(site: Site) -> None:
    folder = site.ws.project / f"images/{site.name}/channels"
    folder.mkdir(exist_ok=True)
    for channel in ("staging", "prod"):
        (folder / f"{channel}.yaml").write_bytes(site.file(channel))


def test_hold_and_release_print_their_record(site: Site, inv: Run) -> None:
    digest = site.image("a")
    status, out, err = inv(promotion.hold, digest=digest, why="it burns")
    assert (status, json.loads(out)["act"]) == (0, "hold")
    assert "held at once" in err
    assert (
        json.loads(inv(promotion.release, digest=digest, why="it does not")[1])["act"] == "release"
    )
    status, out, err = inv(promotion.release, digest=digest, why="again")
    assert (status, out) == (1, "")
    assert "is not held: there is nothing to release" in err


def test_status_is_a_table_or_json(site: Site, inv: Run) -> None:
    digest = site.image("a")
    site.in_force("staging", digest)
    pulled(site)
    status, out, _ = inv(standing.status)
    assert status == 0
    assert short(digest) in out
    status, out, _ = inv(standing.status, json=True)
    rows = {row["channel"]: row for row in json.loads(out)}
    assert rows["staging"]["digest"] == digest
    assert rows["prod"]["digest"] is None


def test_status_ends_badly_when_records_were_tampered_with(site: Site, inv: Run) -> None:
    site.in_force("staging", site.image("a"))
    pulled(site)
    for path in (site.ws.store.root / "documents/statement").glob("*.json"):
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    status, out, err = inv(standing.status)
    assert status == 1
    assert "ERROR" in out
    assert "its bytes do not match its name" in err


def test_propose_prints_the_text_and_says_where_the_branch_is(
    site: Site, inv: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "goldpress")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", site.github.hub.people[BOT].email)
    project = site.ws.project
    (project / f"images/{site.name}/image.yaml").write_text(IMAGE_YAML.format(name=site.name))
    for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", site.github.hub.bare]):
        run(["git", "-C", project, *words], timeout=60)
    monkeypatch.setattr("goldpress.cloud.up", lambda _: type("Cloud", (), {"url": ""}))
    digest = site.image("a")
    status, out, err = inv(promotion.propose, channel="staging", sandbox=True)
    assert status == 0
    assert out.startswith("Merging this promotes one image to **staging**")
    assert "branch goldpress/staging at " in err
    assert "not pushed: `git push origin goldpress/staging`" in err
    monkeypatch.setenv("GOLDPRESS_GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_REPOSITORY", site.github.hub.name)
    monkeypatch.setenv("GITHUB_API_URL", site.github.url)
    status, out, err = inv(promotion.propose, channel="staging", sandbox=True, json=True)
    value = json.loads(out)
    assert (status, value["images"][0]["after"]) == (0, digest)
    assert value["pull_request"] in err
    site.github.hub.notice()
    (pull,) = site.github.hub.pulls
    site.merge(pull, "ann")
    status, out, err = inv(promotion.propose, channel="staging", sandbox=True)
    assert (status, out) == (0, "")
    assert "nothing to propose for staging: nothing was opened or changed" in err


def test_affected_refuses_what_is_no_cve(inv: Run) -> None:
    status, out, err = inv(standing.affected, cve="heartbleed")
    assert (status, out) == (1, "")
    assert err == "error: 'heartbleed' is not the id of a CVE\n  such as CVE-2026-12345\n"


def test_audit_prints_a_table_keeps_csv_and_fails_for_what_is_not_explained(
    site: Site, inv: Run, tmp_path: Path
) -> None:
    time.sleep(1.05)
    began = datetime.now(UTC)
    site.emulator.ask("settings", {"driver": "virtual"})
    site.policy(prod=site.file("prod").decode().replace('accounts: ["111122223333"]\n', ""))
    digest = site.image("a")
    site.in_force("staging", digest)
    pulled(site)
    kept = tmp_path / "changes.csv"
    day = began.strftime("%Y-%m-%d")
    given = {"from_": day, "to": day, "csv": str(kept)}
    account = site.account("us-east-1")
    instance = account.run(site.ami("a").ami)["InstanceId"]
    foreign = account.run(account.register(account.made({0: b"x".ljust(524288)})))["InstanceId"]
    status, out, err = inv(standing.audit, **given)
    assert status == 1
    assert "launches are not explained by any promotion" in err
    assert foreign in out
    assert instance in out
    rows = list(csv.DictReader(kept.read_text().splitlines()))
    assert [row["digest"] for row in rows] == [digest]
    _, out, _ = inv(standing.audit, **given, json=True)
    value = json.loads(out)
    assert value["looked_at"] == [f"{ACCOUNT}/us-east-1"]
    assert value["nothing_else_was_launched"] is False


def test_audit_refuses_a_time_that_is_none(inv: Run) -> None:
    status, out, err = inv(standing.audit, from_="last week")
    assert (status, out) == (1, "")
    assert err.startswith("error: --from=last week: neither a day such as 2026-11-01")
