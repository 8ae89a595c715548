"""Owns a repository as large as the largest: real packages, multiplied until there are enough."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from centos import REPOMD_HEAD

from goldpress.mirror.metadata import primary
from goldpress.mirror.metadata.blocks import package_blocks
from goldpress.mirror.metadata.opened import opened
from goldpress.mirror.metadata.slice import ROOTS

_CHANGE = (
    '  <changelog author="A Packager &lt;packager@example.org&gt; - 1.{}-1" date="170{:07d}">'
    "- Rebuilt for a fix of CVE-2024-{:05d}, and whatever a packager writes in a line\n"
    "- Resolves: RHEL-{:05d}</changelog>\n"
)


def multiplied(real: Path, target: Path, count: int) -> Path:
    """A repository of `count` packages with primary, filelists and other, as real ones have them.

    Names and sha256s of repeated packages are new ones; the files are those of BaseOS in turn.
    """
    repodata = target / "repodata"
    repodata.mkdir(parents=True)
    packages = list(islice(_packages(real), count))
    ids = [sha256 for sha256, _ in packages]
    (lists,) = (real / "BaseOS-2025-filelists").rglob("*-filelists.xml.gz")
    _, bodies = package_blocks(opened(lists), name="filelists", root=ROOTS["filelists"])
    files = [body.partition(b">")[2] for body in bodies]
    changes = "".join(_CHANGE.format(n, n, n, n) for n in range(10)).encode()
    documents = {
        "primary": [block for _, block in packages],
        "filelists": [_package(i, body) for i, body in zip(ids, cycle(files), strict=False)],
        "other": [_package(i, changes + b"</package>") for i in ids],
    }
    rows = []
    for type_, blocks in documents.items():
        space, root = ROOTS[type_]
        more = ' xmlns:rpm="http://linux.duke.edu/metadata/rpm"' if type_ == "primary" else ""
        head = f'<?xml version="1.0"?>\n<{root} xmlns="{space}"{more} packages="{count}">\n'
        data = head.encode() + b"\n".join(blocks) + f"\n</{root}>\n".encode()
        path = repodata / f"{type_}.xml.gz"
        path.write_bytes(gzip.compress(data, 3, mtime=0))
        rows.append(
            f'<data type="{type_}"><checksum type="sha256">'
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}</checksum>"
            f'<location href="repodata/{path.name}"/><timestamp>1736761560</timestamp>'
            f"<size>{path.stat().st_size}</size><open-size>{len(data)}</open-size></data>"
        )
    (repodata / "repomd.xml").write_text(f"{REPOMD_HEAD}{''.join(rows)}</repomd>")
    return target


def _package(sha256: str, body: bytes) -> bytes:
    return f'<package pkgid="{sha256}" name="a" arch="noarch">'.encode() + body


def _packages(real: Path) -> Iterator[tuple[str, bytes]]:
    sources = sorted(real.glob("*/repodata/*-primary.xml.gz"))
    for turn in range(100):
        for source in sources:
            _, blocks = package_blocks(opened(source), name="primary", root=primary.ROOT)
            for block in blocks:
                (sha256,) = re.findall(rb'pkgid="YES">([0-9a-f]{64})<', block)
                new = hashlib.sha256(sha256 + bytes([turn])).hexdigest().encode()
                renamed = block.replace(b"<name>", f"<name>t{turn}-".encode(), 1)
                yield new.decode(), renamed.replace(sha256, new)
