"""Owns a cloud inside this process: goldpress/aws works on it as on AWS, and time costs nothing.

    cloud = InProcessCloud(settings=Settings(models={...}), start=1_700_000_000)
    place = cloud.place("111111111111", "us-east-1")
    place.add_image("ami-a"); place.add_group("web", image="ami-a", desired=40)
    access = cloud.access("111111111111")     # an Access for goldpress.aws
    cloud.advance(900)                        # a quarter of an hour passes, event by event

Requests are checked by botocore's ParamValidator; refusals are botocore's ClientError. `faults`
fail calls on demand, `calls` has every one, `kill` ends the caller at one of them, `observers` are
told of each before it is carried out. What a simulation does beside the client's calls it schedules
with `at` and `every`; `watchers` see the cloud after each moment in which something happened.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name  # noqa: TID251 - the names of boto3's methods
from botocore.exceptions import ClientError, ParamValidationError  # noqa: TID251

from goldpress.aws.client import BUSY_ATTEMPTS, CONNECTIONS, Access
from goldpress.emulator.scaling.errors import ScalingError
from goldpress.emulator.scaling.requests import model, well_formed
from goldpress.emulator.scaling.world import NEVER
from goldpress.emulator.settings import Settings
from goldpress.emulator.simulated.place import Place
from goldpress.emulator.simulated.services import SERVICES
from goldpress.errors import CloudError

#: What botocore tries again by itself: [D] "Retries", the standard mode.
RETRIED = frozenset(
    {
        "Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled",
        "TooManyRequestsException", "SlowDown", "InternalError", "InternalFailure",
        "ServiceUnavailable", "Unavailable", "RequestTimeout",
    }
)  # fmt: skip
READS = ("Describe", "Get", "List", "Head", "Lookup")
WAYS = ("instead", "after")
BEAT_SECONDS = 60.0


class Death(BaseException):
    """The caller is killed at this call: no `except Exception` may save it."""


@dataclass(kw_only=True)
class VirtualClock:
    """Unix time in seconds that goes on only when the cloud says so."""

    at: float = 1_700_000_000.0

    def now(self) -> float:
        """Unix time in seconds."""
        return self.at

    def utc(self) -> dt.datetime:
        """The same as a date."""
        return dt.datetime.fromtimestamp(self.at, tz=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call. `outcome` is empty, or the error's code; `request` is the client's own object."""

    number: int
    at: float
    account: str
    region: str
    service: str
    operation: str
    request: dict[str, Any]
    outcome: str = ""

    @property
    def writes(self) -> bool:
        """Whether it may have changed something."""
        return not self.operation.startswith(READS) and self.service != "sts"


@dataclass(kw_only=True)
class Fault:
    """Calls that fail: what is empty meets all. `times` 0 is for ever, `rate` a share of them.

    `way` is "instead" of the call, or "after" it (done, but the answer is lost). A `code` of
    RETRIED is tried again by the client, as botocore does.
    """

    service: str = ""
    operation: str = ""
    account: str = ""
    region: str = ""
    code: str = "Throttling"
    message: str = "Rate exceeded"
    times: int = 1
    rate: float = 1.0
    way: str = "instead"
    used: int = 0

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ValueError(f"way {self.way!r} is none of {WAYS}")

    def meets(self, place: Place, service: str, operation: str) -> bool:
        """Whether this call may fail by it."""
        return (
            (not self.times or self.used < self.times)
            and self.service in {"", service}
            and self.operation in {"", operation}
            and self.account in {"", place.account}
            and self.region in {"", place.region}
        )


@dataclass(kw_only=True)
class Recurring:
    """Something that the simulation does at times: an autoscaler, weather, a person."""

    act: Callable[[], None]
    every: float = 0.0


