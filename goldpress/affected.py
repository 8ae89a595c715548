"""Owns what a CVE affects: images, the channels that have them, the instances that run them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from goldpress import ami as amis
from goldpress import looking
from goldpress.ami import Ami
from goldpress.aws.running import Running
from goldpress.channel import Channel, load_channels
from goldpress.digest import short
from goldpress.errors import CloudError, DocumentError, MissingError
from goldpress.lock import Lock
from goldpress.looking import View
from goldpress.mirror.difference.carriers import Carrier, Word, word
from goldpress.mirror.roots import IMAGE
from goldpress.mirror.snapshot import Snapshot, newest_snapshot
from goldpress.promotion import record
from goldpress.promotion.gathered import lock_of
from goldpress.statements.chain import chain
from goldpress.statements.signing import trust_here
from goldpress.statements.trust import Trust
from goldpress.upkeep.comparison import errata
from goldpress.workspace import Workspace

CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,10}")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance that runs an affected image."""

    id: str
    account: str
    region: str
    ami: str
    group: str


@dataclass(frozen=True, kw_only=True)
class ImageState:
    """One image. `channels` have it in force; `unknown` tells why nothing can be said of it."""

    name: str
    digest: str
    pressed: str
    channels: tuple[str, ...]
    carriers: tuple[Carrier, ...] = ()
    unknown: str = ""
    instances: tuple[Instance, ...] = ()

    @property
    def carries(self) -> tuple[Carrier, ...]:
        """The packages that carry the CVE."""
        return tuple(row for row in self.carriers if row.carries)


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What is known about one CVE.

    `consulted` are the distributions whose advisories were asked, `blind` what could not be seen.
    `is_named` is false when nothing in the mirror names the CVE at all.
    """

    cve: str
    images: tuple[ImageState, ...]
    is_named: bool
    consulted: tuple[str, ...]
    blind: tuple[str, ...] = field(default=())

    @property
    def carrying(self) -> tuple[ImageState, ...]:
        """The images that carry it."""
        return tuple(row for row in self.images if row.carries)

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return {
            "cve": self.cve,
            "named_by_the_mirror": self.is_named,
            "advisories_of": list(self.consulted),
            "images": [{**asdict(row), "carries": bool(row.carries)} for row in self.images],
            "not_seen": list(self.blind),
        }

    def failure(self) -> CloudError | None:
        """The error to end with when not everything could be looked at."""
        if not self.blind:
            return None
        told = "".join(f"\n  {row}" for row in self.blind)
        return CloudError(f"more instances may run an affected image; not looked at:{told}")


def affected(ws: Workspace, cve: str, *, endpoint: str = "") -> Affected:
    """What carries a CVE: every image that is kept, its channels, its instances.

    Raises DocumentError for what is no CVE id, MissingError when nothing was synced, TrustError
    for metadata that cannot be read.
    """
    if not CVE.fullmatch(cve):
        raise DocumentError(f"{cve!r} is not the id of a CVE", hint="such as CVE-2026-12345")
    trust = trust_here(ws)
    channels = load_channels(ws.project)
    in_force = _in_force(ws, trust, channels)
    rows = list(_images(ws, trust, in_force))
    locks = {lock.digest: lock for _, lock in rows if lock is not None}
    words = dict(_words(ws, cve, locks.values()))
    judged = {
        digest: words[_kind(lock)].carriers(lock.packages, _snapshots(ws, lock))
        for digest, lock in locks.items()
    }
    images = [
        ImageState(**{**vars(row), "carriers": judged[lock.digest]}) if lock else row
        for row, lock in rows
    ]
    seen, blind = _instances(ws, channels, [row for row in images if row.carries], endpoint)
    return Affected(
        cve=cve,
        images=tuple(
            ImageState(**{**vars(row), "instances": tuple(seen.get(row.digest, ()))})
            for row in images
        ),
        is_named=any(found.is_named for found in words.values()),
        consulted=tuple(dict.fromkeys(n for found in words.values() for n in found.consulted)),
        blind=tuple(dict.fromkeys(blind)),
    )


def _in_force(
    ws: Workspace, trust: Trust, channels: Iterable[Channel]
) -> Mapping[str, tuple[str, ...]]:
    """The channels, ``image/channel``, that have a digest in force."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for channel in channels:
        promotion = record.current(ws.store, trust, channel.image, channel.name)
        if promotion is not None:
            found[promotion.digest].append(record.series(channel.image, channel.name))
    return {digest: tuple(names) for digest, names in found.items()}


def _images(
    ws: Workspace, trust: Trust, in_force: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[ImageState, Lock | None]]:
    """Every image that was not forgotten, and its lock where that is known."""
    for series in ws.store.names(IMAGE):
        for entry in ws.store.history(IMAGE, series):
            row = ImageState(
                name=series,
                digest=entry.digest,
                pressed=entry.at,
                channels=in_force.get(entry.digest, ()),
            )
            try:
                yield row, lock_of(ws.store, chain(ws.store, entry.digest, trust))
            except (MissingError, DocumentError) as error:
                yield ImageState(**{**vars(row), "unknown": error.message}), None


