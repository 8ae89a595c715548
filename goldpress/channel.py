"""Owns channels: `images/<name>/channels/<channel>.yaml`, the digest in force and its terms.

A channel names one image digest, where it is to be available, and what a promotion to it asks for.
A promotion edits the line `image:` and nothing else, byte for byte; everything besides is policy,
and policy changes by other pull requests. Nothing here knows what a cloud has.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from goldpress.document import nearest, parse, parse_yaml, shown
from goldpress.errors import DocumentError, MissingError
from goldpress.terms import NONE, Freeze, Policy, Terms, contradictions

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: The path of a channel in the project: (image, channel).
PATH = re.compile(r"images/([a-z0-9][a-z0-9.-]*)/channels/([a-z0-9][a-z0-9-]*)\.yaml")
#: In the message of the commit that proposes; its value is the reason.
EXPEDITE = "Expedite"

_LINE = re.compile(rb"(?m)^image: (none|sha256:[0-9a-f]{64})\n")
_TRAILER = re.compile(rf"{EXPEDITE}: (\S.*)")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel of an image; `path` is relative to the project, `text` the file's bytes."""

    image: str
    name: str
    path: str
    policy: Policy
    text: bytes

    @property
    def digest(self) -> str:
        """The image digest in force (``sha256:...``); empty when nothing was promoted yet."""
        return "" if self.policy.image == NONE else self.policy.image

    def frozen(self, at: datetime) -> Freeze | None:
        """The freeze that this moment (aware) is in."""
        return next((row for row in self.policy.freeze if row.covers(at)), None)

    def terms(self, *, expedited: bool) -> Terms:
        """What a promotion has to meet. Raises DocumentError where none may be expedited."""
        policy = self.policy
        if not expedited:
            return Terms(
                soak_hours=policy.soak_hours, approvals=policy.approvals, during_freeze=False
            )
        if policy.expedite is None:
            raise DocumentError(
                f"{self.path}: expedite: this channel has no such rules",
                hint="propose it without --expedite, or add the rules by a pull request first",
            )
        return Terms(**policy.expedite.model_dump())


def channel_path(image: str, name: str) -> str:
    """The path of a channel, relative to the project. Raises DocumentError for no name of one."""
    path = f"images/{image}/channels/{name}.yaml"
    if not PATH.fullmatch(path):
        raise DocumentError(f"{name!r} of {image!r} is not the name of a channel")
    return path


def parse_channel(data: bytes, *, path: str) -> Channel:
    """The channel with these bytes, at this path of the project. Raises DocumentError."""
    named = PATH.fullmatch(path)
    if named is None:
        raise DocumentError(f"{path}: not the path of a channel: images/<name>/channels/...")
    policy = parse(Policy, parse_yaml(data, name=path), name=path)
    faults = list(contradictions(policy, named[2]))
    if faults:
        raise DocumentError("\n".join(f"{path}: {fault}" for fault in faults))
    if _digest_in(data, path) != policy.image:
        raise DocumentError(f"{path}: image: another line than `image: ...` decides")
    return Channel(image=named[1], name=named[2], path=path, policy=policy, text=data)


def load_channel(project: Path, image: str, name: str) -> Channel:
    """A channel of the work tree. Raises MissingError or DocumentError."""
    path = channel_path(image, name)
    try:
        return parse_channel((project / path).read_bytes(), path=path)
    except FileNotFoundError:
        known = [row.stem for row in (project / path).parent.glob("*.yaml")]
        raise MissingError(
            f"{shown(project / path)}: there is no such channel{nearest(name, known)}"
        ) from None


def load_channels(project: Path, name: str = "") -> tuple[Channel, ...]:
    """The channels of all images, or those called `name`, in order. Raises as `load_channel`."""
    paths = sorted(project.glob(f"images/*/channels/{name or '*'}.yaml"))
    return tuple(load_channel(project, path.parents[1].name, path.stem) for path in paths)


def edited(channel: Channel, digest: str) -> bytes:
    """The channel's file with this digest (empty: none) in force, and nothing else changed."""
    if digest and not DIGEST.fullmatch(digest):
        raise DocumentError(f"{digest!r} is not an image digest", hint="sha256: and 64 hex digits")
    line = f"image: {digest or NONE}\n".encode()
    lines = channel.text.splitlines(keepends=True)
    text = b"".join(line if row.startswith(b"image:") else row for row in lines)
    after = parse_channel(text, path=channel.path)
    if after.policy != channel.policy.model_copy(update={"image": digest or NONE}):
        raise AssertionError("an edit of one line changed the policy")
    return text


def only_image(before: bytes, after: bytes) -> bool:
    """Whether nothing but the value of the line `image:` differs, byte for byte."""
    old, new = (_LINE.sub(b"image:\n", text) for text in (before, after))
    return old == new and all(len(_lines(text)) == 1 for text in (before, after))


def changed_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    """The lines that differ, as a diff shows them: ``- old`` and ``+ new``."""
    old, new = ([_printable(row) for row in text.split(b"\n")] for text in (before, after))
    rows = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
    return tuple(f"{row[0]} {row[1:]}" for row in rows if not row.startswith("@@"))


def expedite_reason(message: str) -> str:
    """Why a commit's message asks to expedite it; empty when it does not."""
    for row in reversed(message.splitlines()):
        if found := _TRAILER.fullmatch(row.strip()):
            return found[1]
    return ""


def _printable(row: bytes) -> str:
    text = row.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(data: bytes) -> list[bytes]:
    return [row for row in data.splitlines(keepends=True) if row.startswith(b"image:")]


def _digest_in(data: bytes, path: str) -> str:
    """What the one line says, so that to edit the line is to edit the value."""
    rows = _lines(data)
    found = _LINE.fullmatch(rows[0]) if len(rows) == 1 else None
    if found is None:
        raise DocumentError(
            f"{path}: image: has to be one line: `image: sha256:...` or `image: {NONE}`",
            hint="without quotes, comment or spaces at its end, and with a newline",
        )
    return found[1].decode()
