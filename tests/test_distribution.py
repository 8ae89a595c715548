from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.distribution import load_distribution
from goldpress.errors import DocumentError, MissingError

ROOT = Path(__file__).parents[1]
KEY = "99DB70FAE1D7CE227FB6488205B555B38483C65D"
REAL = f"""\
id: real-9
name: Real 9
platform: el9
arches:
  x86_64:
    repositories:
      - {{id: base, baseurl: "https://example.org/base/"}}
      - {{id: extra, baseurl: "file:///srv/extra", priority: 50}}
keys:
  - {{fingerprint: {KEY}, url: "https://example.org/key"}}
"""
MADE = """\
id: made-9
name: Made 9
platform: el9
stand_in_for: real-9
made: true
arches:
  x86_64: {repositories: [{id: made}]}
"""


def project(tmp_path: Path, **files: str) -> Path:
    (tmp_path / "rpm-mirror").mkdir()
    for name, text in files.items():
        (tmp_path / "rpm-mirror" / f"{name.replace('_', '-')}.yaml").write_text(text)
    return tmp_path


def test_a_distribution_is_read(tmp_path: Path) -> None:
    real = load_distribution(project(tmp_path, real_9=REAL), "real-9")
    assert (real.name, real.platform, real.made, real.stand_in) == ("Real 9", "el9", False, False)
    base, extra = real.repositories("x86_64")
    assert (base.id, base.baseurl, base.priority) == ("base", "https://example.org/base/", 99)
    assert extra.priority == 50
    assert [key.fingerprint for key in real.keys] == [KEY]


def test_a_made_one_has_neither_address_nor_key(tmp_path: Path) -> None:
    made = load_distribution(project(tmp_path, made_9=MADE), "made-9")
    assert made.made
    assert made.stand_in
    assert made.repositories("x86_64")[0].baseurl is None
    assert made.keys == ()


def test_the_committed_ones_can_be_read() -> None:
    centos = load_distribution(ROOT, "centos-stream-9")
    assert [r.id for r in centos.repositories("x86_64")] == ["baseos", "appstream"]
    assert [key.fingerprint for key in centos.keys] == [KEY]
    assert not centos.stand_in
    sandbox = load_distribution(ROOT, "sandbox")
    assert sandbox.made
    assert sandbox.stand_in_for == "centos-stream-9"


@pytest.mark.parametrize("name", ["real-8", "../real-9", "REAL-9", ""])
def test_an_unknown_one_is_missing_and_the_known_are_named(tmp_path: Path, name: str) -> None:
    root = project(tmp_path, real_9=REAL, made_9=MADE)
    with pytest.raises(MissingError) as caught:
        load_distribution(root, name)
    assert f"unknown distribution {name!r}" in str(caught.value)
    assert "`rpm-mirror/` describes: made-9, real-9" in str(caught.value)


def test_the_nearest_ids_are_offered(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="unknown distribution 'reel-9'; nearest: real-9"):
        load_distribution(project(tmp_path, real_9=REAL, sandbox=MADE), "reel-9")


def test_an_architecture_without_repositories_is_missing(tmp_path: Path) -> None:
    real = load_distribution(project(tmp_path, real_9=REAL), "real-9")
    with pytest.raises(MissingError, match="Real 9 has no repositories for aarch64"):
        real.repositories("aarch64")


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (REAL, "real-9", "real-8", "id: is 'real-8', but the file is 'real-9.yaml'"),
        (REAL, KEY, KEY[:-1], f"keys[0].fingerprint: '{KEY[:-1]}' is not a fingerprint"),
        (REAL, KEY, KEY.lower(), "keys[0].fingerprint: "),
        (REAL, "https://example.org/key", "http://example.org/key", "keys[0].url: "),
        (REAL, "https://example.org/base/", "ftp://example.org/", "repositories[0].baseurl: "),
        (
            REAL,
            ', baseurl: "https://example.org/base/"',
            "",
            "arches.x86_64.repositories[0]: needs a `baseurl`",
        ),
        (REAL, "id: extra", "id: base", "arches.x86_64.repositories: an id is listed twice"),
        (REAL, "priority", "prio", "repositories[1].prio: unknown key; nearest: priority"),
        (REAL, "priority: 50", "priority: 0", "repositories[1].priority: expected greater than"),
        (REAL, "x86_64:", "i386:", "arches.i386: expected 'x86_64' or 'aarch64', not 'i386'"),
        (REAL, "platform: el9", "platform: fedora", "platform: expected"),
        (REAL, REAL[REAL.index("keys:") :], "", "keys: at least one is needed; without it"),
        (MADE, "stand_in_for: real-9\n", "", "stand_in_for: what is made on this machine has to"),
        (MADE, "id: made}", "id: m, baseurl: 'https://x.org/'}", "`made: true` means no URL"),
        (MADE, "made: true", f"made: true\n{REAL[REAL.index('keys:') :]}", "keys: `made: true`"),
        (MADE, "stand_in_for: real-9", "stand_in_for: made-9", "cannot stand in for itself"),
    ],
)
def test_a_contradiction_is_refused(
    tmp_path: Path, text: str, old: str, new: str, message: str
) -> None:
    assert old in text
    name = "real-9" if text is REAL else "made-9"
    root = project(tmp_path, **{name.replace("-", "_"): text.replace(old, new)})
    with pytest.raises(DocumentError) as caught:
        load_distribution(root, name)
    assert message in str(caught.value)
    assert f"rpm-mirror/{name}.yaml: " in str(caught.value)
