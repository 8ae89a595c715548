"""Owns the definition of an image: what `images/<name>/image.yaml` says, parsed strictly.

A definition is what people want; the lock beside it is what they get.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, PrivateAttr

from goldpress.application import App, Machine, Pool, PoolName, contradictions
from goldpress.document import Part, matching, once, parse, read_yaml, shown
from goldpress.errors import DocumentError

Arch = Literal["x86_64", "aarch64"]


def _in_order(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(once(values)))


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("at least one is needed")
    return values


def _stream(value: Any) -> Any:
    # `nodejs: 18` is a number in YAML and a stream name to people; `1.10` arrives as text.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _parameter(value: Any) -> str | int | bool:
    if isinstance(value, str | int):
        return value
    raise ValueError("expected text, a whole number, or true or false")


Name = Annotated[str, matching(r"[a-z0-9][a-z0-9.-]*", "a name (small letters, digits, . and -)")]
PackageName = Annotated[
    str, matching(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", "a package name (no version, path or pattern)")
]
PackagePattern = Annotated[
    str, matching(r"[A-Za-z0-9_*][A-Za-z0-9._+*-]*", "a package name, or a pattern with *")
]
Unit = Annotated[
    str,
    matching(
        r"[A-Za-z0-9:_.@\\-]+\.(?:service|socket|timer|target|path|mount|automount|swap|slice)",
        "a unit name with its suffix, such as nginx.service",
    ),
]
Word = Annotated[str, matching(r"\S+", "one word without spaces")]
#: A module's stream, always text: `nodejs: 18` is a number in YAML only.
Stream = Annotated[Word, BeforeValidator(_stream)]
Identifier = Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and _")]
Units = Annotated[tuple[Unit, ...], AfterValidator(_in_order)]
Words = Annotated[tuple[Word, ...], AfterValidator(once)]
Parameter = Annotated[str | int | bool, PlainValidator(_parameter)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Services(Part):
    """Units by what the image does with them; a unit is in one list at most."""

    enable: Units = ()
    disable: Units = ()
    mask: Units = ()


class SELinux(Part):
    """Booleans that differ from the policy's own defaults, and modules that it is to be without."""

    booleans: dict[Identifier, bool] = Field(default_factory=dict)
    disabled: Annotated[tuple[Identifier, ...], AfterValidator(_in_order)] = ()


class Initrd(Part):
    """What dracut adds to, or leaves out of, the initrd."""

    add_drivers: Words = ()
    omit_modules: Words = ()
    add_modules: Words = ()


class Kernel(Part):
    """The kernel's command line, in order, and its initrd."""

    command_line: tuple[Word, ...] = ()
    initrd: Initrd = Initrd()


class Disk(Part):
    """Sizes in MiB of the partitions whose size is a choice."""

    esp_mib: Annotated[int, Field(ge=32, le=4096)]
    var_mib: Annotated[int, Field(ge=64, le=1 << 20)]


class Listen(Part):
    """A port that is open on the finished machine; `address` is None for any address."""

    port: Port
    protocol: Literal["tcp", "udp"]
    address: Word | None = None


class Verify(Part):
    """The suite that judges the image, every open port, and how long a boot may take."""

    suite: Name
    listen: tuple[Listen, ...] = ()
    boot_seconds: Annotated[int, Field(ge=1, le=3600)]


class Definition(Part):
    """An image as people describe it. Build one with `load_definition`."""

    name: Name
    summary: Annotated[str, Field(min_length=1)]
    distribution: Name
    #: `with:` names distributions that extend it, such as EPEL.
    extra: Annotated[tuple[Name, ...], Field(alias="with"), AfterValidator(_in_order)] = ()
    arch: Arch
    packages: Annotated[tuple[PackageName, ...], AfterValidator(_some), AfterValidator(_in_order)]
    exclude: Annotated[tuple[PackagePattern, ...], AfterValidator(_in_order)] = ()
    modules: dict[PackageName, Stream] = Field(default_factory=dict)
    weak_dependencies: bool = False
    services: Services = Services()
    parameters: dict[Identifier, Parameter] = Field(default_factory=dict)
    selinux: SELinux = SELinux()
    machine: Machine | None = None
    apps: dict[PoolName, App] = Field(default_factory=dict)
    pools: dict[PoolName, Pool] = Field(default_factory=dict)
    kernel: Kernel = Kernel()
    disk: Disk
    verify: Verify

    _directory: Path = PrivateAttr()

    @property
    def directory(self) -> Path:
        """The image's folder, `images/<name>`."""
        return self._directory

    @property
    def files(self) -> Path:
        """The overlay: a path here is the path in the image."""
        return self.directory / "files"

    @property
    def selinux_modules(self) -> tuple[Path, ...]:
        """The CIL policy modules of the image and their templates, in the order of their names."""
        folder = self.directory / "selinux"
        return tuple(sorted([*folder.glob("*.cil"), *folder.glob("*.cil.j2")]))

    @property
    def enabled(self) -> tuple[str, ...]:
        """Every unit that the image starts: those it names, and one for each pool."""
        return (*self.services.enable, *(pool_unit(name) for name in self.pools))

    def lock_path(self, distribution_id: str) -> Path:
        """Where the lock for a distribution is committed."""
        return self.directory / "locks" / f"{distribution_id}.{self.arch}.json"

    def request(self) -> dict[str, Any]:
        """The part that decides which packages are chosen; a lock keeps its sha256."""
        return {
            "arch": self.arch,
            "exclude": list(self.exclude),
            "modules": dict(sorted(self.modules.items())),
            "packages": list(self.packages),
            "weak_dependencies": self.weak_dependencies,
            "with": list(self.extra),
        }


def pool_unit(name: str) -> str:
    """The unit of a pool."""
    return f"goldpress-php-{name}.service"


def load_definition(directory: Path) -> Definition:
    """The definition in `directory` (`images/<name>`).

    Raises MissingError without an `image.yaml`, DocumentError when it cannot be used.
    """
    path = directory / "image.yaml"
    name = shown(path)
    definition = parse(Definition, read_yaml(path), name=name)
    faults = list(_contradictions(definition, directory))
    if faults:
        raise DocumentError("\n".join(f"{name}: {fault}" for fault in faults))
    definition._directory = directory  # noqa: SLF001 - the one place that knows the folder
    return definition


def _contradictions(definition: Definition, directory: Path) -> Iterable[str]:
    folder = directory.resolve().name
    if definition.name != folder:
        yield f"name: is {definition.name!r}, but the folder is {folder!r}"
    if definition.distribution in definition.extra:
        yield f"with: {definition.distribution!r} is the image's distribution already"
    for package in sorted({*definition.packages} & {*definition.exclude}):
        yield f"exclude: {package!r} is asked for in `packages`"
    services = definition.services
    counts = Counter([*services.enable, *services.disable, *services.mask])
    for unit in sorted(unit for unit, count in counts.items() if count > 1):
        yield f"services: {unit!r} is in more than one of enable, disable and mask"
    yield from contradictions(
        definition.apps, definition.pools, definition.machine, definition.packages
    )
    for word in sorted({"pool", "pools", "machine"} & {*definition.parameters}):
        yield f"parameters.{word}: templates know this name already"
    listen = Counter((row.protocol, row.port, row.address) for row in definition.verify.listen)
    for (protocol, port, _), count in listen.items():
        if count > 1:
            yield f"verify.listen: {protocol} port {port} is listed twice"
