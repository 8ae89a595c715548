"""The audit: every change with its approval and evidence, and nothing else that was launched."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clouds import Account, block
from promotable import ACCOUNT, OTHER, Site
from rich.console import Console

from goldpress import audited, auditing, holds
from goldpress.auditing import Audit, limits, parse_time
from goldpress.aws.instances import TAG
from goldpress.aws.trail import DELAY, MOMENT
from goldpress.digest import short
from goldpress.errors import CloudError, DocumentError, TrustError
from goldpress.statements.shelf import KIND as STATEMENT
from goldpress.statements.signing import local_signer

READERS = 'readers: {"111122223333": "arn:aws:iam::111122223333:role/look"}\n'


@pytest.fixture
def quiet(site: Site) -> Site:
    """A site of whose time no other test's launches are: CloudTrail tells whole seconds."""
    next_second()
    (site.ws.project / "trust.yaml").touch()
    site.emulator.ask("settings", {"driver": "virtual"})
    prod = site.file("prod").decode() + READERS
    site.policy(prod=prod)
    return site


def next_second() -> None:
    time.sleep(1.05)


def audit(site: Site) -> Audit:
    """An audit of this test's time, as somebody makes it half an hour later."""
    folder = site.ws.project / f"images/{site.name}/channels"
    folder.mkdir(exist_ok=True)
    for channel in ("staging", "prod"):
        (folder / f"{channel}.yaml").write_bytes(site.file(channel))
    end = datetime.now(UTC) + timedelta(seconds=1)
    return auditing.audit(site.ws, site_began(site), end, now=end + 2 * DELAY)


def site_began(site: Site) -> datetime:
    """When this test made its site: what other tests launched was before."""
    made = (site.ws.project / "trust.yaml").stat().st_mtime
    return datetime.fromtimestamp(int(made), UTC)


def mine(found: Audit, instance: str) -> str:
    """What came out for an instance."""
    (row,) = (row for row in found.launches if row.launch.instance == instance)
    return row.kind


def run(site: Site, ami: str, *, account: str = ACCOUNT, **given: Any) -> str:
    place = Account(emulator=site.emulator, id=account)
    return str(place.run(ami, **given)["InstanceId"])


def trial(token: str) -> dict[str, Any]:
    tags = [{"Key": TAG, "Value": token}]
    return {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]}


