"""Identity: equal values have equal digests, whatever order they came in."""

from pathlib import Path

import pytest

from goldpress.digest import canonical_json, combined, content_uuid, digest_of, sha256_tree


def test_order_of_keys_does_not_matter() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert combined({"x": "1", "y": "2"}) == combined({"y": "2", "x": "1"})


def test_canonical_json_refuses_what_has_no_one_form() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        canonical_json(float("nan"))


def test_content_uuid_is_version_8_of_rfc_9562() -> None:
    uuid = content_uuid("0123456789abcdef" * 4)
    assert uuid == "01234567-89ab-8def-8123-456789abcdef"


def test_tree_tells_a_changed_byte_a_name_and_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    first = sha256_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("cache")
    assert sha256_tree(tmp_path) == first
    (tmp_path / "a").chmod(0o755)
    executable = sha256_tree(tmp_path)
    (tmp_path / "a").write_text("two")
    assert len({first, executable, sha256_tree(tmp_path)}) == 3
