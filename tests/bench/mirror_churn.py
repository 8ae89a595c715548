"""Owns a small upstream that changes: its packages, made once, and a local server of it."""

from __future__ import annotations

import functools
import http.server
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from goldpress.host.run import run

#: Enough that a hundredth is something, and few enough to be made in half a minute.
PACKAGES = 300
CHANGED = PACKAGES // 100
#: Bytes that do not compress: as a typical package, which is small.
BODY = 100_000

SPEC = """\
Name: churn
Version: {version}
Release: 1.el9
Summary: many packages
License: none
BuildArch: noarch
%description
They are small.
{packages}
%install
mkdir -p %{{buildroot}}/usr/share
for name in {names}; do head -c {body} /dev/urandom > %{{buildroot}}/usr/share/$name; done
"""
PACKAGE = """\
%package -n {name}
Summary: {name}
%description -n {name}
It has one file.
%files -n {name}
/usr/share/{name}
"""


def make_upstream(directory: Path) -> Path:
    """A repository of `PACKAGES` packages in ``directory/upstream``."""
    upstream = directory / "upstream"
    _build(directory, upstream, "1", [f"churn-{number:03}" for number in range(PACKAGES)])
    return upstream


def churn(directory: Path, upstream: Path) -> None:
    """A newer version of `CHANGED` of its packages, beside the older ones, as CentOS does."""
    _build(directory, upstream, "2", [f"churn-{number:03}" for number in range(CHANGED)])


def _build(directory: Path, upstream: Path, version: str, names: list[str]) -> None:
    spec = directory / f"churn-{version}.spec"
    packages = "".join(PACKAGE.format(name=name) for name in names)
    spec.write_text(
        SPEC.format(version=version, packages=packages, names=" ".join(names), body=BODY)
    )
    top = directory / f"top-{version}"
    run(["rpmbuild", "-bb", "--define", f"_topdir {top}", str(spec)], timeout=600)
    (upstream / "Packages").mkdir(parents=True, exist_ok=True)
    for built in (top / "RPMS").rglob("*.rpm"):
        built.rename(upstream / "Packages" / built.name)
    run(["createrepo_c", "-q", "--no-database", str(upstream)], timeout=600)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _serve(directory: str, tell: Connection) -> None:
    handler = functools.partial(_Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        tell.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """The base URL of a server of the directory, in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(str(directory), there))
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/"
    finally:
        process.terminate()
        process.join()