@dataclass(kw_only=True, eq=False)
class InProcessCloud:
    """The cloud. `grain` is how finely time is cut, in seconds: what is due within is one moment.

    `kill` is at which call, counted from 0, the caller dies: before the call, or `kill_after` it.
    """

    settings: Settings = field(default_factory=Settings)
    start: float = 1_700_000_000.0
    grain: float = 1.0
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kill: int | None = None
    kill_after: bool = False
    attempts: int = BUSY_ATTEMPTS
    watchers: list[Callable[[InProcessCloud], None]] = field(default_factory=list)
    observers: list[Callable[[Call], None]] = field(default_factory=list)
    clock: VirtualClock = field(init=False)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    chance: random.Random = field(init=False)
    _agenda: list[tuple[float, int, Place | Recurring]] = field(default_factory=list)
    _due: dict[int, float] = field(default_factory=dict)
    _counter: itertools.count[int] = field(default_factory=itertools.count)
    _clients: dict[tuple[str, str, str], InProcessClient] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(at=self.start)
        self.chance = random.Random(self.settings.seed)  # noqa: S311 - a simulation

    def place(self, account: str, region: str) -> Place:
        """An account's region; made when it is first asked for."""
        found = self.places.get((account, region))
        if found is None:
            found = Place(account=account, region=region, clock=self.clock, settings=self.settings)
            self.places[account, region] = found
        return found

    def access(self, account: str) -> InProcessAccess:
        """Who calls as this account."""
        return InProcessAccess(cloud=self, account=account)

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do something at this time (Unix seconds)."""
        heapq.heappush(self._agenda, (when, next(self._counter), Recurring(act=act)))

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something from now on, each time after so many seconds."""
        item = Recurring(act=act, every=seconds)
        heapq.heappush(self._agenda, (self.clock.at + seconds, next(self._counter), item))

    def traffic(self) -> None:
        """Let the target groups' requests be counted every minute from now on."""
        self.every(BEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        for place in self.places.values():
            place.beat()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(self.clock.at + seconds)

    def run_until(self, when: float) -> None:
        """Let time pass until then, moment by moment."""
        for place in self.places.values():
            self._plan(place)
        while (due := self._next()) <= when:
            # All that is due within a grain is one moment, at its end.
            moment = min(max(due, -(-due // self.grain) * self.grain), when)
            self.clock.at = max(moment, self.clock.at)
            self._moment()
        self.clock.at = max(when, self.clock.at)

    def _next(self) -> float:
        while self._agenda:
            at, _, item = self._agenda[0]
            if isinstance(item, Recurring) or self._due.get(id(item)) == at:
                return at
            heapq.heappop(self._agenda)
        return NEVER

    def _moment(self) -> None:
        now = self.clock.at
        while self._next() <= now:
            at, _, item = heapq.heappop(self._agenda)
            if isinstance(item, Recurring):
                item.act()
                if item.every:
                    heapq.heappush(self._agenda, (at + item.every, next(self._counter), item))
                for place in self.places.values():
                    self._plan(place)
            else:
                self._due.pop(id(item), None)
                item.scaling.settle()
                self._plan(item)
        for watcher in self.watchers:
            watcher(self)

    def _plan(self, place: Place) -> None:
        at = place.scaling.next_time
        if at < NEVER and self._due.get(id(place)) != at:
            self._due[id(place)] = at
            heapq.heappush(self._agenda, (at, next(self._counter), place))

    def client(self, account: str, service: str, region: str) -> InProcessClient:
        """A client of an account's region. Raises CloudError for a service that is not here."""
        found = self._clients.get((account, service, region))
        if found is None:
            if service not in SERVICES:
                raise CloudError(f"the cloud inside this process has no service {service}")
            found = InProcessClient(self, self.place(account, region), service)
            self._clients[account, service, region] = found
        return found

    def call(self, place: Place, service: str, operation: str, request: dict[str, Any]) -> Any:
        """Answer one call of a client, which tries again as botocore does. Raises ClientError."""
        try:
            well_formed(service, operation, request)
        except ValueError as error:
            raise ParamValidationError(report=str(error)) from error
        for attempt in itertools.count(1):
            try:
                return self._once(place, service, operation, request)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in RETRIED or attempt == self.attempts:
                    raise
        raise AssertionError("unreachable")

    def _once(self, place: Place, service: str, operation: str, request: dict[str, Any]) -> Any:
        number = len(self.calls)
        if self.kill == number and not self.kill_after:
            raise Death(f"killed before call {number}, {service}:{operation}")
        for observer in self.observers:
            observer(
                Call(
                    number=number, at=self.clock.at, account=place.account, region=place.region,
                    service=service, operation=operation, request=request,
                )
            )  # fmt: skip
        fault = self._chosen(place, service, operation)
        refusal: ScalingError | None = None
        answer = None
        try:
            if fault is None or fault.way == "after":
                answer = SERVICES[service][operation](place, request)
        except ScalingError as error:
            refusal = error
        if fault is not None:
            refusal = ScalingError(fault.code, fault.message)
        self._plan(place)
        outcome = refusal.code if refusal else ""
        self.calls.append(
            Call(
                number=number, at=self.clock.at, account=place.account, region=place.region,
                service=service, operation=operation, request=request, outcome=outcome,
            )
        )  # fmt: skip
        if self.kill == number:
            raise Death(f"killed after call {number}, {service}:{operation}")
        if refusal is not None:
            raise _client_error(refusal, operation)
        return answer

    def _chosen(self, place: Place, service: str, operation: str) -> Fault | None:
        for fault in self.faults:
            if fault.meets(place, service, operation) and self.chance.random() < fault.rate:
                fault.used += 1
                return fault
        return None


def _client_error(error: ScalingError, operation: str) -> ClientError:
    told: Any = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status},
    }
    return ClientError(told, operation)


class _Exceptions:
    """What `client.exceptions` has."""

    ClientError = ClientError


@dataclass(frozen=True, kw_only=True)
class _Meta:
    """What `client.meta` has."""

    region_name: str
    endpoint_url: str = "inprocess:"


class InProcessClient:
    """What boto3's client is for the code above it: a method for each operation that is here."""

    exceptions = _Exceptions

    def __init__(self, cloud: InProcessCloud, place: Place, service: str) -> None:
        self.meta = _Meta(region_name=place.region)
        names = {xform_name(name): name for name in SERVICES[service]}
        known = {xform_name(name) for name in model(service).operation_names}

        def method(operation: str) -> Callable[..., Any]:
            return lambda **request: cloud.call(place, service, operation, request)

        for name, operation in names.items():
            setattr(self, name, method(operation))
        self._service, self._lacking = service, known - set(names)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_lacking", ()):
            raise NotImplementedError(
                f"the cloud inside this process has no {self._service}:{name}: add it to "
                "goldpress.emulator.simulated.services"
            )
        raise AttributeError(name)


@dataclass(frozen=True, kw_only=True)
class InProcessAccess(Access):
    """An `Access` to a cloud inside this process, as one of its accounts."""

    cloud: InProcessCloud
    account: str

    def client(self, service: str, region: str, *, connections: int = CONNECTIONS) -> Any:
        """A client of `service`. Raises CloudError for one that is not here."""
        del connections
        return self.cloud.client(self.account, service, region)

    def credentials(self, region: str) -> Any:
        """Raises CloudError: nothing is signed here."""
        raise CloudError(f"the cloud inside this process has no credentials for {region}")

    @property
    def emulated(self) -> bool:
        """It is no AWS."""
        return True


def writes(calls: Iterable[Call]) -> tuple[Call, ...]:
    """The calls that changed something, or were to."""
    return tuple(call for call in calls if call.writes and not call.outcome)
