"""Owns holds: signed records that an image digest must not be launched, in force at once.

    documents/hold/<64 hex>.json   one record: an envelope around a statement about the digest
    ledger/hold.json               the records of each digest, by the image digest, in their order

Each record names the one before it, so that the newest one tells all: a record that somebody took
out of the middle, or put in, is noticed. Whatever cannot be read or trusted is an error, and every
task that asks stops: that nobody knows whether a digest is held is no leave to launch it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from goldpress.digest import short
from goldpress.errors import ConflictError, DocumentError, PromotionError, TrustError
from goldpress.manifest import ImageManifest, parse_manifest
from goldpress.statements.envelope import opened, sign
from goldpress.statements.signing import Signer, signer_for, trust_here
from goldpress.statements.statement import HOLD, Statement
from goldpress.statements.trust import Trust
from goldpress.store import Store
from goldpress.workspace import Workspace

KIND = "hold"
RULE = "not-held"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_WHY_LENGTH = 300

Act = Literal["hold", "release"]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One record: a digest is held, or no longer; `at` is UTC, `after` the record before or "".

    `by` is the key that signed it, as trust.yaml calls it.
    """

    image: str
    act: Act
    why: str
    at: str
    after: str
    by: str

    def document(self) -> dict[str, Any]:
        """For `tasks.py` to print."""
        return asdict(self)

    def predicate(self) -> dict[str, Any]:
        """What is signed about the image."""
        return {key: value for key, value in asdict(self).items() if key not in {"image", "by"}}


def hold(store: Store, trust: Trust, digest: str, *, why: str, signer: Signer) -> Hold:
    """Hold a digest, from now on for everyone; one that is held already stays so, as it is.

    Raises DocumentError for a bad digest or reason, TrustError when the signer may not, or the
    records of the digest cannot be trusted; ConflictError when someone else was first.
    """
    found = held(store, trust, digest)
    return found or _record(store, trust, digest, act="hold", why=why, signer=signer)


def release(store: Store, trust: Trust, digest: str, *, why: str, signer: Signer) -> Hold:
    """End a hold. Raises as `hold`; ConflictError, too, when the digest is not held."""
    if held(store, trust, digest) is None:
        raise ConflictError(f"{short(digest)} is not held: there is nothing to release")
    return _record(store, trust, digest, act="release", why=why, signer=signer)


def hold_here(ws: Workspace, digest: str, why: str) -> Hold:
    """Hold a digest by the key that signs here. Raises as `hold`, MissingError without a key."""
    signer = _signer(ws, digest)
    return hold(ws.store, trust_here(ws), digest, why=why, signer=signer)


def release_here(ws: Workspace, digest: str, why: str) -> Hold:
    """End a hold by the key that signs here. Raises as `release`, MissingError without a key."""
    signer = _signer(ws, digest)
    return release(ws.store, trust_here(ws), digest, why=why, signer=signer)


def _signer(ws: Workspace, digest: str) -> Signer:
    """Who signs about this image here. Raises MissingError."""
    return signer_for(ws, stand_in=_manifest(ws.store, digest).stand_in)


def held(store: Store, trust: Trust, digest: str) -> Hold | None:
    """The hold in force on a digest, or None. Raises TrustError for a record that is not good."""
    last = (*history(store, trust, digest), None)[-2:][0]
    return last if last is not None and last.act == "hold" else None


def history(store: Store, trust: Trust, digest: str) -> tuple[Hold, ...]:
    """Every record of a digest, oldest first. Raises DocumentError, TrustError, MissingError."""
    records: list[Hold] = []
    before = ""
    for entry in store.history(KIND, _checked(digest)):
        record = _read(store, trust, digest, entry.digest)
        if record.after != before:
            raise TrustError(
                f"{RULE}: record {short(entry.digest)} about {short(digest)} follows "
                f"{short(record.after) or 'none'}, not {short(before) or 'none'}",
                hint="someone changed ledger/hold.json: find out who, and restore it",
            )
        records.append(record)
        before = entry.digest
    return tuple(records)


def refuse_held(store: Store, trust: Trust, digest: str) -> None:
    """Raises PromotionError (`not-held`) for a held digest; to be called before any launch."""
    found = held(store, trust, digest)
    if found is not None:
        raise PromotionError(
            RULE,
            f"{digest} is held since {found.at} by {found.by}: {found.why}",
            hint=f"take another image, or end it: `./inv release {digest} --why=...`",
        )


def refuse_launch(ws: Workspace, digest: str) -> None:
    """The same for every task that is about to launch a digest, wherever that is.

    Who is believed is only asked where there is a record. Raises as `refuse_held`.
    """
    if ws.store.history(KIND, _checked(digest)):
        refuse_held(ws.store, trust_here(ws), digest)


def all_held(store: Store, trust: Trust) -> tuple[Hold, ...]:
    """Every hold in force, by digest. Raises as `history`."""
    found = (held(store, trust, digest) for digest in store.names(KIND))
    return tuple(row for row in found if row is not None)


def parse_hold(value: Mapping[str, Any], *, image: str, by: str) -> Hold:
    """A record from what was signed. Raises DocumentError for anything else."""
    where = f"a hold of {short(image)}"
    if set(value) != {"act", "why", "at", "after"}:
        raise DocumentError(f"{where}: expected act, why, at and after, not {sorted(value)}")
    if value["act"] not in {"hold", "release"}:
        raise DocumentError(f"{where}: act: expected hold or release")
    if not isinstance(value["at"], str) or not _TIME.fullmatch(value["at"]):
        raise DocumentError(f"{where}: at: expected a time in UTC")
    after = value["after"]
    if after != "" and not (isinstance(after, str) and _DIGEST.fullmatch(after)):
        raise DocumentError(f"{where}: after: expected a digest or nothing")
    return Hold(
        image=image, act=value["act"], why=_reason(value["why"]), at=value["at"], after=after, by=by
    )


def _record(store: Store, trust: Trust, digest: str, *, act: Act, why: str, signer: Signer) -> Hold:
    past = store.history(KIND, _checked(digest))
    after = past[-1].digest if past else ""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    wanted = Hold(image=digest, act=act, why=_reason(why), at=moment, after=after, by="")
    statement = Statement(image=digest, predicate_type=HOLD, predicate=wanted.predicate())
    envelope = sign(statement, signer)
    document = store.put_document(KIND, envelope.to_document())
    # Read back as everyone will: a signer that may not hold is told before it is in force.
    record = _read(store, trust, digest, document)
    store.append(KIND, digest, document, after=after or None)
    return record


def _read(store: Store, trust: Trust, digest: str, document: str) -> Hold:
    stand_in = _manifest(store, digest).stand_in
    found = opened(store.document(KIND, document), trust, "hold", image=digest, stand_in=stand_in)
    return parse_hold(found.predicate, image=digest, by=found.by)


def _manifest(store: Store, digest: str) -> ImageManifest:
    return parse_manifest(store.get_document("manifest", _checked(digest)))


def _reason(why: Any) -> str:
    text = " ".join(why.split()) if isinstance(why, str) else ""
    if not text or len(text) > _WHY_LENGTH or not text.isprintable():
        raise DocumentError(f"--why: a reason of 1 to {_WHY_LENGTH} characters is needed")
    return text


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise DocumentError(f"{digest!r} is not an image digest", hint="sha256: and 64 hex digits")
    return digest
