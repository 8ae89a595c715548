from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.metadata.streams import read_streams

MODULES = """\
---
document: modulemd
version: 2
data:
  name: perl
  stream: 5.40
  version: 9050020241112094217
  context: 9
  arch: x86_64
  artifacts:
    rpms:
      - perl-4:5.40.0-1.module_el9+1+abcd.x86_64
...
---
document: modulemd-defaults
version: 1
data:
  module: perl
  stream: 5.40
...
---
document: modulemd
version: 2
data: {name: empty, stream: "1", version: 1, arch: x86_64}
...
"""


def test_streams_are_text() -> None:
    assert read_streams(MODULES.encode()) == {
        "perl-4:5.40.0-1.module_el9+1+abcd.x86_64": "perl:5.40"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "modules: not module metadata: TypeError"),
        ("a: [", "modules: not module metadata: .*ParserError"),
        (MODULES.replace("name: perl", "name: per|l"), "'per.l:5.40' is not a module and its"),
        (MODULES.replace("artifacts:", "artifacts: rpms\n  other:"), "not module metadata: Attr"),
        ("x" * (65 << 20), "modules: larger than 67108864 bytes; refused"),
    ],
)
def test_what_is_no_module_metadata_is_refused(text: str, message: str) -> None:
    with pytest.raises(TrustError, match=message):
        read_streams(text.encode())


@pytest.mark.metadata
def test_the_real_streams(real_metadata: Path) -> None:
    (file,) = real_metadata.glob("AppStream-*/repodata/*-modules.yaml.xz")
    found = read_streams(lzma.decompress(file.read_bytes()))
    assert {"php:8.1", "php:8.2", "php:8.3", "nginx:1.22", "nginx:1.24"} <= set(found.values())
    assert len(found) > 500
