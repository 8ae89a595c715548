"""Owns a fleet of tests: groups in a cloud inside this process, and a roll that is driven by hand.

Time passes only when a test lets it. What the roll's duties do beyond fleets is recorded, and they
use the same cloud: a canary is an instance of it, a pointer is a parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from goldpress.aws.errors import translated
from goldpress.aws.scaling import Group, Preferences, Refresh
from goldpress.digest import digest_of
from goldpress.emulator.inprocess import Call, InProcessCloud
from goldpress.emulator.settings import Model, Settings
from goldpress.errors import GoldpressError, VerifyError
from goldpress.fleet.driver import Driver
from goldpress.fleet.ending import Done, Ending, Person, Waiting
from goldpress.fleet.hands import Hands
from goldpress.fleet.journal import Pointer, RollJournal, RollState, begun
from goldpress.fleet.learning import Terms
from goldpress.fleet.look import Looking
from goldpress.fleet.place import Place
from goldpress.fleet.plan import GroupPlan, RollPlan, WaveGroup, WavePlan
from goldpress.replacement import Limits
from goldpress.store.directory import DirectoryObjects
from goldpress.terms import Gate

ACCOUNT, OTHER = "111111111111", "222222222222"
REGION, SECOND = "us-east-1", "eu-west-1"
OLD, NEW = "ami-0000000000000000a", "ami-0000000000000000b"
DIGEST, BEFORE = digest_of("new"), digest_of("old")
GATES: tuple[Gate, ...] = ("healthy",)
HOUR = 3600.0
TAG = "goldpress:launch"


@dataclass(kw_only=True)
class Named:
    """What a test says of a group."""

    name: str
    desired: int = 4
    region: str = REGION
    account: str = ACCOUNT
    behind: bool = True
    alarms: tuple[str, ...] = ()
    preferences: Preferences = field(default_factory=Preferences)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.account}/{self.region}/{self.name}"


def wave(
    name: str, *groups: Named, share: int = 100, soak: int = 0, gates: tuple[Gate, ...] = GATES
) -> WavePlan:
    rows = tuple(WaveGroup(key=row.key, share=share) for row in groups)
    return WavePlan(name=name, groups=rows, gates=gates, soak_minutes=soak)


@dataclass(kw_only=True)
class Recorded:
    """Duties of a roll; a message in `refuse` under the duty's name makes that duty fail."""

    fleet: Rolled
    refuse: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def _asked(self, what: str, told: str) -> None:
        self.done.append(told)
        if what in self.refuse:
            raise GoldpressError(self.refuse[what])

    def prove(self, group: GroupPlan, version: str, token: str) -> tuple[str, str]:
        client = self.fleet.client(group, "ec2")
        tags = [{"ResourceType": "instance", "Tags": [{"Key": TAG, "Value": token}]}]
        answer = client.run_instances(
            LaunchTemplate={"LaunchTemplateId": group.template, "Version": version},
            MinCount=1, MaxCount=1, ClientToken=token, TagSpecifications=tags,
        )  # fmt: skip
        instance = str(answer["Instances"][0]["InstanceId"])
        self.fleet.cloud.advance(240)
        machines = self.fleet.place(group).machines
        status, _ = machines.serves(instance, self.fleet.now())
        if status != 200:
            client.terminate_instances(InstanceIds=[instance])
            raise VerifyError(f"{instance}: /healthz answers {status}")
        return instance, digest_of(instance)

    def end(self, group: GroupPlan, token: str) -> None:
        client = self.fleet.client(group, "ec2")
        wanted = [{"Name": f"tag:{TAG}", "Values": [token]}]
        rows = client.describe_instances(Filters=wanted)["Reservations"]
        ids = [
            row["InstanceId"]
            for found in rows
            for row in found["Instances"]
            if row["State"]["Name"] not in {"terminated", "shutting-down"}
        ]
        if ids:
            client.terminate_instances(InstanceIds=ids)

    def sample(self, group: GroupPlan, instance: str) -> str:
        self._asked("sample", f"sample {group.group}")
        return digest_of(instance)

    def hold(self, why: str) -> str:
        self._asked("hold", f"hold {why}")
        return "held"

    def propose(self, why: str) -> str:
        del why
        self._asked("propose", "propose")
        return "branch goldpress/prod"

    def point(self, region: str, ami: str) -> None:
        self._asked(f"point {region}", f"point {region} {ami}")
        client = self.fleet.cloud.access(ACCOUNT).client("ssm", region)
        with translated(f"/p in {region}", service="ssm"):
            client.put_parameter(Name="/p", Value=ami, Type="String", Overwrite=True)


