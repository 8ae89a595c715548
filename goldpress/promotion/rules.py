"""Owns the rules: each judges the facts of a promotion, and a fact that is missing is no yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from goldpress.channel import DIGEST
from goldpress.digest import short
from goldpress.errors import DocumentError
from goldpress.promotion.facts import Facts, Missing, Place
from goldpress.promotion.record import in_force
from goldpress.promotion.verdict import Verdict
from goldpress.statements.publication import Publication
from goldpress.statements.verification import Verification

AVAILABLE = "available"


def judge(facts: Facts) -> tuple[Verdict, ...]:
    """Every rule's verdict, in the order in which people read them."""
    return tuple(verdict for rule in RULES for verdict in rule(facts))


def judge_image(facts: Facts) -> Iterator[Verdict]:
    """The digest is an image of the channel's name, whose manifest the store has."""
    rule = "image"
    if not DIGEST.fullmatch(facts.digest):
        yield _no(rule, "the channel would have no image: it goes back by the digest before")
    elif isinstance(facts.chain, Missing):
        yield _no(rule, facts.chain.why)
    elif facts.chain.manifest is None:
        yield _no(rule, facts.chain.link("manifest").why)
    elif facts.chain.manifest.name != facts.channel.image:
        yield _no(rule, f"it is an image of {facts.chain.manifest.name}")
    else:
        yield _yes(rule, facts.chain.link("manifest").why)


def judge_evidence(facts: Facts) -> Iterator[Verdict]:
    """Every link that the channel asks for is proven by a statement that is believed."""
    for name in facts.channel.policy.evidence:
        rule = f"evidence-{name}"
        if isinstance(facts.chain, Missing):
            yield _no(rule, facts.chain.why)
        else:
            link = facts.chain.link(name)
            yield Verdict(rule=rule, ok=link.ok, why=link.why)


def judge_booted(facts: Facts) -> Iterator[Verdict]:
    """The suite and the required controls passed on a booted machine."""
    if isinstance(facts.chain, Missing):
        yield _no("booted", facts.chain.why)
    else:
        link = facts.chain.link("verification")
        # One that failed is not outweighed by one that passed, whatever links the channel asks for.
        good = facts.chain.verifications if link.ok else ()
        yield _verified("booted", facts, good, link.why)


def judge_launched(facts: Facts) -> Iterator[Verdict]:
    """They passed on an instance of one of its AMIs in the channel's regions, too."""
    if isinstance(facts.chain, Missing):
        yield _no("launched", facts.chain.why)
        return
    here = {row.ami.ami for row in facts.places.values() if isinstance(row, Place)}
    link = facts.chain.link("trial")
    good = facts.chain.trials if link.ok else ()
    trials = tuple(row for row in good if row.launched and row.launched.ami in here)
    yield _verified("launched", facts, trials, link.why if not link.ok else "in no region of it")


def judge_class(facts: Facts) -> Iterator[Verdict]:
    """An image of a stand-in for CentOS goes to the embedded cloud only, never to AWS.

    Nor does what was promoted there count in AWS, as a time to soak or a way back.
    """
    rule = "stand-in"
    if isinstance(facts.chain, Missing) or facts.chain.manifest is None:
        yield _no(rule, "nobody knows of which distribution it is")
    elif isinstance(facts.emulated, Missing):
        yield _no(rule, facts.emulated.why)
    elif facts.chain.manifest.stand_in and not facts.emulated:
        yield _no(
            rule, f"{facts.chain.manifest.distribution} is a rehearsal, and never goes to AWS"
        )
    elif other := next((row for row in facts.recorded if row.emulated != facts.emulated), None):
        yield _no(
            rule,
            f"{other.image}/{other.channel} was promoted in {_cloud(other.emulated)} before, and "
            "this is another: a rehearsal needs a store of its own",
        )
    else:
        yield _yes(rule, f"{facts.chain.manifest.distribution}, to {_cloud(facts.emulated)}")


def judge_regions(facts: Facts) -> Iterator[Verdict]:
    """In every region its AMI is there, available, its own, and can be launched by all accounts."""
    wrong: dict[str, list[str]] = {"published": [], "content": [], "launchable": []}
    for region, found in facts.places.items():
        if isinstance(found, Missing):
            for rows in wrong.values():
                rows.append(f"{region}: {found.why}")
            continue
        if found.image is None or found.image.state != AVAILABLE:
            state = found.image.state if found.image else "gone"
            wrong["published"].append(f"{region}: {found.ami.ami} is {state}")
        wrong["content"] += [f"{region}: {why}" for why in _content(facts, found)]
        if found.locked_out:
            out = ", ".join(found.locked_out)
            wrong["launchable"].append(f"{region}: {found.ami.kms_key} is not open to {out}")
    places = ", ".join(facts.places)
    for rule, rows in wrong.items():
        yield _no(rule, "; ".join(rows)) if rows else _yes(rule, places)


def _content(facts: Facts, found: Place) -> Iterator[str]:
    """Why an AMI is not known to hold the image."""
    if isinstance(facts.chain, Missing):
        yield facts.chain.why
        return
    stated = [row for row in facts.chain.publications if row.ami == found.ami]
    manifest = facts.chain.manifest
    if manifest is None or found.ami.block_root != manifest.block_root:
        yield f"{found.ami.ami} has another block root than the manifest"
    for row in facts.chain.rows:
        # Whoever has read back something else is believed first.
        match row.value:
            case Publication(ami=ami) if row.believed and row.why and ami.ami == found.ami.ami:
                yield row.why
    if not stated:
        yield f"nobody who is believed read back the blocks of {found.ami.ami}"
    if found.image is not None and found.image.snapshot != found.ami.snapshot:
        yield f"{found.ami.ami} has the disk {found.image.snapshot}, not {found.ami.snapshot}"
    if found.ami.emulated != facts.emulated:
        yield f"{found.ami.ami} is in another cloud"


