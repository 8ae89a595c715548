"""Owns an instance's states in time: pending, running, its status checks, and its end."""

from __future__ import annotations

from dataclasses import dataclass

from moto.ec2.models.instances import InstanceState, StateReason

from goldpress.emulator.world import World

#: [M] InstanceState: the low byte of the code.
CODES = {
    "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64,
    "stopped": 80,
}  # fmt: skip
#: [M] InstanceStatusDetails: what a check says, by the summary's status.
DETAILS = {"ok": "passed", "impaired": "failed", "initializing": "initializing"}
CONSOLE_BYTES = 64 * 1024  # [M] GetConsoleOutput: "the most recent 64 KB"


@dataclass(kw_only=True)
class Life:
    """One instance from its launch on. Times are seconds of the cloud's clock."""

    world: World
    launched: float
    ended: float | None = None
    stopped: float | None = None
    failure: str = ""

    def reachable(self) -> bool:
        """Whether the machine answers now."""
        raise NotImplementedError

    def console(self) -> bytes:
        """Everything on its serial console so far."""
        raise NotImplementedError

    def release(self, *, at_once: bool = False) -> None:
        """The instance ends: so does whatever runs for it, `at_once` without being asked."""

    def released(self) -> bool:
        """Whether nothing runs for it any more, once it was told to end."""
        return True

    def gone(self) -> str:
        """Why it ended or stopped by itself; empty while it did not."""
        return self.failure

    @property
    def state(self) -> str:
        """The instance's state now."""
        now, settings = self.world.clock.now(), self.world.settings
        if self.ended is not None:
            over = now >= self.ended + settings.shutting_down_seconds
            return "terminated" if over and self.released() else "shutting-down"
        if self.failure:
            return "terminated"
        if self.stopped is not None:
            over = now >= self.stopped + settings.shutting_down_seconds
            return "stopped" if over else "stopping"
        if now < self.launched + settings.pending_seconds:
            return "pending"
        return "stopped" if self.gone() else "running"

    @property
    def status(self) -> str:
        """The summary of its checks: ``initializing``, ``ok``, ``impaired``; only while running."""
        if self.state != "running":
            return "not-applicable"
        if self.reachable():
            return "ok"
        age = self.world.clock.now() - self.launched
        return "initializing" if age < self.world.settings.impaired_seconds else "impaired"

    def end(self, *, at_once: bool = False) -> None:
        """TerminateInstances; `at_once` is its SkipOsShutdown."""
        first = self.ended is None
        if first:
            self.ended = self.world.clock.now()
        if first or at_once:
            self.release(at_once=at_once)

    def posted_console(self, *, latest: bool) -> bytes:
        """What GetConsoleOutput has: its last part, without `latest` only after a while."""
        age = self.world.clock.now() - self.launched
        if not latest and age < self.world.settings.console_seconds:
            return b""
        return self.console()[-CONSOLE_BYTES:]

    def moto_state(self) -> InstanceState:
        """The state as moto has it."""
        name = self.state
        return InstanceState(name, CODES[name])

    def reason(self) -> StateReason:
        """Why it is not running, as DescribeInstances tells."""
        if self.failure:
            return StateReason(f"Server.InternalError: {self.failure}", "Server.InternalError")
        if self.ended is not None or self.stopped is not None:
            code = "Client.UserInitiatedShutdown"
            return StateReason(f"{code}: User initiated shutdown", code)
        if self.gone():
            code = "Client.InstanceInitiatedShutdown"
            return StateReason(f"{code}: Instance initiated shutdown", code)
        return StateReason()


def summary(status: str) -> dict[str, object]:
    """[M] InstanceStatusSummary."""
    if status == "not-applicable":
        return {"Status": status}
    return {"Status": status, "Details": [{"Name": "reachability", "Status": DETAILS[status]}]}
