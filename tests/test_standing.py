"""How channels stand: what git wants, what was promoted, on which evidence, and what runs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from clouds import Account
from emulated import new_account
from promotable import ACCOUNT, Site
from rich.console import Console

from goldpress import holds, standing
from goldpress.digest import short
from goldpress.errors import TrustError
from goldpress.promotion import record
from goldpress.standing import State, age
from goldpress.statements.signing import local_signer


def pulled(site: Site) -> None:
    """The work tree as `main` of the hosting site is."""
    folder = site.ws.project / f"images/{site.name}/channels"
    folder.mkdir(exist_ok=True)
    for channel in ("staging", "prod"):
        (folder / f"{channel}.yaml").write_bytes(site.file(channel))


def states(site: Site) -> dict[str, State]:
    pulled(site)
    return {row.channel: row for row in standing.standing(site.ws)}


def shown(rows: Sequence[State]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(standing.table(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_channel_in_force_tells_digest_evidence_amis_and_approval(site: Site) -> None:
    digest = site.image("a")
    promotion = site.in_force("staging", digest)
    found = states(site)["staging"]
    assert (found.digest, found.wanted, found.waits) == (digest, digest, False)
    assert found.missing == ()
    value = json.loads(json.dumps(found.document()))
    assert value["since"] == promotion.since
    assert value["amis"] == {"us-east-1": site.ami("a").ami}
    assert value["approved_by"] == ["ann"]
    assert value["evidence"]["missing"] == []
    assert value["fault"] is None
    text = shown([found])
    request = f"pull request {promotion.approval.pull}"
    for part in (short(digest), "proven", site.ami("a").ami, "ann", request, "none"):
        assert part in text


def test_a_channel_without_an_image_says_so(site: Site) -> None:
    found = states(site)["prod"]
    assert (found.digest, found.wanted, found.waits) == ("", "", False)
    assert "never promoted" in shown([found])
    assert found.document()["digest"] is None


def test_what_was_merged_and_is_not_promoted_yet_is_told(site: Site) -> None:
    first, second = site.image("a"), site.image("b")
    site.in_force("staging", first)
    site.wanted("staging", second)
    found = states(site)["staging"]
    assert (found.digest, found.wanted, found.waits) == (first, second, True)
    assert f"git wants {short(second)}" in shown([found])


def test_evidence_that_the_channel_asks_for_and_lacks_is_told(site: Site) -> None:
    digest = site.image("a", "trial")
    site.wanted("staging", digest)
    found = states(site)["staging"]
    assert found.missing == ("trial",)
    assert "NOT PROVEN: trial" in shown([found])


def test_a_held_digest_is_told(site: Site) -> None:
    digest = site.image("a")
    site.in_force("staging", digest)
    holds.hold(site.ws.store, site.trust, digest, why="it burns", signer=local_signer(site.ws))
    found = states(site)["staging"]
    assert found.held.endswith("by (this machine): it burns")
    assert "HELD since" in shown([found])


def test_fleets_tell_how_many_run_something_else(site: Site) -> None:
    site.emulator.ask("settings", {"driver": "virtual"})
    first, second = site.image("a"), site.image("b")
    group = f"shop-{new_account()}"
    text = site.file("staging").decode() + (
        'accounts: ["111122223333"]\n'
        "fleets:\n"
        f"  - {{name: here, region: us-east-1, silo: a, groups: [{group}]}}\n"
        '  - {name: there, account: "111122223333", region: us-east-1, silo: a, groups: [x]}\n'
        "waves: [{name: all, fleets: [here, there], soak_minutes: 0, gates: [healthy]}]\n"
    )
    site.github.hub.commit("main", {site.path("staging"): text}, by="ann", message="fleets")
    site.in_force("staging", first)
    tags = [{"Key": "aws:autoscaling:groupName", "Value": group}]
    account = Account(emulator=site.emulator, id=ACCOUNT)
    instances = [
        account.run(
            site.ami(letter).ami,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )["InstanceId"]
        for letter in ("a", "a", "b", "b")
    ]
    account.ec2.terminate_instances(InstanceIds=instances[-1:])
    here, there = states(site)["staging"].fleets
    assert (here.instances, here.drifted) == (3, 1)
    assert (there.instances, there.drifted) == (None, None)
    assert there.why.startswith(
        "111122223333/us-east-1: no role may look there: name one in `readers`"
    )
    text = shown([states(site)["staging"]])
    assert "here: 3 instances, drift 1" in text
    assert "there: not known" in text
    assert short(second) not in text


def test_a_fleet_without_an_image_in_force_has_nothing_to_drift_from(site: Site) -> None:
    text = site.file("staging").decode() + (
        "fleets: [{name: here, region: us-east-1, silo: a, groups: [nobody]}]\n"
        "waves: [{name: all, fleets: [here], soak_minutes: 0, gates: [healthy]}]\n"
    )
    site.github.hub.commit("main", {site.path("staging"): text}, by="ann", message="fleets")
    (here,) = states(site)["staging"].fleets
    assert (here.instances, here.drifted) == (0, None)
    assert here.text == "here: 0 instances, drift not known"


def test_records_that_were_tampered_with_are_a_fault_of_their_channel_alone(site: Site) -> None:
    digest = site.soaked("a")
    site.in_force("prod", digest)
    store = site.ws.store
    name = record.series(site.name, "staging")
    other = store.history(record.KIND, record.series(site.name, "prod"))[0].digest
    store.enter(record.KIND, name, other)
    found = states(site)
    assert found["prod"].fault is None
    assert isinstance(found["staging"].fault, TrustError)
    assert "ERROR: promotion" in shown(list(found.values()))
    error = standing.failure(list(found.values()))
    assert error is found["staging"].fault
    assert "someone changed ledger/promotion.json" in str(error)


def test_without_a_fault_there_is_no_error(site: Site) -> None:
    assert standing.failure(list(states(site).values())) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 minute"), (7300, "2 hours"), (86400 * 3 + 5, "3 days")],
)
def test_an_age_is_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text


def test_the_age_on_the_screen_is_that_since_it_came_into_force(site: Site) -> None:
    site.in_force("staging", site.image("a"))
    pulled(site)
    rows = standing.standing(site.ws)
    console = Console(file=io.StringIO(), width=200)
    console.print(standing.table(rows, now=datetime.now(UTC) + timedelta(hours=50)))
    assert isinstance(console.file, io.StringIO)
    assert "2 days" in console.file.getvalue()
