from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.digest import sha256_file
from goldpress.errors import TrustError
from goldpress.mirror.metadata import modulemd
from goldpress.mirror.metadata.modulemd import kept_streams, main, read_modules
from goldpress.mirror.metadata.packed import Packed

STREAM = """\
---
document: modulemd
version: 2
data:
  name: tool
  stream: 1.10
  version: 90120250101
  arch: x86_64
  dependencies: [{requires: {platform: [el9], base: []}}]
  artifacts: {rpms: [tool-0:1.10-1.el9.noarch]}
---
document: modulemd-defaults
version: 1
data: {module: tool, stream: "1.10"}
"""


def test_a_stream_is_text_and_defaults_are_left_out() -> None:
    (stream,) = read_modules(STREAM.encode(), name="base/modules")
    assert (stream.name, stream.version, stream.arch) == ("tool:1.10", 90120250101, "x86_64")
    assert stream.requires == {"platform": ("el9",), "base": ()}
    assert stream.artifacts == {"tool-0:1.10-1.el9.noarch"}


def test_the_child_keeps_what_it_read(tmp_path: Path) -> None:
    path = tmp_path / "modules.yaml"
    path.write_text(STREAM)
    packed = Packed(path=str(path), sha256=sha256_file(path), name="base/modules")
    main([packed.argument(), str(tmp_path / "kept")])
    assert kept_streams(tmp_path / "kept") == read_modules(STREAM.encode(), name="base/modules")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 2\n", "version: 3\n", "modulemd version 3 is not known"),
        ("  name: tool\n", "", "KeyError('name')"),
        ("90120250101", "x", "invalid literal for int"),
        ("data:\n", "data: [\n", "while parsing a flow"),
        ("document: modulemd\n", "", "KeyError('document')"),
    ],
)
def test_what_is_no_module_metadata_is_refused(old: str, new: str, said: str) -> None:
    assert old in STREAM
    with pytest.raises(TrustError) as caught:
        read_modules(STREAM.replace(old, new, 1).encode(), name="base/modules")
    assert caught.value.message.startswith("base/modules: not module metadata: ")
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["- a\n", "text\n", "<html></html>\n", "\0"])
def test_another_document_is_refused(text: str) -> None:
    with pytest.raises(TrustError, match=r"^base/modules: not module metadata"):
        read_modules(text.encode(), name="base/modules")


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modulemd, "MAX_MODULES_BYTES", 10)
    with pytest.raises(TrustError, match=r"^base/modules: larger than 10 bytes; refused$"):
        read_modules(STREAM.encode(), name="base/modules")
