"""Where the sandbox's Debian packages come from: the host's mirror or a variable, never guessed."""

from pathlib import Path

import pytest

from goldpress.errors import CommandError, MissingError
from goldpress.sandbox import mirror
from goldpress.sandbox.mirror import (
    Apt,
    Source,
    configuration_text,
    find_sources,
    redacted,
    sources_from_host,
    sources_text,
)

LISTING = """\
Packages|bookworm|bookworm|main|amd64|http://mirror.test/debian/
Translations|bookworm|bookworm|main|amd64|http://mirror.test/debian/
Packages|bookworm|bookworm|contrib|amd64|http://mirror.test/debian/
Packages|bookworm|bookworm|main|arm64|http://mirror.test/debian/
Packages|trixie|trixie|main|amd64|http://mirror.test/debian/
Packages|bookworm-security|stable-security|main|amd64|http://mirror.test/security/
Packages|$(CODENAME)|bookworm-updates|main|amd64|http://mirror.test/debian/
"""


def test_takes_debian_12s_suites_of_the_host() -> None:
    assert sources_from_host(LISTING) == (
        Source(suite="bookworm", uri="http://mirror.test/debian/"),
        Source(suite="bookworm-updates", uri="http://mirror.test/debian/"),
        Source(suite="bookworm-security", uri="http://mirror.test/security/"),
    )


def test_the_variable_wins() -> None:
    assert find_sources({mirror.MIRROR_VARIABLE: "http://mirror.test/debian"}) == (
        Source(suite="bookworm", uri="http://mirror.test/debian/"),
        Source(suite="bookworm-updates", uri="http://mirror.test/debian/"),
    )


def test_without_a_mirror_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_FORMAT", "other|trixie|trixie|main|amd64|x")
    with pytest.raises(MissingError) as caught:
        find_sources({})
    assert str(caught.value) == (
        "the sandbox is made from Debian 12 packages, and apt here knows no mirror of them\n"
        "  set GOLDPRESS_DEBIAN_MIRROR to the base address of a Debian archive (the folder that "
        "holds `dists/bookworm`), then run the same again"
    )


def test_sources_are_bound_to_debians_keys() -> None:
    assert sources_text([Source(suite="bookworm", uri="http://mirror.test/debian/")]) == (
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.test/debian/ bookworm main\n"
    )


def test_the_configuration_keeps_to_its_folder_and_refuses_unsigned_indexes() -> None:
    text = configuration_text(Path("/s"))
    settings = dict(line.rstrip(";").split(" ", 1) for line in text.splitlines() if line[0] != "#")
    for key in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Log"):
        assert settings[key].startswith('"/s/')
    assert settings["Dir::Etc::sourceparts"] == '"/dev/null"'
    assert settings["Acquire::AllowInsecureRepositories"] == '"false"'
    assert settings["APT::Get::AllowUnauthenticated"] == '"false"'
    assert settings["APT::Install-Recommends"] == '"false"'
    assert settings["APT::Architectures"] == '{ "amd64"; }'


def test_a_failure_names_no_mirror(tmp_path: Path) -> None:
    apt = Apt(state=tmp_path)
    # Port 0 answers nobody.
    apt.prepare([Source(suite="bookworm", uri="http://127.0.0.1:0/debian/")])
    patient = (tmp_path / "apt.conf").read_text()
    (tmp_path / "apt.conf").write_text(patient.replace('Retries "3"', 'Retries "0"'))
    with pytest.raises(CommandError, match="update Debian's indexes: exit status 100") as caught:
        apt.update()
    assert "http://<mirror>/debian" in str(caught.value)
    assert "127.0.0.1:0" not in str(caught.value)


def test_without_debians_keys_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(MissingError) as caught:
        Apt(state=tmp_path).prepare([])
    assert str(caught.value) == (
        f"{tmp_path}/none.gpg is not there: Debian's indexes cannot be verified\n"
        "  install the package debian-archive-keyring"
    )


def test_an_unsigned_index_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "archive/dists/bookworm"
    (archive / "main/binary-amd64").mkdir(parents=True)
    (archive / "main/binary-amd64/Packages").write_bytes(b"")
    (archive / "Release").write_text("Codename: bookworm\nSuite: bookworm\n")
    apt = Apt(state=tmp_path / "apt")
    apt.prepare([Source(suite="bookworm", uri=f"file://{tmp_path}/archive/")])
    with pytest.raises(CommandError, match="is not signed"):
        apt.update()


def test_hosts_are_taken_out() -> None:
    assert redacted("Err:1 http://mirror.test/debian bookworm 'https://u:p@h.test:8/x'") == (
        "Err:1 http://<mirror>/debian bookworm 'https://<mirror>/x'"
    )
