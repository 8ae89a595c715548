"""Owns rolling: a channel's fleets get what it has in force, go back, pause, and end.

Every command is one tick under the channel's lease: it does all that is due and tells how it ended.
What a roll needs is the store, AWS and, to hold a digest, a key; GitHub only for the revert.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from goldpress import holds, planning, progress
from goldpress.aws.ssm import Parameters
from goldpress.aws.sts import caller
from goldpress.channel import Channel
from goldpress.digest import short
from goldpress.duties import RealDuties
from goldpress.errors import CloudError, ConflictError, MissingError
from goldpress.fleet import plan as plans
from goldpress.fleet import tick
from goldpress.fleet.ceiling import Pace, Paced
from goldpress.fleet.driver import Driver, Watcher, nobody
from goldpress.fleet.ending import Done, Ending
from goldpress.fleet.findings import refuse_failed
from goldpress.fleet.hands import Duties, Hands
from goldpress.fleet.journal import (
    Failure,
    Pointer,
    RollJournal,
    RollState,
    begun,
    lease_key,
)
from goldpress.fleet.learning import Terms, failing
from goldpress.fleet.look import Looking
from goldpress.fleet.partial import Heals, healing, remembered
from goldpress.fleet.place import Place, Reach, reach_of
from goldpress.fleet.plan import GroupPlan, RollPlan
from goldpress.fleet.sight import Sight
from goldpress.looking import publisher
from goldpress.promotion import record
from goldpress.promotion.available import pointer_name
from goldpress.promotion.lease import Lease, leased
from goldpress.promotion.record import Promotion
from goldpress.statements.signing import trust_here
from goldpress.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Roller:
    """Who rolls a channel. With `reach` and `duties`, those are asked instead of AWS and git.

    `endpoint` is the embedded cloud's URL; empty: AWS. `now` is Unix time, `sleep` lets it pass.
    """

    ws: Workspace
    channel: Channel
    endpoint: str = ""
    reach: Reach | None = None
    duties: Callable[[RollPlan], Duties] | None = None
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = progress.note
    watch: Watcher = nobody

    @classmethod
    def of(cls, ws: Workspace, channel: str, image: str = "", **given: Any) -> Roller:
        """Who rolls the channel of this name, of `image` or the only one. Raises MissingError."""
        return cls(ws=ws, channel=planning.channel_of(ws, channel, image), **given)

    @property
    def name(self) -> str:
        """The channel, for people."""
        return f"{self.channel.image}/{self.channel.name}"

    # ---- what people ask for ----

    def roll(self) -> Ending:
        """Begin the roll of what is in force, or go on with the one under way: one tick.

        Raises PromotionError (`not-held`), CloudError for what keeps a group from being rolled,
        MissingError, ConflictError when somebody else does it just now.
        """
        if nothing := self._nothing():
            return nothing
        with self._alone() as lease:
            journal = self._journal()
            if journal.state is None or journal.state.over:
                promotion = self._promotion()
                if journal.state is not None and self._is_over(journal.state, promotion):
                    return tick.over(journal.state)
                self._begin(journal, lease, self._planned(journal.state), promotion)
            return self._driven(journal, lease)

    def heal(self, rows: Iterable[Heals]) -> Ending:
        """Refresh just these groups to what is in force, wave by wave. Raises as `roll`."""
        wanted = {row.group: row for row in rows}
        with self._alone() as lease:
            journal = self._journal()
            if journal.state is not None and not journal.state.over:
                raise ConflictError(
                    f"{self.name}: a roll of {short(journal.state.digest)} is under way",
                    hint=f"`./inv roll {self.channel.name}` goes on with it",
                )
            plan = healing(self._planned(None), wanted)
            self._begin(journal, lease, plan, self._promotion(), heals=True)
            return self._driven(journal, lease)

    def rollback(self, why: str) -> Ending:
        """Take back the roll under way, or the last one: hold its digest, bring back the rest.

        Raises MissingError when nothing was rolled, ConflictError.
        """
        with self._alone() as lease:
            journal = self._journal()
            state = self._some(journal)
            if state.heals or (state.over and state.phase != "done"):
                if state.phase == "rolled-back":
                    return tick.over(state)
                raise MissingError(
                    f"{self.name}: the last roll was not one to go back from ({state.phase})",
                    hint="`./inv roll.status` tells what it was",
                )
            state = replace(state, phase="rolling", failure=state.failure)
            state = failing(state, why, self.now(), by_hand=True)
            journal.write(state, fence=lease.fence)
            return self._driven(journal, lease)

    def pause(self, why: str) -> RollState:
        """Let nothing new begin: what AWS does just now ends. Raises MissingError."""
        return self._changed(lambda state: replace(state, paused=why))

    def resume(self) -> RollState:
        """Go on after a pause, or after a person has seen to what failed on the way back."""

        def changed(state: RollState) -> RollState:
            again = {
                key: replace(row, state="cancelled", back=False) if row.state == "failed" else row
                for key, row in state.groups.items()
            }
            return replace(state, paused="", groups=again, left={}, waits_since=0.0)

        return self._changed(changed)

    def abort(self, why: str) -> Ending:
        """Stop the roll where it is: nothing goes on, nothing goes back. Raises MissingError."""
        with self._alone() as lease:
            journal = self._journal()
            state = self._under_way(journal)
            if state.phase == "going-back":
                raise ConflictError(
                    f"{self.name} goes back: that is not aborted half-way",
                    hint=f"`./inv rollback {self.channel.name}` goes on with it",
                )
            failure = Failure(why=why, at=self.now(), by_hand=True)
            state = replace(state, phase="aborting", paused="", failure=failure)
            journal.write(state, fence=lease.fence)
            return self._driven(journal, lease)

    def status(self) -> tuple[RollPlan, RollState, Sight]:
        """The roll under way, or the last one, and what is so now; nothing is changed.

        Raises MissingError when the channel was never rolled.
        """
        state = self._some(self._journal())
        plan = plans.load(self.ws.store, state.plan)
        return plan, state, self._looking(plan)(plan, state)

    # ---- how ----

    @contextmanager
    def _alone(self) -> Iterator[Lease]:
        self.refuse_local()
        key = lease_key(self.channel.image, self.channel.name)
        with leased(self.ws.store.objects, key) as lease:
            yield lease

    def refuse_local(self) -> None:
        """Raises MissingError for a store that only this machine has, on AWS."""
        if self.endpoint or self.reach is not None or self.ws.store.shared is not None:
            return
        if not publisher(self.ws, self.channel.image, endpoint="").emulated:
            raise MissingError(
                "the store is a directory of this machine: nobody else could go on with a roll, or "
                "take it back",
                hint="set GOLDPRESS_STORE=s3://bucket/prefix",
            )

    def _journal(self) -> RollJournal:
        return RollJournal.read(self.ws.store.objects, self.channel.image, self.channel.name)

    def _some(self, journal: RollJournal) -> RollState:
        if journal.state is None:
            raise MissingError(
                f"{self.name} was never rolled", hint=f"`./inv roll {self.channel.name}`"
            )
        return journal.state

    def _under_way(self, journal: RollJournal) -> RollState:
        state = self._some(journal)
        if state.over:
            raise MissingError(
                f"{self.name}: no roll is under way; the last one is {state.phase}",
                hint=f"`./inv roll.status {self.channel.name}`",
            )
        return state

    def _changed(self, change: Callable[[RollState], RollState]) -> RollState:
        with self._alone() as lease:
            journal = self._journal()
            state = change(self._under_way(journal))
            journal.write(state, fence=lease.fence)
            return state

    def _nothing(self) -> Done | None:
        """Why there is nothing to roll, which a schedule may find as often as it likes."""
        if not self.channel.policy.fleets:
            return Done(told=f"{self.name} has no fleets: there is nothing to roll")
        trust = trust_here(self.ws)
        if record.current(self.ws.store, trust, self.channel.image, self.channel.name) is None:
            return Done(told=f"nothing was promoted to {self.name}: there is nothing to roll")
        return None

    def _promotion(self) -> Promotion:
        found = record.current(
            self.ws.store, trust_here(self.ws), self.channel.image, self.channel.name
        )
        if found is None:
            raise MissingError(
                f"{self.name}: nothing was promoted to it",
                hint=f"`./inv promote {self.channel.name}`",
            )
        return found

    def _is_over(self, state: RollState, promotion: Promotion) -> bool:
        """Whether the last roll was of what is in force now; an aborted one may begin anew."""
        plan = plans.load(self.ws.store, state.plan)
        same = (plan.digest, plan.promotion) == (promotion.digest, promotion.since)
        if not same or state.phase == "aborted" or state.heals:
            return False
        if state.phase == "done":
            holds.refuse_launch(self.ws, promotion.digest)
        return True

    def _planned(self, last: RollState | None) -> RollPlan:
        prepared = planning.prepare(self.ws, self.channel, endpoint=self.endpoint, reach=self.reach)
        refuse_failed(prepared.findings)
        plan = prepared.plan
        if last is not None:
            plan = remembered(plan, plans.load(self.ws.store, last.plan))
        return plan

    def _begin(
        self,
        journal: RollJournal,
        lease: Lease,
        plan: RollPlan,
        promotion: Promotion,
        *,
        heals: bool = False,
    ) -> None:
        holds.refuse_launch(self.ws, plan.digest)
        digest = plans.keep(self.ws.store, plan)
        pointers = {} if heals else self._pointers(promotion)
        state = begun(plan, digest=digest, now=self.now(), pointers=pointers)
        journal.write(replace(state, heals=heals), fence=lease.fence)
        self.say(f"{self.name}: begins: {short(plan.digest)}, plan {short(digest)}")

    def _pointers(self, promotion: Promotion) -> Mapping[str, Pointer]:
        """What consumers of each region take now. Raises CloudError."""
        name = pointer_name(self.channel.image, self.channel.name)
        reach = self._reach(promotion.account)
        found: dict[str, Pointer] = {}
        for region, ami in sorted(promotion.amis.items()):
            client = reach(promotion.account).client("ssm", region)
            now = Parameters(client=client, region=region).get(name)
            before = now.value if now else ""
            if before in {"", ami}:
                before = self._ami_before(promotion, region)
            found[region] = Pointer(before=before, after=ami)
        return found

    def _ami_before(self, promotion: Promotion, region: str) -> str:
        trust = trust_here(self.ws)
        past = record.history(self.ws.store, trust, self.channel.image, self.channel.name)
        rows = [row for row in past if row.digest == promotion.previous]
        return rows[-1].amis.get(region, "") if rows else ""

    def _reach(self, account: str) -> Reach:
        """Who calls in each account; `account` is the one that publishes. Raises CloudError."""
        if self.reach is not None:
            return self.reach
        access = publisher(self.ws, self.channel.image, endpoint=self.endpoint)
        return reach_of(self.channel.policy.rollers, own=account, access=access)

    def _driven(self, journal: RollJournal, lease: Lease) -> Ending:
        state = self._some(journal)
        plan = plans.load(self.ws.store, state.plan)
        promotion = self._promotion()
        self._same_account(plan, promotion)
        if promotion.digest != state.digest and state.phase == "rolling":
            self.say(
                f"{self.name}: {short(promotion.digest)} was promoted meanwhile: it is rolled when "
                f"this has ended; `./inv roll.abort {self.channel.name}` ends this one now"
            )
        driver = Driver(
            plan=plan,
            journal=journal,
            lease=lease,
            hands=Hands(place=self._placed(plan), duties=self._duties(plan, promotion)),
            look=self._looking(plan),
            terms=self._terms(plan),
            now=self.now,
            say=self.say,
            watch=self.watch,
        )
        return driver.run()

    def _same_account(self, plan: RollPlan, promotion: Promotion) -> None:
        """Raises CloudError for credentials of another account than the one that publishes.

        Any region that answers will do: the one that is out of reach must not keep the others back.
        """
        if self.reach is not None:
            return
        access = publisher(self.ws, self.channel.image, endpoint=self.endpoint)
        last: CloudError | None = None
        for region in dict.fromkeys([*promotion.regions, *(row.region for row in plan.groups)]):
            try:
                own = caller(access, region).account
            except CloudError as error:
                last = error
                continue
            if own != promotion.account:
                raise CloudError(
                    f"{self.name} was promoted in account {promotion.account}; these credentials "
                    f"are of {own}",
                    hint="take the credentials (or AWS_PROFILE) that publish",
                )
            return
        if last is not None:
            raise last

    def _duties(self, plan: RollPlan, promotion: Promotion) -> Duties:
        if self.duties is not None:
            return self.duties(plan)
        return RealDuties(
            ws=self.ws,
            channel=self.channel,
            digest=plan.digest,
            previous=plan.previous,
            owner=promotion.account,
            reach=self._reach(promotion.account),
            endpoint=self.endpoint,
            emulated=plan.emulated,
        )

    def _placed(self, plan: RollPlan) -> Callable[[GroupPlan], Place]:
        """Where a group is, called at the plan's pace."""
        reach = self._reach(self._promotion().account)
        pace = Pace(per_second=plan.calls_per_second, clock=self.now, sleep=self.sleep)

        def placed(group: GroupPlan) -> Place:
            caller_ = Paced(inner=reach(group.account), pace=pace, account=group.account)
            return Place(account=group.account, region=group.region, access=caller_)

        return placed

    def _looking(self, plan: RollPlan) -> Looking:
        limits = self.channel.policy.limits
        return Looking(place=self._placed(plan), limits=limits, now=self.now)

    def _terms(self, plan: RollPlan) -> Terms:
        trust = trust_here(self.ws)
        store = self.ws.store
        held = holds.held(store, trust, plan.digest)
        before = holds.held(store, trust, plan.previous) if plan.previous else None
        freeze = self.channel.frozen(datetime.fromtimestamp(self.now(), UTC))
        return Terms(
            limits=self.channel.policy.limits,
            held=f"{held.why} (by {held.by})" if held else "",
            frozen=f"frozen: {freeze.why}" if freeze else "",
            no_way_back=f"{plan.previous} is held, too: {before.why}" if before else "",
        )


def heal(ws: Workspace, channel: Channel, rows: Iterable[Heals], *, endpoint: str = "") -> Ending:
    """Begin to refresh just these groups; `roll` goes on with it. Raises as `Roller.heal`."""
    return Roller(ws=ws, channel=channel, endpoint=endpoint).heal(rows)
