"""Owns the closure: the exact Debian packages that a sandbox is made from, and their files.

    {"wanted": [...], "packages": [{"name": ..., "version": ..., "sha256": ..., ...}]}

is kept as `closure.json`. It answers without the network for as long as the table asks for the
same packages; a refresh, or removing the file, asks again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from goldpress.digest import canonical_json, sha256_file
from goldpress.errors import BuildError, DocumentError, TrustError
from goldpress.sandbox.mirror import Apt
from goldpress.sandbox.table import Table
from goldpress.store import write_atomically

_URI_LINE = re.compile(r"'[^']+' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_(?P<arch>\w+)\.deb \d+ ")
_KERNEL = re.compile(r"linux-image-(?P<release>\d.*)")


@dataclass(frozen=True, kw_only=True)
class Deb:
    """One Debian package as the signed index describes it; `sha256` is 64 hex digits."""

    name: str
    version: str
    architecture: str
    sha256: str
    depends: str
    pre_depends: str
    provides: str

    @property
    def file_name(self) -> str:
        """What `apt-get download` calls the file: the colon of an epoch is escaped."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True, kw_only=True)
class Closure:
    """Every Debian package that the table's wishes need, dropped ones included."""

    wanted: tuple[str, ...]
    debs: tuple[Deb, ...]

    @property
    def by_name(self) -> Mapping[str, Deb]:
        """Package name -> package."""
        return {deb.name: deb for deb in self.debs}

    @property
    def kernel(self) -> str:
        """The release of its one kernel. Raises BuildError."""
        found = [m["release"] for d in self.debs if (m := _KERNEL.fullmatch(d.name))]
        if len(found) != 1:
            raise BuildError(f"the sandbox needs one kernel, its closure has {found or 'none'}")
        return found[0]


def closure_json(closure: Closure) -> bytes:
    """The closure as canonical JSON."""
    rows = [asdict(deb) for deb in closure.debs]
    return canonical_json({"wanted": list(closure.wanted), "packages": rows})


def read_closure(path: Path) -> Closure | None:
    """The closure that was kept, or None. Raises DocumentError for anything else in its place."""
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_bytes())
        return Closure(
            wanted=tuple(value["wanted"]), debs=tuple(Deb(**row) for row in value["packages"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DocumentError(
            f"{path}: not a closure: {error}", hint="remove the file: it is made again"
        ) from error


def parse_records(text: str) -> tuple[Deb, ...]:
    """The packages in what `apt-cache show` printed, by name. Raises DocumentError."""
    debs: dict[str, Deb] = {}
    for record in re.split(r"\n\n+", text.strip()):
        values: dict[str, str] = {}
        for line in record.splitlines():
            key, colon, value = line.partition(": ")
            if colon and not line.startswith(" "):
                values.setdefault(key.lower().replace("-", "_"), value.strip())
        values["name"] = values.get("package", "")
        wanted = {field.name: values.get(field.name, "") for field in fields(Deb)}
        deb = Deb(**wanted)
        if not (deb.name and deb.version and deb.architecture and len(deb.sha256) == 64):  # noqa: PLR2004
            raise DocumentError(f"apt-cache: a record without name, version or SHA256: {deb}")
        debs[deb.name] = deb
    return tuple(debs[name] for name in sorted(debs))


def chosen(text: str) -> tuple[str, ...]:
    """`name=version` of every package in what `--print-uris install` printed."""
    matches = (_URI_LINE.match(line) for line in text.splitlines())
    return tuple(sorted(f"{m['name']}={m['version'].replace('%3a', ':')}" for m in matches if m))


def resolve(apt: Apt, wanted: Sequence[str]) -> Closure:
    """Ask the signed indexes for `wanted` and all that it depends on. Raises CommandError."""
    apt.update()
    listing = apt.run(
        "apt-get", "-qq", "-y", "--print-uris", "install", *wanted, what="resolve Debian's packages"
    )
    names = chosen(listing.text)
    records = apt.run("apt-cache", "show", *names, what="read Debian's package records")
    closure = Closure(wanted=tuple(wanted), debs=parse_records(records.text))
    if len(closure.debs) != len(names):
        raise BuildError(f"apt chose {len(names)} packages and described {len(closure.debs)}")
    return closure


def check_mapped(closure: Closure, table: Table) -> None:
    """Every package of the closure has a place or a reason. Raises BuildError naming the rest."""
    known = table.rest_owner.keys() | table.dropped.keys()
    unknown = [deb.name for deb in closure.debs if deb.name not in known]
    if unknown:
        raise BuildError(
            f"packages.yaml maps no CentOS package for Debian's {', '.join(unknown)}",
            hint="add each to the `parts` of a package, or to `dropped` with the reason",
        )


def kept(closure: Closure, table: Table) -> tuple[Deb, ...]:
    """The packages whose files are used."""
    return tuple(deb for deb in closure.debs if deb.name in table.used)


def missing(debs: Iterable[Deb], folder: Path) -> tuple[Deb, ...]:
    """The packages whose files `folder` lacks, or holds with other bytes than the index says."""
    return tuple(deb for deb in debs if not _is_good(folder / deb.file_name, deb))


def download(apt: Apt, debs: Iterable[Deb], folder: Path) -> None:
    """Fetch `debs` into `folder` through apt, then judge every file.

    Raises CommandError when apt fails, TrustError when a file's bytes are not the index's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = tuple(debs)
    for deb in wanted:
        (folder / deb.file_name).unlink(missing_ok=True)
    if wanted:
        apt.run(
            "apt-get",
            "-qq",
            "download",
            *(f"{deb.name}={deb.version}" for deb in wanted),
            what="download Debian's packages",
            cwd=folder,
            hint="a version that the archive has dropped is replaced by choosing the set anew: "
            "remove closure.json beside the downloads",
        )
    for deb in missing(wanted, folder):
        raise TrustError(f"{deb.file_name}: its sha256 is not that of the signed index")


def _is_good(path: Path, deb: Deb) -> bool:
    return path.is_file() and sha256_file(path) == deb.sha256


def newest_epoch(paths: Iterable[Path]) -> int:
    """The newest time (seconds since 1970) at which one of these .deb files was built."""
    return max(_built(path) for path in paths)


def _built(path: Path) -> int:
    # `!<arch>\n`, then the first member's header: a name of 16 bytes, its time in 12.
    with path.open("rb") as stream:
        head = stream.read(36)
    if not head.startswith(b"!<arch>\ndebian-binary"):
        raise TrustError(f"{path.name}: not a Debian package")
    return int(head[24:36])


def store_closure(path: Path, closure: Closure) -> None:
    """Keep the closure for the next time."""
    write_atomically(path, closure_json(closure))
