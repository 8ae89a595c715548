"""Owns dnf as a client: a machine of its own that knows nothing but a .repo file."""

from __future__ import annotations

from pathlib import Path

from goldpress.host.run import Completed, run


def dnf(root: Path, repo_file: str, *words: str) -> Completed:
    """Run dnf for the machine in the folder `root`, which has only this repository file.

    Nothing of this host's dnf is used: no configuration, no cache, no keys.
    """
    repos, cache = root / "etc" / "yum.repos.d", root / "var" / "cache" / "dnf"
    for folder in (repos, cache, root / "var" / "log"):
        folder.mkdir(parents=True, exist_ok=True)
    (repos / "goldpress.repo").write_text(repo_file)
    (root / "etc" / "dnf.conf").write_text("[main]\nplugins=0\ngpgcheck=1\n")
    argv = [
        *("dnf", "-y", "--installroot", str(root), "--releasever", "9"),
        *("--config", str(root / "etc" / "dnf.conf"), "--setopt=module_platform_id=platform:el9"),
        *(f"--setopt=reposdir={repos}", f"--setopt=cachedir={cache}"),
        *(f"--setopt=logdir={root / 'var' / 'log'}", "--setopt=tsflags=noscripts"),
        *words,
    ]
    return run(argv, env={"HOME": str(root), "no_proxy": "*"}, timeout=120, check=False, merge=True)