@dataclass(kw_only=True)
class Lease:
    """A lease that nobody else wants."""

    fence: int

    def renew(self) -> None:
        pass


@dataclass(kw_only=True)
class Rolled:
    """Groups of the old image, and a roll to the new one."""

    root: Path
    groups: tuple[Named, ...]
    waves: tuple[WavePlan, ...]
    model: Model = field(default_factory=Model)
    canary: bool = True
    limits: Limits = field(default_factory=Limits)
    ceiling: int = 1000
    at_once: int = 10
    requests: float = 600.0
    cloud: InProcessCloud = field(init=False)
    plan: RollPlan = field(init=False)
    duties: Recorded = field(init=False)
    terms: Terms = field(init=False)
    said: list[str] = field(default_factory=list)
    fence: int = 0

    def __post_init__(self) -> None:
        models = {"*": Model(), NEW: self.model}
        self.cloud = InProcessCloud(settings=Settings(driver="virtual", models=models))
        self.duties = Recorded(fleet=self)
        self.terms = Terms(limits=self.limits)
        rows = [self._group(row) for row in self.groups]
        self.cloud.traffic()
        self.plan = RollPlan(
            image="web", channel="prod", digest=DIGEST, previous=BEFORE,
            promotion="2026-01-01T00:00:00Z", emulated=True,
            canary=rows[0].key if self.canary else "", groups=tuple(rows), waves=self.waves,
            ceiling=self.ceiling, groups_at_once=self.at_once, calls_per_second=100,
        )  # fmt: skip
        self.cloud.advance(1800)
        self.journal().write(self.begun(), fence=0)
        self.cloud.calls.clear()

    def _group(self, named: Named) -> GroupPlan:
        place = self.cloud.place(named.account, named.region)
        for image in (OLD, NEW):
            place.add_image(image)
        arns = (place.add_target_group(named.name, requests=self.requests),) if named.behind else ()
        made = place.add_group(
            named.name, image=OLD, desired=named.desired, target_groups=arns,
            **{"least": 1, **named.extra},
        )  # fmt: skip
        del made
        found = self.group(named.key)
        return GroupPlan(
            fleet="shop", account=named.account, region=named.region, group=named.name,
            template=found.template.id, template_name=found.template.name,
            from_version=found.template.version, from_ami=OLD, from_image=BEFORE, to_version="",
            to_ami=NEW, instances=named.desired, matching=0, min=found.min, max=found.max,
            desired=found.desired, surge=1, boot_seconds=90, drain_seconds=300,
            preferences=replace(named.preferences, alarms=named.alarms),
        )  # fmt: skip

    def begun(self) -> RollState:
        pointers = {
            row.region: Pointer(before=OLD, after=NEW)
            for row in sorted(self.plan.groups, key=lambda row: row.region)
        }
        return begun(self.plan, digest=self.plan.id, now=self.now(), pointers=pointers)

    # ---- what there is ----

    def now(self) -> float:
        return self.cloud.clock.now()

    def place(self, group: GroupPlan) -> Any:
        return self.cloud.place(group.account, group.region)

    def client(self, group: GroupPlan, service: str) -> Any:
        return self.cloud.access(group.account).client(service, group.region)

    def seat(self, group: GroupPlan) -> Place:
        access = self.cloud.access(group.account)
        return Place(account=group.account, region=group.region, access=access)

    def group(self, key: str) -> Group:
        account, region, name = key.split("/")
        access = self.cloud.access(account)
        found = Place(account=account, region=region, access=access).groups.group(name)
        assert found is not None
        return found

    def refreshes(self, key: str) -> tuple[Refresh, ...]:
        account, region, name = key.split("/")
        access = self.cloud.access(account)
        return Place(account=account, region=region, access=access).groups.refreshes(name)

    def amis(self, key: str) -> Counter[str]:
        """How many members of a group run each AMI, by what EC2 says."""
        account, region, _ = key.split("/")
        machines = self.cloud.place(account, region).machines
        return Counter(
            machines.every[row.id].image
            for row in self.group(key).members
            if not row.state.startswith("Terminat")
        )

    def pointer(self, region: str = REGION) -> str:
        found = self.cloud.place(ACCOUNT, region).parameters.get("/p")
        return str(found["Value"]) if found else OLD

    def outside(self) -> list[str]:
        """Instances that run and are of no group."""
        members = {row.id for named in self.groups for row in self.group(named.key).members}
        return sorted(
            row.id
            for place in self.cloud.places.values()
            for row in place.machines.every.values()
            if row.id not in members
            and place.machines.state(row.id) not in {"terminated", "shutting-down"}
        )

    @property
    def state(self) -> RollState:
        found = self.journal().state
        assert found is not None
        return found

    def journal(self) -> RollJournal:
        objects = DirectoryObjects(root=self.root)
        return RollJournal.read(objects, self.plan.image, self.plan.channel)

    def write(self, change: Callable[[RollState], RollState]) -> None:
        journal = self.journal()
        assert journal.state is not None
        journal.write(change(journal.state), fence=self.fence)

    # ---- what is done ----

    def tick(self) -> Ending:
        """One tick, as a process of its own would make it."""
        self.fence += 1
        return Driver(
            plan=self.plan, journal=self.journal(), lease=Lease(fence=self.fence),
            hands=Hands(place=self.seat, duties=self.duties),
            look=Looking(place=self.seat, limits=self.limits, now=self.now),
            terms=self.terms, now=self.now, say=self.said.append,
        ).run()  # fmt: skip

    def run(self, *, hours: float = 12.0, after: Callable[[], None] | None = None) -> Ending:
        """Tick after tick until one ends for good."""
        end = self.now() + hours * HOUR
        while True:
            ending = self.tick()
            if after is not None:
                after()
            if not isinstance(ending, Waiting) or ending.until == float("inf"):
                return ending
            assert self.now() < end, f"still {ending.text}"
            self.cloud.advance(max(1.0, ending.until - self.now()))

    def finished(self) -> Done:
        ending = self.run()
        assert isinstance(ending, Done), ending
        return ending

    def person(self) -> Person:
        ending = self.run()
        assert isinstance(ending, Person), ending
        return ending

    def shape(self) -> dict[str, Any]:
        """Everything that has to be the same after an undisturbed run and any other."""
        rows: dict[str, Any] = {}
        for named in self.groups:
            found = self.group(named.key)
            rows[named.key] = {
                "sizes": (found.min, found.max, found.desired),
                "template": found.template.version,
                "versions": sorted(row.template.version for row in found.members if row.template),
                "states": {row.state for row in found.members},
                "protected": any(row.protected for row in found.members),
                "suspended": sorted(found.suspended),
                "amis": dict(self.amis(named.key)),
                "refreshes": [row.status for row in self.refreshes(named.key)],
            }
        return {
            "groups": rows,
            "outside": self.outside(),
            "pointers": {region: self.pointer(region) for region in self.regions()},
            "phase": self.state.phase,
            "states": {key: row.state for key, row in self.state.groups.items()},
            "intents": [row.intent for row in self.state.groups.values() if row.intent],
            "left": dict(self.state.left),
            "canary": self.state.canary.stage,
        }

    def regions(self) -> list[str]:
        return sorted({row.region for row in self.groups})

    def called(self, operation: str, calls: Iterable[Call] | None = None) -> list[Call]:
        found = self.cloud.calls if calls is None else calls
        return [row for row in found if row.operation == operation]


def small(root: Path, **given: Any) -> Rolled:
    """One group of four in one wave."""
    web = Named(name="web", alarms=given.pop("alarms", ()))
    waves = given.pop("waves", None) or (wave("all", web, gates=given.pop("gates", GATES)),)
    return Rolled(root=root, groups=(web,), waves=waves, **given)


def three(root: Path, **given: Any) -> Rolled:
    """Three groups of four in three waves, the first of which is half of a group."""
    a, b, c = Named(name="a"), Named(name="b"), Named(name="c", region=SECOND)
    waves = (wave("first", a, share=50, soak=10), wave("one", a, b), wave("rest", c, soak=5))
    return Rolled(root=root, groups=(a, b, c), waves=given.pop("waves", waves), **given)
