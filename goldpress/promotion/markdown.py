"""Owns a proposal as Markdown: what somebody reads who is to approve it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from goldpress.digest import short
from goldpress.markdown import code, plain, row
from goldpress.mirror.difference.lines import shown_size, summary
from goldpress.mirror.difference.markdown import markdown as packages_markdown
from goldpress.mirror.difference.remarks import some
from goldpress.promotion.difference import CheckDifference, ImageDifference
from goldpress.promotion.plan import Plan, freezes
from goldpress.promotion.proposal import Change, Proposal
from goldpress.promotion.side import PLACES, Verified

#: A pull request's text has 65,536 characters at most on GitHub.
LIMIT = 64_000
CUT = "\n\n... and more, which has no room here: `./inv propose` prints it.\n"
#: More names than these are a number.
SHOWN = 10

STAND_IN = (
    "> [!CAUTION]\n> This image is made of a stand-in: it is **not CentOS**, a rehearsal for the "
    "embedded cloud. The check refuses it everywhere else.\n\n"
)


def markdown(proposal: Proposal, *, limit: int = LIMIT) -> str:
    """The pull request's text, at most `limit` characters; the same proposal has the same text.

    Tables of packages give way first; what has no room is counted.
    """
    heads = [_head(change, proposal) for change in proposal.changes]
    tails = ["".join(_tail(change)) for change in proposal.changes]
    intro = _intro(proposal)
    room = limit - len(intro) - sum(len(text) for text in (*heads, *tails))
    parts = [intro]
    for index, change in enumerate(proposal.changes):
        share = max(room, 0) // (len(proposal.changes) - index)
        packages = _packages(change.difference, share)
        room -= len(packages)
        parts += [heads[index], packages, tails[index]]
    text = "".join(parts)
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def _intro(proposal: Proposal) -> str:
    count = len(proposal.changes)
    things = "one image" if count == 1 else f"{count} images"
    text = (
        f"Merging this promotes {things} to **{plain(proposal.channel)}**. Nothing but the line "
        "`image:` of each file below is changed; the check says whether every rule is met.\n\n"
    )
    if proposal.expedite:
        text += (
            "> [!WARNING]\n> Expedited: a shorter soak, more approvals. Reason: "
            f"{plain(proposal.expedite)}\n\n"
        )
    return text + "".join(map(_line, proposal.changes)) + "\n"


def _line(change: Change) -> str:
    """One image in a line, for who reads no further."""
    before, after = change.channel.digest, change.digest
    text = f"- {plain(change.channel.image)}: {code(short(before) if before else 'none')} → "
    text += code(short(after))
    packages = change.difference.packages
    if packages is None:
        return f"{text}\n"
    return f"{text}; {plain('; '.join(summary(packages)))}\n"


def _head(change: Change, proposal: Proposal) -> str:
    difference, channel = change.difference, change.channel
    after = difference.after
    text = f"## {plain(channel.image)}\n\n"
    if after.stand_in:
        text += STAND_IN
    if change.is_return:
        text += (
            "> [!NOTE]\n> This goes back to the image that the channel had before; it was approved "
            "then.\n\n"
        )
    if change.soak:
        terms = channel.terms(expedited=bool(proposal.expedite))
        text += (
            f"In **{plain(change.soak.channel)}** since {change.soak.since}; "
            f"{terms.soak_hours} hours there end at {change.soak.until}.\n\n"
        )
    return text + "".join(_facts(difference)) + "\n"


def _facts(difference: ImageDifference) -> Iterator[str]:
    before, after = difference.before, difference.after
    yield row(("", "now", "proposed"))
    yield "|---|---|---|\n"
    yield row(("image", code(before.short) if before else "none", code(after.short)))
    yield row((
        "distribution", plain(before.distribution) if before else "", plain(after.distribution)
    ))  # fmt: skip
    yield _size("disk", before.disk_bytes if before else None, after.disk_bytes)
    yield _size("data on it", before.data_bytes if before else None, after.data_bytes)
    for verified in after.verified:
        old = before.on(verified.machine) if before else None
        place = plain(verified.place)
        yield row((f"checks, {place}", _checks(old), _checks(verified)))
        yield row((f"boot, {place}", _boots(old), _boots(verified, old)))


def _size(name: str, before: int | None, after: int | None) -> str:
    if after is None:
        return row((name, "" if before is None else shown_size(before), "not known"))
    if before is None:
        return row((name, "", shown_size(after)))
    change = f" ({shown_size(after - before, sign=True)})" if after != before else ""
    return row((name, shown_size(before), f"{shown_size(after)}{change}"))


def _checks(verified: Verified | None) -> str:
    if verified is None:
        return "not verified there"
    text = f"{len(verified.passed)} passed"
    if verified.failed:
        text += f", **{len(verified.failed)} failed**"
    return text


def _boots(verified: Verified | None, before: Verified | None = None) -> str:
    """Seconds of each boot; by how many the first one differs, where the machines are alike."""
    if verified is None:
        return ""
    notes = [verified.accelerator] if verified.accelerator else []
    alike = before is not None and before.accelerator == verified.accelerator
    if before and alike and before.boot_seconds and verified.boot_seconds:
        notes.append(f"{verified.boot_seconds[0] - before.boot_seconds[0]:+.1f} s")
    times = ", then ".join(f"{seconds:.1f} s" for seconds in verified.boot_seconds)
    return plain(f"{times} ({'; '.join(notes)})" if notes else times)


def _packages(difference: ImageDifference, limit: int) -> str:
    if difference.packages is None:
        why = difference.unknown or "the channel has no image yet: everything is new"
        return f"### Packages\n\n{plain(why)}\n\n"
    title = "### Packages\n\n"
    table = packages_markdown(difference.packages, limit=limit - len(title) - 1, heading="")
    return f"{title}{table}\n"


def _tail(change: Change) -> Iterator[str]:
    yield "### Verification\n\n"
    yield from _verification(change.difference)
    yield "\n### Bill of materials\n\n"
    yield from _parts(change.difference)
    yield "\n### Where it goes\n\n"
    yield from _fleets(change.plan)
    yield "\n### What happens on merge\n\n"
    for number, step in enumerate(change.plan.steps(), 1):
        yield f"{number}. {step}\n"
    lines = list(freezes(change.channel))
    if lines:
        yield "\nNothing is promoted:\n"
        yield from (f"- {plain(line)}\n" for line in lines)
    yield "\n### How to go back\n\n"
    yield from _back(change)
    yield "\n"


def _verification(difference: ImageDifference) -> Iterator[str]:
    after = difference.after
    for proof in after.proofs:
        yield f"- {plain(proof)}\n"
    for verified in after.verified:
        if verified.failed:
            yield f"- **failed** on {plain(verified.place)}: {_some(verified.failed)}\n"
        if verified.not_exercised:
            yield f"- not exercised on {plain(verified.place)}: {_some(verified.not_exercised)}\n"
    if not after.verified:
        yield "- nothing was verified\n"
    for found in difference.checks:
        yield _check_line(found)
    if difference.before is None:
        yield "- there is no image to compare it with\n"


def _check_line(found: CheckDifference) -> str:
    place = plain(PLACES.get(found.machine, found.machine))
    if not (found.new or found.gone or found.no_longer_exercised):
        return f"- on {place}: the same checks as before\n"
    parts = []
    if found.new:
        parts.append(f"{len(found.new)} new: {_some(found.new)}")
    if found.gone:
        parts.append(f"**{len(found.gone)} no longer made**: {_some(found.gone)}")
    if found.no_longer_exercised:
        parts.append(f"**no longer exercised**: {_some(found.no_longer_exercised)}")
    return f"- on {place}: {'; '.join(parts)}\n"


def _parts(difference: ImageDifference) -> Iterator[str]:
    after, parts = difference.after, difference.parts
    if not after.components:
        yield "- there is none\n"
        return
    if parts is None:
        yield f"- {len(after.components)} components; there is none to compare it with\n"
        return
    count = len(difference.before.components) if difference.before else 0
    yield (
        f"- components: {count} → {len(after.components)}; {len(parts.added)} added, "
        f"{len(parts.removed)} removed, {len(parts.changed)} in another version\n"
    )
    if parts.added:
        yield f"- added: {_some(f'{part.name} {part.version}' for part in parts.added)}\n"
    if parts.removed:
        yield f"- removed: {_some(f'{part.name} {part.version}' for part in parts.removed)}\n"
    for old, new in parts.relicensed[:SHOWN]:
        licences = f"{_licence(old.licence)} → {_licence(new.licence)}"
        yield f"- **licence** of {plain(new.name)}: {licences}\n"
    if len(parts.relicensed) > SHOWN:
        yield f"- {len(parts.relicensed) - SHOWN} more licences changed\n"


def _licence(text: str) -> str:
    return code(text[:80]) if text else "none named"


def _fleets(plan: Plan) -> Iterator[str]:
    fleets = plan.channel.policy.fleets
    if not fleets:
        yield "The channel has no fleets: no instance is replaced.\n"
        return
    yield row(("fleet", "account", "region", "silo", "groups", "instances"))
    yield "|---|---|---|---|---|---:|\n"
    for fleet in fleets:
        count = plan.count(fleet)
        yield row(
            (
                plain(fleet.name),
                fleet.account or "that which publishes",
                fleet.region,
                plain(fleet.silo),
                _some(fleet.groups),
                count.text,
            )
        )
    yield f"\n{plan.total} instances in all.\n"
    for why in sorted({count.why for count in map(plan.count, fleets) if count.why}):
        yield f"Not known: {plain(why)}\n"


def _back(change: Change) -> Iterator[str]:
    image, channel = change.channel.image, change.channel
    yield "This stops every launch of it at once, in every channel:\n\n"
    yield f"```\n./inv hold {change.digest} --why=...\n```\n\n"
    if not channel.digest:
        yield "The channel had no image before this one: there is none to go back to.\n"
        return
    yield (
        f"This proposes the image that is there now ({code(short(channel.digest))}); it is "
        "recorded as approved, and needs no soak:\n\n"
        f"```\n./inv propose {channel.name} --image={image} --digest={channel.digest}\n```\n"
    )


def _some(names: Iterable[str]) -> str:
    rows: Sequence[str] = sorted(names)
    return plain(some([name[:120] for name in rows], shown=SHOWN))
