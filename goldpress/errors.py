"""Owns the error tree: what failed, on what, and what to do next.

    GoldpressError
    ├── DocumentError     a file people or machines wrote cannot be used
    ├── MissingError      something that has to be there first is not
    ├── TrustError        bytes, signatures or identities are not what was locked
    ├── ConflictError     someone else was first; look again
    ├── CloudError        AWS refused a call, or did not answer
    ├── GitHubError       GitHub refused a call, or did not answer
    ├── PromotionError    a rule of promotion refuses it
    ├── RollError         a roll cannot go on without a person
    ├── ResolveError      a package request cannot be satisfied
    ├── CommandError      a host program failed
    ├── BuildError        a stage could not make its product
    ├── MachineError      a machine did not come up, or stopped answering
    └── VerifyError       a check failed, or did not run

Only a task turns one into an exit status.
"""

from __future__ import annotations


class GoldpressError(Exception):
    """What failed in one line, with an optional hint of what to do next in another.

    What could not be cleaned up afterwards follows: its notes.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        notes: list[str] = getattr(self, "__notes__", [])
        return "\n  ".join([self.message, *([self.hint] if self.hint else []), *notes])


class DocumentError(GoldpressError):
    """A document cannot be parsed or contradicts itself; the message names file and path."""


class MissingError(GoldpressError):
    """A prerequisite (lock, mirror, snapshot, host program) is not there."""


class TrustError(GoldpressError):
    """Bytes, signatures or identities differ from what was locked or allowed."""


class ConflictError(GoldpressError):
    """Someone else changed it in the meantime: look again at what it is now."""


class CloudError(GoldpressError):
    """AWS refused a call, or did not answer."""


class GitHubError(GoldpressError):
    """GitHub refused a call (with this HTTP status), or did not answer (0)."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class PromotionError(GoldpressError):
    """A promotion is refused; the message begins with the rule's name."""

    def __init__(self, rule: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{rule}: {message}", hint=hint)
        self.rule = rule


class RollError(GoldpressError):
    """A roll cannot go on before a person did something; the hint says what."""


class ResolveError(GoldpressError):
    """A package request cannot be satisfied by the snapshot."""


class CommandError(GoldpressError):
    """A host program exited with a failure."""


class BuildError(GoldpressError):
    """A stage could not make its product."""


class MachineError(GoldpressError):
    """A machine did not come up, or stopped answering."""


class VerifyError(GoldpressError):
    """A check failed, was skipped, or could not run; none of these is a pass."""
