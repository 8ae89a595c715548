"""Owns dnf as an oracle: what its own resolver would install from real metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from goldpress.definition import Definition
from goldpress.host.run import run


@dataclass(frozen=True, kw_only=True)
class Dnf:
    """dnf in a directory of its own, with these repositories (by id); they are read once."""

    directory: Path
    repositories: dict[str, Path]

    def chooses(self, wanted: Definition, root: Path) -> set[str]:
        """What dnf would install into the empty `root`: name-[epoch:]version-release.arch."""
        (self.directory / "log").mkdir(exist_ok=True)
        root.mkdir()
        options = {
            "reposdir": "/nonexistent",
            "install_weak_deps": str(wanted.weak_dependencies),
            "module_platform_id": "platform:el9",
            "cachedir": str(self.directory / "cache"),
            "logdir": str(self.directory / "log"),
            "persistdir": str(root / "persist"),
            "plugins": "0",
            "gpgcheck": "0",
        }
        base = [
            *("dnf", "-q", "--installroot", str(root / "root"), "--releasever", "9"),
            *(f"--setopt={key}={value}" for key, value in options.items()),
            *(f"--repofrompath={id_},file://{path}" for id_, path in self.repositories.items()),
            *(f"--exclude={pattern}" for pattern in wanted.exclude),
        ]
        if wanted.modules:
            streams = [f"{module}:{stream}" for module, stream in wanted.modules.items()]
            run([*base, "-y", "module", "enable", *streams], cwd=root, timeout=120)
        # It ends with failure, because the answer to its question is no.
        run(
            [*base, "--assumeno", "--debugsolver", "install", *wanted.packages],
            cwd=root,
            timeout=120,
            check=False,
        )
        result = root / "debugdata" / "rpms" / "solver.result"
        rows = [line.split() for line in result.read_text().splitlines()]
        assert {row[0] for row in rows} == {"install"}
        return {row[1].rpartition("@")[0] for row in rows}
