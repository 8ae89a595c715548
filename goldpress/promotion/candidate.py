"""Owns candidates: which digest a channel could have next, and whether its time has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from goldpress import holds
from goldpress.channel import Channel
from goldpress.digest import short
from goldpress.errors import MissingError, PromotionError
from goldpress.mirror.roots import IMAGE
from goldpress.promotion import record
from goldpress.promotion.proposal import Soak
from goldpress.promotion.record import Promotion
from goldpress.statements.trust import Trust
from goldpress.store import Store

#: The rule of promotion that this anticipates: what is proposed should be able to pass.
SOAK = "soak"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A digest for a channel; `is_return` when the channel had it just before."""

    digest: str
    soak: Soak | None
    is_return: bool


def newest(store: Store, series: str) -> str:
    """The digest of the image that was pressed last. Raises MissingError."""
    entries = store.history(IMAGE, series)
    if not entries:
        raise MissingError(
            f"no image {series} was pressed yet",
            hint="run `./inv build-image`, then `./inv publish`",
        )
    return entries[-1].digest


def choose(
    store: Store,
    trust: Trust,
    channel: Channel,
    *,
    series: str,
    digest: str,
    expedited: bool,
    now: datetime,
) -> Candidate | None:
    """What the channel could have next; None when it has that already.

    It is `digest`, if that is not empty; else the newest that the earlier channel has had for long
    enough, where there is one; else the newest of `series`. `now` is aware. Raises PromotionError
    with the rule that it could not meet (`not-held`, `soak`), MissingError when there is no image.
    """
    current = record.current(store, trust, channel.image, channel.name)
    before = current.previous if current else ""
    after = channel.policy.after
    past = record.history(store, trust, channel.image, after) if after else ()
    if digest:
        options = [digest]
    elif after:
        options = _options(past, channel)
    else:
        options = [newest(store, series)]
    first: PromotionError | None = None
    for wanted in options:
        if wanted == channel.digest:
            break
        try:
            holds.refuse_held(store, trust, wanted)
            soak = None
            if after and wanted != before:
                hours = channel.terms(expedited=expedited).soak_hours
                soak = soaked(past, wanted, hours=hours, now=now, channel=after)
        except PromotionError as error:
            first = first or error
        else:
            return Candidate(digest=wanted, soak=soak, is_return=wanted == before)
    if first is not None:
        raise first
    return None


def _options(past: tuple[Promotion, ...], channel: Channel) -> list[str]:
    """What the earlier channel had, the newest first, down to what this one has."""
    if not past:
        raise MissingError(f"{channel.policy.after} has no image yet")
    digests = list(dict.fromkeys(row.digest for row in reversed(past)))
    end = digests.index(channel.digest) + 1 if channel.digest in digests else len(digests)
    return digests[:end]


def soaked(
    past: tuple[Promotion, ...], digest: str, *, hours: int, now: datetime, channel: str
) -> Soak:
    """Since when the earlier channel had the digest, and when its time was up.

    Raises PromotionError (`soak`) when that is not yet, or it never had it.
    """
    ends = [row.signed for row in past[1:]] + [now]
    spans = [(row, end) for row, end in zip(past, ends, strict=False) if row.digest == digest]
    if not spans:
        raise PromotionError(SOAK, f"{channel} never had {short(digest)}")
    # Times in force before count, too: the rule adds them up.
    left = timedelta(hours=hours)
    for row, end in spans:
        if end - row.moment >= left:
            return _soak(channel, row, row.moment + left)
        left -= end - row.moment
    last = spans[-1][0]
    if last is not past[-1]:
        had = timedelta(hours=hours) - left
        raise PromotionError(
            SOAK,
            f"{channel} had {short(digest)} for {had / timedelta(hours=1):.1f} of {hours} hours, "
            "and has another one by now",
        )
    soak = _soak(channel, last, now + left)
    raise PromotionError(
        SOAK,
        f"{channel} has {short(digest)} since {soak.since}: its {hours} hours there end at "
        f"{soak.until}",
        hint="propose it then, or with --expedite=REASON where the channel has rules for that",
    )


def _soak(channel: str, row: Promotion, until: datetime) -> Soak:
    since = row.moment.strftime(record.MOMENT)
    return Soak(channel=channel, since=since, until=until.strftime(record.MOMENT))