def judge_soak(facts: Facts) -> Iterator[Verdict]:
    """The channel before had the digest in force for as long as is asked for."""
    rule = "soak"
    after = facts.channel.policy.after
    if after is None:
        yield _yes(rule, "no channel comes before")
    elif facts.approved_before:
        yield _yes(rule, "the channel had it in force before")
    elif isinstance(facts.earlier, Missing):
        yield _no(rule, facts.earlier.why)
    else:
        try:
            needed = facts.channel.terms(expedited=bool(facts.expedited)).soak_hours
        except DocumentError as error:
            yield _no(rule, error.message)
            return
        if all(row.digest != facts.digest for row in facts.earlier):
            yield _no(rule, f"{after} never had it")
            return
        hours = in_force(facts.earlier, facts.digest, facts.at)
        told = f"{hours:.1f} of {needed} hours in {after}"
        yield _yes(rule, told) if hours >= needed else _no(rule, told)


def judge_freeze(facts: Facts) -> Iterator[Verdict]:
    """Nothing is promoted in a freeze, but what goes back, or is let through in haste."""
    rule = "not-frozen"
    freeze = facts.channel.frozen(facts.at)
    if freeze is None:
        yield _yes(rule, "no freeze now")
    elif facts.approved_before:
        yield _yes(rule, f"{freeze.why}; but the channel had it in force before")
    elif _may_in_freeze(facts):
        yield _yes(rule, f"{freeze.why}; but it is expedited: {facts.expedited}")
    else:
        yield _no(rule, freeze.why)


def _may_in_freeze(facts: Facts) -> bool:
    expedite = facts.channel.policy.expedite
    return bool(facts.expedited) and expedite is not None and expedite.during_freeze


def judge_expedited(facts: Facts) -> Iterator[Verdict]:
    """Haste is asked for only where the channel has terms for it."""
    if facts.expedited:
        ok = facts.channel.policy.expedite is not None
        why = facts.expedited if ok else "this channel has no terms for haste"
        yield Verdict(rule="expedite", ok=ok, why=why)


def judge_hold(facts: Facts) -> Iterator[Verdict]:
    """The digest is not held."""
    rule = "not-held"
    if isinstance(facts.hold, Missing):
        yield _no(rule, facts.hold.why)
    elif facts.hold is not None:
        hold = facts.hold
        yield _no(rule, f"held since {hold.at} by {hold.by}: {hold.why}")
    else:
        yield _yes(rule, "no hold on it")


def judge_age(facts: Facts) -> Iterator[Verdict]:
    """It was not pressed before the newest that the channel had; the way back is open."""
    rule = "not-older"
    if isinstance(facts.past, Missing) or isinstance(facts.pressed, Missing):
        fact = facts.past if isinstance(facts.past, Missing) else facts.pressed
        yield _no(rule, fact.why if isinstance(fact, Missing) else "")
        return
    if facts.approved_before:
        way = "in force already" if facts.digest == facts.in_force else "the recorded one before"
        yield _yes(rule, way)
        return
    mine = facts.pressed.get(facts.digest)
    if mine is None:
        yield _no(rule, "the store does not know when it was pressed")
        return
    last = {facts.in_force, facts.way_back} - {""}
    unknown = sorted(last - facts.pressed.keys())
    if unknown:
        yield _no(rule, f"the store does not know when {short(unknown[0])} was pressed")
        return
    times = [(facts.pressed[r.digest], r.digest) for r in facts.past if r.digest in facts.pressed]
    newest = max(times, default=("", ""))
    if mine < newest[0]:
        yield _no(rule, f"pressed {mine}, before {short(newest[1])}, which was at {newest[0]}")
    else:
        yield _yes(rule, f"pressed {mine}")


def _verified(rule: str, facts: Facts, good: tuple[Verification, ...], otherwise: str) -> Verdict:
    """Whether the last good verification has every control that the channel asks for."""
    if not good:
        return _no(rule, otherwise)
    evidence = good[-1].evidence
    for control in facts.channel.policy.controls:
        for boot in evidence.boots:
            ends = [check.outcome for check in boot.checks if check.control == control]
            if not ends or set(ends) != {"passed"}:
                return _no(rule, f"the control {control} did not pass at boot {boot.number}")
    return _yes(rule, f"{evidence.passed} checks passed, {len(evidence.boots)} boots")


def _cloud(emulated: bool) -> str:
    return "the embedded cloud" if emulated else "AWS"


def _yes(rule: str, why: str) -> Verdict:
    return Verdict(rule=rule, ok=True, why=why)


def _no(rule: str, why: str) -> Verdict:
    return Verdict(rule=rule, ok=False, why=why)


RULES: tuple[Callable[[Facts], Iterator[Verdict]], ...] = (
    judge_image,
    judge_evidence,
    judge_booted,
    judge_launched,
    judge_class,
    judge_regions,
    judge_soak,
    judge_freeze,
    judge_expedited,
    judge_hold,
    judge_age,
)
