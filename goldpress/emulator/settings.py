"""Owns what can be set about a cloud: how long things take, which driver runs instances.

POST /_goldpress/settings   {"complete_seconds": 5, "driver": "virtual"}

changes what is named and keeps the rest; GET tells all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

DRIVERS = ("qemu", "virtual")
ACCELERATORS = ("kvm", "tcg")


@dataclass(frozen=True, kw_only=True)
class Model:
    """How virtual instances of an AMI behave; shares are of all instances, 0 to 1.

    The time to boot is log-normal. `never_healthy` boot and fail their checks, as do all in zones
    that end with one of `bad_zones` (``a``) and of `bad_types`; `dies` become impaired
    `dies_after_seconds` after the boot, and all do when they leak, at about `leaks_after_seconds`
    (0: no leak); `never_runs` end while they are pending. All that run answer a load balancer's
    check with the HTTP status `serves`. Whatever their checks say, the share `errors` of the
    requests to them fails, and the others take `latency_seconds`; both grow with every hour since
    the boot by `errors_per_hour` and `latency_per_hour`.
    """

    median_seconds: float = 20.0
    sigma: float = 0.25
    never_runs: float = 0.0
    never_healthy: float = 0.0
    dies: float = 0.0
    dies_after_seconds: float = 600.0
    serves: int = 200
    bad_zones: Sequence[str] = ()
    bad_types: Sequence[str] = ()
    leaks_after_seconds: float = 0.0
    errors: float = 0.0
    latency_seconds: float = 0.05
    errors_per_hour: float = 0.0
    latency_per_hour: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One cloud's settings. Times are seconds of its own clock (`goldpress.emulator.clock`)."""

    driver: str = "qemu"
    #: from StartSnapshot until the EBS direct API knows the snapshot (AWS: up to a minute or two)
    invisible_seconds: float = 0.0
    #: from CompleteSnapshot until the EBS snapshot is `completed`
    complete_seconds: float = 0.5
    #: from RegisterImage until DescribeImages shows the AMI
    image_invisible_seconds: float = 0.0
    #: from RegisterImage until the AMI is `available`
    image_pending_seconds: float = 0.0
    #: from PutParameter of the type aws:ec2:image until GetParameter has the value
    parameter_seconds: float = 0.0
    #: most blocks in one page of a listing; AWS may always return fewer than asked for
    list_page: int = 1000
    #: from launch until `running`, from TerminateInstances until `terminated`
    pending_seconds: float = 2.0
    shutting_down_seconds: float = 1.0
    #: so long a real instance has to follow its power button; then its power is cut
    power_off_seconds: float = 600.0
    #: GetConsoleOutput without `Latest` has nothing before this age of the instance
    console_seconds: float = 30.0
    #: checks that did not pass until then are `impaired`, before that `initializing`
    impaired_seconds: float = 600.0
    #: QEMU's accelerator for the driver `qemu`, and the machines' memory
    accelerator: str = "tcg"
    memory_mib: int = 1024
    #: instances that may run at once with the driver `qemu`; more: InsufficientInstanceCapacity
    most_machines: int = 2
    #: instances that may run at once in one zone with the driver `virtual`; 0: any number
    zone_capacity: int = 0
    #: the share of Spot instances that is taken back in an hour; of simulations inside a process
    spot_loss_per_hour: float = 0.0
    #: how virtual instances behave, by AMI id; "*" is every other
    models: Mapping[str, Model] = field(default_factory=lambda: {"*": Model()})
    #: which virtual instances are the unlucky ones
    seed: int = 0


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with these values. Raises ValueError naming what is wrong."""
    known = {item.name: item for item in fields(Settings)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"no such setting: {name}")
        expected = type(getattr(settings, name))
        if expected is float and type(value) is int:
            continue
        if name != "models" and type(value) is not expected:
            raise ValueError(f"{name}: {value!r} is not {expected.__name__}")
    made = dict(values)
    if "models" in made:
        try:
            models = {key: Model(**row) for key, row in made["models"].items()}
        except (TypeError, AttributeError) as error:
            raise ValueError(f"models: {error}") from None
        made["models"] = {"*": Model(), **models}
    result = replace(settings, **made)
    if result.driver not in DRIVERS or result.accelerator not in ACCELERATORS:
        raise ValueError(f"driver is one of {DRIVERS}, accelerator one of {ACCELERATORS}")
    return result


def document(settings: Settings) -> dict[str, Any]:
    """All settings, as JSON has them."""
    return asdict(settings)
