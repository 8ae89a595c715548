"""The sandbox's SELinux policy: how it is compiled, and when it is compiled again."""

from pathlib import Path

import pytest

from goldpress.errors import BuildError
from goldpress.sandbox import policy
from goldpress.sandbox.policy import compile_policy, kept_policy, policy_key, semodule_argv


def test_compiles_into_a_store_of_its_own_and_loads_nothing() -> None:
    assert semodule_argv(Path("/r"), [Path("/a.pp.bz2"), Path("/b.cil")]) == [
        *("semodule", "-p", Path("/r"), "-s", "targeted", "-N", "-X", "100"),
        *("-i", Path("/a.pp.bz2"), "-i", Path("/b.cil")),
    ]


def test_a_package_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^selinux-policy-default: no policy modules in it$"):
        compile_policy(tmp_path / "selinux-policy-default", tmp_path / "x.cil", tmp_path / "root")


def test_the_last_policy_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(debian: Path, extra: Path, root: Path) -> None:
        root.mkdir()
        (root / "policy").write_text(f"{debian.name} {extra.name}")

    monkeypatch.setattr(policy, "compile_policy", compiled)

    def kept(key: str, name: str) -> str:
        root = kept_policy(
            tmp_path / "kept",
            key,
            debian=tmp_path / name,
            extra=tmp_path / "x.cil",
            scratch=tmp_path / "scratch",
        )
        return (root / "policy").read_text()

    assert kept("one", "a") == "a x.cil"
    assert kept("one", "b") == "a x.cil"
    assert kept("two", "c") == "c x.cil"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["two"]


def test_the_key_follows_modules_and_additions(tmp_path: Path) -> None:
    deb, extra = tmp_path / "a.deb", tmp_path / "x.cil"
    deb.write_text("1")
    extra.write_text("1")
    first = policy_key(deb, extra)
    assert policy_key(deb, extra) == first
    extra.write_text("2")
    assert policy_key(deb, extra) != first
