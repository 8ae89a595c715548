"""AMI documents: the same for the same AMI, found by id, the newest of a series first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from goldpress import ami as amis
from goldpress.ami import Ami, find, keep, newest_first, parse_ami
from goldpress.errors import DocumentError, MissingError
from goldpress.store import Store

DIGEST = "sha256:" + "a" * 64
AMI = Ami(
    image=DIGEST, name="web", distribution="centos-stream-9", stand_in=False, arch="x86_64",
    account="123456789012", region="us-east-1", emulated=False, ami="ami-0123456789abcdef0",
    ami_name="web/x", snapshot="snap-1", kms_key="", volume_gib=1, root_device="/dev/xvda",
    block_root="b" * 64, blocks=DIGEST, promises=DIGEST,
)  # fmt: skip


def test_a_document_comes_back() -> None:
    assert parse_ami(AMI.to_document()) == AMI
    with pytest.raises(DocumentError, match="its ami_version is not one that I know"):
        parse_ami({**AMI.to_document(), "ami_version": 9})
    with pytest.raises(DocumentError, match="unexpected keyword argument 'colour'"):
        parse_ami({**AMI.to_document(), "colour": "gold"})


def test_one_follows_another_and_is_kept_once(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    newer = dataclasses.replace(AMI, ami="ami-0123456789abcdef1")
    assert keep(store, AMI) == keep(store, AMI)
    keep(store, newer)
    assert list(newest_first(store, AMI.series)) == [newer, AMI]
    # Back to the one before: it is the newest again, and there once.
    keep(store, AMI)
    assert list(newest_first(store, AMI.series)) == [AMI, newer]
    assert store.names(amis.KIND) == ("web.centos-stream-9.x86_64.123456789012.us-east-1",)


def test_an_ami_is_found_by_its_id(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    keep(store, AMI)
    assert find(store, AMI.ami) == AMI
    with pytest.raises(MissingError, match="ami-0aaaaaaaa: the store has no record of it"):
        find(store, "ami-0aaaaaaaa")
    with pytest.raises(DocumentError, match="'i-1' is not the id of an AMI"):
        find(store, "i-1")
