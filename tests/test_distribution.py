from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.distribution import Signers, distribution_ids, load_distribution
from goldpress.errors import DocumentError, MissingError, TrustError

ROOT = Path(__file__).parents[1]
KEY = "99DB70FAE1D7CE227FB6488205B555B38483C65D"
METALINK = "https://example.org/metalink?repo=extra&arch=x86_64"
REAL = f"""\
id: real-9
name: Real 9
platform: el9
arches:
  x86_64:
    repositories:
      - {{id: base, baseurl: "https://example.org/base/"}}
      - {{id: extra, metalink: "{METALINK}", priority: 50}}
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
    assert (base.id, base.baseurl, base.priority) == ("base", ("https://example.org/base/",), 99)
    assert (extra.baseurl, extra.metalink, extra.priority) == ((), METALINK, 50)
    assert [(key.fingerprint, key.repositories) for key in real.keys] == [(KEY, ())]
    assert (real.extends, real.errata_for, real.mirror_only) == (None, None, "")
    assert (real.modules, real.stale_after_days) == ({}, 14)


def test_what_else_can_be_said(tmp_path: Path) -> None:
    more = (
        "extends: real-8\nerrata_for: real-7\nmirror_only: a reason\nstale_after_days: 3\n"
        "modules: {php: ['8.1', 8.2], nodejs: [18]}\n"
    )
    text = REAL.replace(", url: ", ", repositories: [base, extra], url: ")
    text = text.replace(
        'baseurl: "https://example.org/base/"', "baseurl: [https://a.org/, file:///b]"
    )
    real = load_distribution(project(tmp_path, real_9=more + text), "real-9")
    assert (real.extends, real.errata_for, real.mirror_only) == ("real-8", "real-7", "a reason")
    assert (real.stale_after_days, real.modules) == (3, {"php": ("8.1", "8.2"), "nodejs": ("18",)})
    assert real.repositories("x86_64")[0].baseurl == ("https://a.org/", "file:///b")
    assert real.keys[0].repositories == real.repository_ids == ("base", "extra")


def test_a_made_one_has_neither_address_nor_key(tmp_path: Path) -> None:
    made = load_distribution(project(tmp_path, made_9=MADE), "made-9")
    assert made.made
    assert made.stand_in
    assert made.repositories("x86_64")[0].baseurl == ()
    assert made.keys == ()


REAL_ONES = ["alma-9", "centos-stream-10", "centos-stream-9", "epel-10", "epel-9"]


def test_the_committed_ones_are_whole() -> None:
    assert list(distribution_ids(ROOT)) == [*REAL_ONES, "sandbox"]
    all_of_them = {id_: load_distribution(ROOT, id_) for id_ in distribution_ids(ROOT)}
    for distribution in all_of_them.values():
        others = (distribution.extends, distribution.errata_for, distribution.stand_in_for)
        for other in filter(None, others):
            assert all_of_them[other].platform == distribution.platform
        if distribution.extends:
            base = all_of_them[distribution.extends]
            assert not {*base.repository_ids} & {*distribution.repository_ids}
            assert bool(base.mirror_only) == bool(distribution.mirror_only)
            assert {*base.arches} == {*distribution.arches}
    assert {id_ for id_, d in all_of_them.items() if d.mirror_only} == {
        "alma-9",
        "centos-stream-10",
        "epel-10",
    }


@pytest.mark.parametrize("name", REAL_ONES)
def test_an_address_is_of_its_architecture(name: str) -> None:
    distribution = load_distribution(ROOT, name)
    for arch, other in (("x86_64", "aarch64"), ("aarch64", "x86_64")):
        for repository in distribution.repositories(arch):
            for url in filter(None, (*repository.baseurl, repository.metalink)):
                assert arch in url
                assert other not in url
                assert url.startswith("https://")


def test_centos_has_what_centos_enables_each_with_its_key() -> None:
    for name in ("centos-stream-9", "centos-stream-10"):
        centos = load_distribution(ROOT, name)
        assert centos.repository_ids == ("appstream", "baseos", "extras-common")
        (official, extras) = centos.keys
        assert official.fingerprint == KEY
        assert (official.repositories, extras.repositories) == (
            ("baseos", "appstream"),
            ("extras-common",),
        )
        priorities = {r.id: r.priority for r in centos.repositories("x86_64")}
        assert priorities["baseos"] == priorities["appstream"] < priorities["extras-common"]
        assert not centos.stand_in
    assert load_distribution(ROOT, "centos-stream-10").modules == {}


def test_epel_never_replaces_what_centos_has() -> None:
    for number in ("9", "10"):
        epel = load_distribution(ROOT, f"epel-{number}")
        centos = load_distribution(ROOT, f"centos-stream-{number}")
        least = max(r.priority for r in centos.repositories("x86_64") if r.id != "extras-common")
        assert all(r.priority > least for r in epel.repositories("x86_64"))
        assert {r: key.fingerprint for key in epel.keys for r in key.repositories}["crb"] == KEY


def test_the_sandbox_stands_in_for_what_images_are_built_from() -> None:
    sandbox = load_distribution(ROOT, "sandbox")
    assert sandbox.made
    assert sandbox.stand_in_for == "centos-stream-9"


def test_an_address_may_be_given_once_or_not_at_all_but_is_text(tmp_path: Path) -> None:
    text = REAL.replace('baseurl: "https://example.org/base/"', "baseurl: 7")
    with pytest.raises(DocumentError, match=r"repositories\[0\]\.baseurl: expected .*, not 7"):
        load_distribution(project(tmp_path, real_9=text), "real-9")


def test_overrides_are_no_distribution(tmp_path: Path) -> None:
    root = project(tmp_path, real_9=REAL, overrides="pins: []")
    assert distribution_ids(root) == ("real-9",)
    with pytest.raises(MissingError, match="unknown distribution 'overrides'"):
        load_distribution(root, "overrides")


def test_signers_together_stay_apart() -> None:
    a, b = Path("/a.asc"), Path("/b.asc")
    one = Signers(
        fingerprints=("A" * 40,), key_files=(a,), repositories={"A" * 40: ("base", "extra")}
    )
    other = Signers(
        fingerprints=("B" * 40, "A" * 40),
        key_files=(b, a),
        repositories={"B" * 40: ("epel",), "A" * 40: ("crb",)},
    )
    both = Signers.together([one, other])
    assert both.fingerprints == ("A" * 40, "B" * 40)
    assert both.key_files == (a, b)
    assert both.allowed("epel") == ("B" * 40,)
    assert both.allowed("crb") == both.allowed("base") == ("A" * 40,)
    free = Signers(fingerprints=("C" * 40,), key_files=(a,))
    with pytest.raises(TrustError, match=f"the key {'C' * 40} is not limited to any repositories"):
        Signers.together([one, free])


def test_a_key_signs_for_its_repositories_only() -> None:
    signers = Signers(
        fingerprints=("A" * 40, "B" * 40), key_files=(), repositories={"B" * 40: ("extra",)}
    )
    assert signers.allowed("base") == ("A" * 40,)
    assert signers.allowed("extra") == ("A" * 40, "B" * 40)
    assert not signers.may_sign("C" * 40, "extra")


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
        (REAL, "https://example.org/base/", "ftp://example.org/", "repositories[0].baseurl[0]: "),
        (
            REAL,
            ', baseurl: "https://example.org/base/"',
            "",
            "arches.x86_64.repositories[0]: needs a `baseurl` or a `metalink`, and not both",
        ),
        (
            REAL,
            "id: extra,",
            "id: extra, baseurl: 'file:///x',",
            "arches.x86_64.repositories[1]: needs a `baseurl` or a `metalink`, and not both",
        ),
        (REAL, METALINK, METALINK.replace("https", "http"), "repositories[1].metalink: "),
        (
            REAL,
            '"https://example.org/base/"',
            "[file:///a, file:///a]",
            "arches.x86_64.repositories[0].baseurl: an address is listed twice",
        ),
        (REAL, ", url: ", ", repositories: [bas], url: ", "no repository is 'bas'; nearest: base"),
        (
            REAL,
            ", url: ",
            ", repositories: [base], url: ",
            "keys: none may sign for the repository 'extra'",
        ),
        (REAL, "platform:", "extends: real-9\nplatform:", "extends: a distribution cannot extend"),
        (REAL, "platform:", "errata_for: real-9\nplatform:", "errata_for: its own advisories are"),
        (REAL, "platform:", "modules: {a: [1, '1']}\nplatform:", "modules.a: a stream is listed"),
        (REAL, "platform:", "modules: {a: []}\nplatform:", "modules.a: expected"),
        (REAL, "platform:", "stale_after_days: 0\nplatform:", "stale_after_days: expected"),
        (MADE, "made: true", "made: true\nmirror_only: x", "mirror_only: what is made on this"),
        (MADE, "id: made}", f"id: m, metalink: '{METALINK}'}}", "`made: true` means no URL"),
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
