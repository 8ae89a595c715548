"""What was seen of packages is remembered for one set of keys, and made anew when in doubt."""

from __future__ import annotations

from pathlib import Path

import pytest
from rpms import Rpms

from goldpress.distribution import Signers
from goldpress.mirror.trust.rpmkeys import Verdict
from goldpress.mirror.trust.verdicts import Verdicts

ONE, TWO = (Verdict(signer="A" * 40, nevra=f"p-0:{n}-1.noarch", source_rpm="p.src") for n in "12")


def test_verdicts_are_added(rpms: Rpms, tmp_path: Path) -> None:
    verdicts = Verdicts.of(rpms.key.signers, tmp_path)
    assert verdicts.read() == {}
    verdicts.keep({"1": ONE})
    verdicts.keep({"2": TWO})
    assert Verdicts.of(rpms.key.signers, tmp_path).read() == {"1": ONE, "2": TWO}


def test_another_set_of_keys_has_its_own(rpms: Rpms, tmp_path: Path) -> None:
    both = Signers(
        fingerprints=(rpms.key.fingerprint, rpms.other_key.fingerprint),
        key_files=(rpms.key.public, rpms.other_key.public),
    )
    Verdicts.of(rpms.key.signers, tmp_path).keep({"1": ONE})
    assert Verdicts.of(both, tmp_path).read() == {}
    assert Verdicts.of(rpms.other_key.signers, tmp_path).read() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"1": {}}', '{"1": {"signer": "x", "more": 1}}'])
def test_what_cannot_be_read_is_no_verdict(rpms: Rpms, tmp_path: Path, text: str) -> None:
    verdicts = Verdicts.of(rpms.key.signers, tmp_path)
    verdicts.keep({"1": ONE})
    (verdicts.directory / "verdicts.json").write_text(text)
    assert verdicts.read() == {}
