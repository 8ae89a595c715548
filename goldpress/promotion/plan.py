"""Owns the plan of a promotion: what happens when it is merged, where, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from goldpress.channel import Channel
from goldpress.terms import Fleet, Wave

NOT_KNOWN = "not known"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many instances of a fleet run; None when that is not known, and why."""

    instances: int | None
    why: str = ""

    @property
    def text(self) -> str:
        """The number, for people."""
        return NOT_KNOWN if self.instances is None else str(self.instances)

    @property
    def words(self) -> str:
        """The same in a sentence."""
        return f"{self.text} instances" if self.instances is not None else f"instances {NOT_KNOWN}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A channel, and how much of each of its fleets runs."""

    channel: Channel
    counts: Mapping[str, Count]

    def count(self, fleet: Fleet) -> Count:
        """How many instances of this fleet run."""
        return self.counts.get(fleet.name, Count(instances=None, why="nobody looked"))

    @property
    def total(self) -> str:
        """How many instances all fleets have, as far as that is known."""
        found = [self.count(fleet).instances for fleet in self.channel.policy.fleets]
        known = sum(count for count in found if count is not None)
        return f"{known} and more" if None in found else str(known)

    def steps(self) -> Iterator[str]:
        """What happens when it is merged, in order, a sentence or two each."""
        channel, policy = self.channel, self.channel.policy
        people = "a person" if policy.approvals == 1 else f"{policy.approvals} people"
        yield (
            f"`./inv promote {channel.name}` makes sure that the merged tree is what {people} "
            "approved, who wrote none of it, and checks every rule once more."
        )
        shared = f"launch permission for {_list(policy.accounts)}, " if policy.accounts else ""
        yield (
            f"The image becomes available in {_list(policy.regions)}: {shared}protection from "
            "deregistration (the one before keeps its own), and the parameter "
            f"`/goldpress/{channel.image}/{channel.name}/<digest>`."
        )
        pointer = f"`/goldpress/{channel.image}/{channel.name}/current`"
        if not policy.fleets:
            yield f"It has no fleets: {pointer} names the image at once, in every region."
            return
        for wave in policy.waves:
            yield self._wave(wave)
        yield f"{pointer} names the image in a region as soon as that region's last wave has ended."

    def _wave(self, wave: Wave) -> str:
        rows = []
        for fleet in self.channel.policy.fleets:
            if fleet.name in wave.fleets:
                groups = len(fleet.groups)
                rows.append(
                    f"{fleet.name} ({groups} group{'s' if groups > 1 else ''}, "
                    f"{self.count(fleet).words}, {fleet.region})"
                )
        share = "all of" if wave.share == 100 else f"{wave.share} % of"  # noqa: PLR2004 - all
        soak = f"then {wave.soak_minutes} minutes of watching" if wave.soak_minutes else "no wait"
        return f"Wave {wave.name}: {share} {_list(rows)}; gates: {_list(wave.gates)}; {soak}."


def freezes(channel: Channel) -> Iterator[str]:
    """When nothing is promoted, for people."""
    for freeze in channel.policy.freeze:
        days = f"on {', '.join(freeze.days)} (UTC)"
        yield f"{days if freeze.days else f'from {freeze.start} to {freeze.end}'}: {freeze.why}"


def _list(values: list[str] | tuple[str, ...]) -> str:
    return ", ".join(values)
