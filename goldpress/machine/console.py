"""Owns reading a machine's console: who it says it is, and whether its boot has failed."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")
FINGERPRINT = re.compile(
    r"goldpress-identity: ssh-host-key ssh-ed25519 (SHA256:[A-Za-z0-9+/]{43})(?![A-Za-z0-9+/=])"
)
FAILED_UNIT = re.compile(r"\[\s*FAILED\s*\] Failed to (?:start|mount|listen on) (.+?)\.?$")
UNIT_NAME = re.compile(r"^(\S+\.[a-z]+)(?: - .*)?$")
#: systemd shortens the line above to the console's width; this one follows it, with the name.
SEE_UNIT = re.compile(r"^See 'systemctl status (\S+?)' for details\.$")
IDENTITY_UNIT = re.compile(r"^goldpress-.*\.service$")
LOGIN_PROMPT = re.compile(r"^\S+ login: ?")
DENIAL = re.compile(r"avc: +denied .*")
TAIL_LINES = 15
DENIALS_SHOWN = 5

#: What ends a boot for good, and what it means. Tried on each line, also on an unfinished one:
#: a prompt has no line end.
FATAL = (
    (re.compile(r"Kernel panic"), "the kernel panicked"),
    (re.compile(r"^Shell>"), "the firmware found nothing to boot and opened its shell"),
    (re.compile(r"No bootable (?:device|option)"), "the firmware found nothing to boot"),
    (re.compile(r"dracut-initqueue.*timeout"), "the initrd did not find the root file system"),
    (
        re.compile(r"verity: \S+ metadata block \d+ is corrupted"),
        "the root's hash tree does not match its root hash",
    ),
    (re.compile(r"Dependency failed for sysroot\.mount"), "the root cannot be mounted"),
    (re.compile(r"Entering emergency mode|You are in emergency mode"), "it is in emergency mode"),
)


@dataclass(kw_only=True)
class Console:
    """A console log that is read as it grows; `update` takes what is new."""

    path: Path
    lines: list[str] = field(default_factory=list)
    position: int = 0
    rest: bytes = b""

    def update(self) -> None:
        """Read what was written since the last call; a missing file is an empty console."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.position)
                data = stream.read()
        except FileNotFoundError:
            return
        self.position += len(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        self.lines.extend(plain(row) for row in whole)

    @property
    def shown(self) -> list[str]:
        """Every line without terminal codes, the unfinished last one included."""
        last = plain(self.rest)
        return [*self.lines, last] if last else list(self.lines)

    def fingerprint(self) -> str | None:
        """The host key's fingerprint that the identity service printed last, or None."""
        for row in reversed(self.lines):
            if match := FINGERPRINT.search(row):
                return match.group(1)
        return None

    def fatal(self) -> str | None:
        """Why this boot cannot succeed any more, or None."""
        shown = self.shown
        for row in shown:
            for pattern, meaning in FATAL:
                if pattern.search(row):
                    return f"{meaning}: {row.strip()}"
        # Without a host key nobody gets in. The login prompt comes at the end of the start-up:
        # by then the console shows what else failed, which is often the cause.
        failed = [unit for unit in self.failed_units() if IDENTITY_UNIT.match(unit)]
        if failed and any(LOGIN_PROMPT.match(row) for row in shown):
            return f"it has no identity: {', '.join(failed)} failed"
        return None

    def failed_units(self) -> list[str]:
        """The units that systemd reported as failed, in order, each once."""
        found: dict[str, None] = {}
        shown = self.shown
        for row, following in itertools.pairwise([*shown, ""]):
            if match := FAILED_UNIT.search(row):
                text = match.group(1)
                name = SEE_UNIT.match(following) or UNIT_NAME.match(text)
                found[name.group(1) if name else text] = None
        return list(found)

    def denials(self) -> list[str]:
        """What SELinux denied before the audit daemon took the messages over."""
        return [match.group() for row in self.shown if (match := DENIAL.search(row))]

    def tail(self, count: int = TAIL_LINES) -> list[str]:
        """The last lines that say something."""
        return [row for row in self.shown if row.strip()][-count:]


def plain(raw: bytes) -> str:
    """One line as text, without terminal codes and carriage returns."""
    text = ESCAPES.sub("", raw.decode(errors="replace"))
    return "".join(c for c in text.replace("\r", "") if c == "\t" or c.isprintable()).rstrip()


def report(console: Console) -> str:
    """What to show of a console below an error: failures, last lines, where the log is."""
    units = console.failed_units()
    rows = [f"failed units: {', '.join(units)}"] if units else []
    if denials := console.denials():
        rows.append(f"SELinux denials on the console: {len(denials)}, the last:")
        rows += [f"  | {row}" for row in denials[-DENIALS_SHOWN:]]
        rows.append("its last lines:")
    tail = console.tail()
    rows += [f"  | {row}" for row in tail] if tail else ["  | (the console is empty)"]
    rows.append(f"the whole console: {console.path}")
    return "\n  ".join(rows)
