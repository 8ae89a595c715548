"""Owns what explains a launch: an image that a channel had in force there, or its trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from goldpress import ami as amis
from goldpress import holds
from goldpress.ami import Ami
from goldpress.aws.trail import MOMENT, Launch
from goldpress.channel import Channel
from goldpress.holds import Hold
from goldpress.promotion import record
from goldpress.promotion.record import Promotion
from goldpress.statements.trust import Trust
from goldpress.store import Store

#: `promoted`: of a digest that a channel had in force then and that reaches the place;
#: `superseded`: had in force before. `trial`: of a published image in its own account, tagged as
#: those are that goldpress launches to verify them. The others are findings.
Kind = Literal[
    "promoted", "superseded", "trial",
    "held", "promoted elsewhere", "never promoted", "not goldpress's", "not recorded",
]  # fmt: skip
EXPLAINED: tuple[Kind, ...] = ("promoted", "superseded", "trial")


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What explains launches: promotions by ``image/channel``, oldest first, and channels."""

    store: Store
    trust: Trust
    past: Mapping[str, tuple[Promotion, ...]]
    channels: Sequence[Channel]

    @cached_property
    def amis(self) -> Mapping[str, Ami]:
        """Every AMI that was ever published, by its id."""
        return {
            ami.ami: ami
            for series in self.store.names(amis.KIND)
            for ami in amis.newest_first(self.store, series)
        }

    @cached_property
    def accounts(self) -> Mapping[str, frozenset[str]]:
        """The accounts that each channel, ``image/channel``, reaches besides the publishing one."""
        return {
            record.series(row.image, row.name): frozenset(row.policy.accounts)
            for row in self.channels
        }

    def kind(self, launch: Launch, account: str, region: str) -> Kind:
        """What a launch in an account and region is of."""
        ami = self.amis.get(launch.ami)
        if ami is None:
            return "not goldpress's"
        if self._held(ami.image, launch.at):
            return "held"
        elsewhere = False
        superseded = False
        for series, rows in self.past.items():
            before = [row for row in rows if row.moment.strftime(MOMENT) <= launch.at]
            mine = [row for row in before if row.digest == ami.image]
            reached = {mine[-1].account, *self.accounts.get(series, ())} if mine else set()
            if account in reached and region in mine[-1].amis:
                if before[-1].digest == ami.image:
                    return "promoted"
                superseded = True
            elsewhere = elsewhere or bool(mine)
        if superseded:
            return "superseded"
        if launch.trial and account == ami.account:
            return "trial"
        return "promoted elsewhere" if elsewhere else "never promoted"

    @cached_property
    def _holds(self) -> dict[str, tuple[Hold, ...]]:
        return {}

    def _held(self, digest: str, at: str) -> bool:
        if digest not in self._holds:
            self._holds[digest] = holds.history(self.store, self.trust, digest)
        before = [row for row in self._holds[digest] if row.at <= at]
        return bool(before) and before[-1].act == "hold"