def _kind(lock: Lock) -> tuple[str, ...]:
    """What decides which part of the mirror is asked about a lock's packages."""
    return (lock.arch, *sorted(lock.snapshots))


def _words(
    ws: Workspace, cve: str, locks: Iterable[Lock]
) -> Iterator[tuple[tuple[str, ...], Word]]:
    """What the mirror says, once for all locks of the same distributions."""
    groups: defaultdict[tuple[str, ...], list[Lock]] = defaultdict(list)
    for lock in locks:
        groups[_kind(lock)].append(lock)
    for kind, rows in groups.items():
        arch, *distributions = kind
        older = {s.digest: s for lock in rows for s in _snapshots(ws, lock)}
        yield (
            kind,
            word(
                ws.store,
                cve,
                (package.name for lock in rows for package in lock.packages),
                newest=[newest_snapshot(ws.store, name, arch) for name in distributions],
                errata=errata(ws, distributions, arch),
                older=list(older.values()),
            ),
        )


def _snapshots(ws: Workspace, lock: Lock) -> list[Snapshot]:
    """The snapshots that a lock is from, as far as gc has left them."""
    found = []
    for digest in lock.snapshots.values():
        try:
            found.append(Snapshot.read(ws.store, digest))
        except MissingError:
            continue
    return found


def _instances(
    ws: Workspace, channels: Sequence[Channel], images: Sequence[ImageState], endpoint: str
) -> tuple[dict[str, list[Instance]], list[str]]:
    """Instances by the digest that they run, and what could not be looked at."""
    wanted = {row.digest for row in images}
    by_image: defaultdict[str, list[Ami]] = defaultdict(list)
    for series in ws.store.names(amis.KIND):
        for ami in amis.newest_first(ws.store, series):
            if ami.image in wanted:
                by_image[ami.name].append(ami)
    found: defaultdict[str, list[Instance]] = defaultdict(list)
    blind: list[str] = []
    for name, rows in by_image.items():
        try:
            access = looking.publisher(ws, name, endpoint=endpoint)
        except MissingError as error:
            blind.append(f"{name}: {error.message}")
            continue
        here = {ami.ami: ami for ami in rows if ami.emulated == access.emulated}
        regions = sorted({ami.region for ami in here.values()})
        for view in looking.views(name, regions, channels, access=access):
            try:
                runs = view.runs().of_images(here)
            except CloudError as error:
                blind.append(error.message)
                continue
            for run in runs:
                if not run.ended:
                    found[here[run.ami].image].append(_instance(view, run))
    return found, blind


def _instance(view: View, run: Running) -> Instance:
    return Instance(
        id=run.id, account=view.account, region=view.region, ami=run.ami, group=run.group
    )


def table(found: Affected) -> RenderableType:
    """It for a terminal."""
    shown = Table(title=found.cve, title_justify="left", pad_edge=False)
    for name in ("image", "digest", "channels", "package", "has", "fixed in", "by", "instances"):
        shown.add_column(name, overflow="fold")
    for row in found.images:
        for cells in _cells(row):
            shown.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    parts: list[RenderableType] = [shown]
    if not found.is_named:
        parts.append(
            Text(
                f"nothing in the mirror names {found.cve}: neither a changelog nor an advisory of "
                f"{', '.join(found.consulted) or 'any distribution'}; that is no sign that nothing "
                "carries it",
                style="bold",
            )
        )
    parts += [Text(f"not looked at: {why}", style="bold red") for why in found.blind]
    return Group(*parts)


def _cells(row: ImageState) -> Iterator[tuple[str | Text, ...]]:
    head = (row.name, short(row.digest), "\n".join(row.channels))
    if row.unknown:
        yield (*head, Text(f"not known: {row.unknown}", style="bold"), "", "", "", "")
        return
    groups: defaultdict[tuple[object, ...], list[Carrier]] = defaultdict(list)
    for carrier in row.carriers:
        groups[carrier.source, carrier.carries, carrier.evr].append(carrier)
    instances = "\n".join(f"{i.id} {i.account}/{i.region}" for i in row.instances)
    first = True
    for rows in groups.values():
        one = rows[0]
        names = ", ".join(carrier.name for carrier in rows)
        likely = "" if one.sure else " (likely)"
        fix: str | Text = one.fix or Text("no fix in the mirror yet", style="bold red")
        state = fix if one.carries else Text("it is fixed", style="green")
        lead = (*head,) if first else ("", "", "")
        yield (
            *lead,
            names,
            one.evr,
            state,
            f"{', '.join(one.by)}{likely}",
            instances if first else "",
        )
        first = False
    if first:
        yield (*head, "none that is named", "", "", "", "")