def shown(found: Audit) -> str:
    console = Console(file=io.StringIO(), width=240)
    console.print(audited.table(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_change_with_its_approval_and_evidence(quiet: Site) -> None:
    first, second = quiet.image("a"), quiet.image("b")
    quiet.in_force("staging", first)
    promotion = quiet.in_force("staging", second)
    found = audit(quiet)
    assert [row.promotion.digest for row in found.changes] == [first, second]
    (one, two) = found.changes
    assert (two.promotion.previous, two.promotion.approval.approvers) == (first, ("ann",))
    assert {row.kind for row in two.evidence} >= {"provenance", "sbom", "verification", "trial"}
    assert all(row.by == "(this machine)" and not row.why for row in two.evidence)
    assert one.promotion.amis == {"us-east-1": quiet.ami("a").ami}
    text = shown(found)
    for part in (short(first), short(second), "ann", f"{quiet.name}/staging", promotion.since):
        assert part in text


def test_as_csv_it_has_a_row_for_each_change(quiet: Site) -> None:
    digest = quiet.image("a")
    promotion = quiet.in_force("staging", digest)
    (row,) = csv.DictReader(io.StringIO(audited.text(audit(quiet))))
    assert row["at"] == promotion.since
    assert (row["image"], row["channel"]) == (quiet.name, "staging")
    assert (row["digest"], row["previous"]) == (digest, "")
    assert (row["approvers"], row["merged_by"]) == ("ann", promotion.approval.merged_by)
    assert row["head"] == promotion.approval.head
    assert row["amis"] == quiet.ami("a").ami
    assert "provenance:sha256:" in row["evidence"]


def test_a_cell_is_never_a_formula() -> None:
    assert audited._cell("=1+1") == "'=1+1"  # noqa: SLF001 - what somebody wrote as a reason
    assert audited._cell("@x") == "'@x"  # noqa: SLF001
    assert audited._cell("a=1") == "a=1"  # noqa: SLF001


def test_only_changes_of_the_time_are_listed(quiet: Site) -> None:
    quiet.in_force("staging", quiet.image("a"))
    now = datetime.now(UTC)
    past = auditing.audit(quiet.ws, now - timedelta(days=3), now - timedelta(days=2), now=now)
    assert past.changes == ()
    assert past.launches == ()


def test_what_was_promoted_may_be_launched_and_nothing_else_is_proven(quiet: Site) -> None:
    digest = quiet.soaked("a")
    quiet.in_force("prod", digest)
    ami = quiet.ami("a").ami
    own = run(quiet, ami)
    there = run(quiet, ami, account=OTHER)
    found = audit(quiet)
    assert (mine(found, own), mine(found, there)) == ("promoted", "promoted")
    assert found.findings == ()
    assert found.unseen == ()
    assert found.proven
    assert found.failure() is None
    assert "proven: of 2 launches each is of an image that was promoted" in shown(found)
    value = json.loads(json.dumps(found.document()))
    assert value["nothing_else_was_launched"] is True
    assert value["looked_at"] == [f"{ACCOUNT}/us-east-1", f"{OTHER}/us-east-1"]


def test_a_trial_of_a_published_image_is_explained_in_its_own_account_only(quiet: Site) -> None:
    quiet.image("a")
    ami = quiet.ami("a").ami
    place = Account(emulator=quiet.emulator, id=ACCOUNT)
    place.ec2.modify_image_attribute(ImageId=ami, LaunchPermission={"Add": [{"UserId": OTHER}]})
    own, there = run(quiet, ami, **trial("t")), run(quiet, ami, account=OTHER, **trial("t"))
    found = audit(quiet)
    assert (mine(found, own), mine(found, there)) == ("trial", "never promoted")


def test_an_image_that_was_never_promoted_is_a_finding(quiet: Site) -> None:
    quiet.image("a")
    instance = run(quiet, quiet.ami("a").ami)
    found = audit(quiet)
    assert mine(found, instance) == "never promoted"
    assert not found.proven
    error = found.failure()
    assert isinstance(error, TrustError)
    assert "1 launches are not explained by any promotion:" in str(error)
    assert f"{instance} in {ACCOUNT}/us-east-1 at " in str(error)
    assert "1 launches are NOT explained" in shown(found)


def test_an_instance_that_has_ended_since_is_found_all_the_same(quiet: Site) -> None:
    quiet.image("a")
    instance = run(quiet, quiet.ami("a").ami)
    Account(emulator=quiet.emulator, id=ACCOUNT).ec2.terminate_instances(InstanceIds=[instance])
    assert mine(audit(quiet), instance) == "never promoted"


def test_what_was_launched_before_its_promotion_is_a_finding(quiet: Site) -> None:
    digest = quiet.image("a")
    early = run(quiet, quiet.ami("a").ami)
    next_second()
    promotion = quiet.in_force("staging", digest)
    late = run(quiet, quiet.ami("a").ami)
    found = audit(quiet)
    kinds = {row.launch.instance: row for row in found.launches}
    assert kinds[early].launch.at < promotion.since <= kinds[late].launch.at
    assert (kinds[early].kind, kinds[late].kind) == ("never promoted", "promoted")


def test_an_ami_of_somebody_else_is_a_finding(quiet: Site) -> None:
    place = Account(emulator=quiet.emulator, id=ACCOUNT)
    foreign = place.register(place.made({0: block("mine")}))
    instance = run(quiet, foreign)
    assert mine(audit(quiet), instance) == "not goldpress's"


def test_a_held_image_is_a_finding_from_then_on(quiet: Site) -> None:
    digest = quiet.image("a")
    quiet.in_force("staging", digest)
    before = run(quiet, quiet.ami("a").ami)
    signer = local_signer(quiet.ws)
    next_second()
    held = holds.hold(quiet.ws.store, quiet.trust, digest, why="it burns", signer=signer)
    after = run(quiet, quiet.ami("a").ami)
    found = audit(quiet)
    assert mine(found, after) == "held"
    rows = {row.launch.instance: row.launch.at for row in found.launches}
    assert (rows[before] >= held.at) == (mine(found, before) == "held")


def test_what_was_replaced_since_is_superseded_and_no_finding(quiet: Site) -> None:
    first, second = quiet.image("a"), quiet.image("b")
    quiet.in_force("staging", first)
    quiet.in_force("staging", second)
    next_second()
    instance = run(quiet, quiet.ami("a").ami)
    found = audit(quiet)
    assert mine(found, instance) == "superseded"
    assert found.findings == ()


def test_a_channel_that_does_not_reach_an_account_explains_nothing_there(quiet: Site) -> None:
    quiet.in_force("staging", quiet.image("a"))
    ami = quiet.ami("a").ami
    place = Account(emulator=quiet.emulator, id=ACCOUNT)
    place.ec2.modify_image_attribute(ImageId=ami, LaunchPermission={"Add": [{"UserId": OTHER}]})
    instance = run(quiet, ami, account=OTHER)
    assert mine(audit(quiet), instance) == "promoted elsewhere"


def test_what_runs_and_cloudtrail_does_not_know_is_a_finding(
    quiet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet.in_force("staging", quiet.image("a"))
    instance = run(quiet, quiet.ami("a").ami)
    monkeypatch.setattr("goldpress.aws.trail.Trail.launches", lambda *_: ())
    assert mine(audit(quiet), instance) == "not recorded"


def test_a_place_that_cannot_be_seen_is_no_proof(quiet: Site) -> None:
    quiet.policy(prod=quiet.file("prod").decode().replace(READERS, ""))
    found = audit(quiet)
    assert found.unseen == (
        f"{OTHER}/us-east-1: no role may look there: name one in `readers` of the channel",
    )
    assert not found.proven
    assert isinstance(found.failure(), CloudError)
    assert "that there was nothing else is NOT proven" in shown(found)


def test_an_aws_that_denies_is_no_proof(quiet: Site) -> None:
    quiet.emulator.fail(
        {"service": "cloudtrail", "action": "LookupEvents", "status": 400,
         "code": "AccessDeniedException"}
    )  # fmt: skip
    (unseen,) = audit(quiet).unseen
    assert "AWS denies cloudtrail:LookupEvents" in unseen


def test_evidence_that_is_lost_by_now_is_told_and_an_error(quiet: Site) -> None:
    promotion = quiet.in_force("staging", quiet.image("a"))
    quiet.ws.store.document_path(STATEMENT, promotion.evidence[0]).unlink()
    found = audit(quiet)
    (change,) = found.changes
    assert [row.why for row in change.evidence if row.statement == promotion.evidence[0]] != [""]
    assert "NOT GOOD" in shown(found)
    error = found.failure()
    assert isinstance(error, TrustError)
    assert f"evidence of {quiet.name}/staging since {promotion.since} is not good any" in str(error)


def test_evidence_that_was_forgotten_is_told(quiet: Site) -> None:
    promotion = quiet.in_force("staging", quiet.image("a"))
    quiet.ws.store.forget(STATEMENT, promotion.digest, promotion.evidence[0])
    (change,) = audit(quiet).changes
    (row,) = (row for row in change.evidence if row.statement == promotion.evidence[0])
    assert (row.kind, row.why) == ("unknown", "the store has it no more")


def test_what_aws_cannot_show_is_told() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    old, new = now - timedelta(days=91), now - timedelta(minutes=14)
    assert list(limits(now - timedelta(days=89), now - timedelta(minutes=15), now)) == []
    (before,) = limits(old, now - timedelta(hours=1), now)
    assert before.endswith("nothing shows what was launched before 2026-08-25T12:00:00Z")
    (late,) = limits(now - timedelta(days=1), new, now)
    assert late.endswith("launches since 2026-11-23T11:45:00Z may be missing")


def test_a_limit_is_no_proof(quiet: Site) -> None:
    now = datetime.now(UTC)
    folder = quiet.ws.project / f"images/{quiet.name}/channels"
    folder.mkdir(exist_ok=True)
    found = auditing.audit(quiet.ws, now - timedelta(days=100), now - timedelta(days=99), now=now)
    assert not found.proven
    assert found.failure() is None
    assert "not shown by AWS: CloudTrail remembers 90 days" in shown(found)


def test_a_time_that_ends_before_it_starts_is_refused(site: Site) -> None:
    now = datetime.now(UTC)
    with pytest.raises(DocumentError, match="--to is not after --from"):
        auditing.audit(site.ws, now, now, now=now)


@pytest.mark.parametrize(
    ("text", "is_end", "expected"),
    [
        ("2026-11-01", False, "2026-11-01T00:00:00Z"),
        ("2026-11-01", True, "2026-11-02T00:00:00Z"),
        ("2026-11-01T12:30Z", False, "2026-11-01T12:30:00Z"),
        ("2026-11-01T12:30Z", True, "2026-11-01T12:30:00Z"),
    ],
)
def test_a_day_is_its_begin_or_its_end(text: str, is_end: bool, expected: str) -> None:
    assert parse_time(text, option="--from", is_end=is_end).strftime(MOMENT) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-01T12:30", "11/01/2026"])
def test_another_form_of_time_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match=r"--from=.*: neither a day such as 2026-11-01 nor"):
        parse_time(text, option="--from")
