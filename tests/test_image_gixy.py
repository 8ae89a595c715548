"""gixy on the rendered nginx configuration: it finds nothing, and a hole put in makes it red.

No finding is accepted, at any severity. Of gixy's checks one has nothing to go by: `nginx_cves`
compares version numbers, and CentOS fixes its nginx without changing them.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pressing import PROJECT

from goldpress.definition import load_definition
from goldpress.host.run import run
from goldpress.rootfs.overlay import plan_overlay, template_names
from goldpress.rootfs.pools import plan_pools

MAIN = "/etc/nginx/nginx.conf"
APP = "/etc/nginx/pools.d/app.conf"
FASTCGI = "/etc/nginx/goldpress/fastcgi.conf"
HEADERS = "/etc/nginx/goldpress/headers.conf"
REAL_IP = "/run/goldpress/nginx/real-ip.conf"
#: What is not the overlay's: a file of nginx's package, and what /usr/libexec/goldpress/settings
#: makes of the user data.
BESIDE = {
    "/etc/nginx/mime.types": "types { text/html html; }\n",
    REAL_IP: "set_real_ip_from 10.0.0.0/16;\n",
    "/run/goldpress/nginx/app.hosts.conf": "server_name www.example.com *.example.com;\n",
}


def rendered() -> dict[str, str]:
    """Path -> text of every file that nginx reads on a machine."""
    web = load_definition(PROJECT / "images/web")
    overlay = plan_overlay(web.files, template_names(web), plan_pools(web))
    own = {
        change.path: base64.b64decode(change.content).decode()
        for change in overlay
        if change.path.startswith("/etc/nginx/")
    }
    return {**own, **BESIDE}


def findings(files: Mapping[str, str], folder: Path) -> list[str]:
    """`severity check: file` of every finding, with the files moved below `folder`."""
    for path, text in files.items():
        for place in ("/etc/nginx/", "/run/goldpress/"):
            text = text.replace(place, f"{folder}{place}")  # noqa: PLW2901
        moved = folder / path.lstrip("/")
        moved.parent.mkdir(parents=True, exist_ok=True)
        moved.write_text(text)
    # A home of its own, and all levels: nothing that a person set for gixy counts here.
    done = run(
        (Path(sys.executable).with_name("gixy"), "--format", "json", folder / MAIN.lstrip("/")),
        env={"HOME": str(folder)},
        check=False,
        what="gixy",
    )
    # It tells a file that it cannot read on stderr, and calls the rest clean.
    assert done.stderr.decode() == ""
    rows = [
        f"{row['severity']} {row['plugin']}: {row['file'].removeprefix(str(folder))}"
        for row in json.loads(done.text)
    ]
    assert done.returncode == (1 if rows else 0)
    return rows


def test_it_finds_nothing(tmp_path: Path) -> None:
    files = rendered()
    assert {MAIN, APP, "/etc/nginx/pools.d/status.conf", FASTCGI} < set(files)
    assert findings(files, tmp_path) == []


HEALTH = "location = /healthz {"
#: A hole: the file, what is replaced in it by what, and gixy's finding with the file it names.
HOLES = {
    "alias traversal": (
        APP,
        HEALTH,
        f"location /files {{ alias /srv/app/files/; }}\n{HEALTH}",
        f"HIGH alias_traversal: {APP}",
    ),
    "host spoofing": (
        APP,
        HEALTH,
        f"location /o {{ proxy_set_header Host $http_host; proxy_pass http://unix:/x; }}\n{HEALTH}",
        f"MEDIUM host_spoofing: {APP}",
    ),
    "header splitting": (
        APP,
        HEALTH,
        f"location /go {{ return 301 https://$host$uri; }}\n{HEALTH}",
        f"HIGH http_splitting: {APP}",
    ),
    "headers dropped by a location": (
        APP,
        f"        include {HEADERS};\n        add_header Cache-",
        "        add_header Cache-",
        f"MEDIUM add_header_redefinition: {HEADERS}",
    ),
    "headers dropped by an include": (
        FASTCGI,
        "fastcgi_keep_conn off;",
        "fastcgi_keep_conn off;\nadd_header X-Pool app;",
        f"MEDIUM add_header_redefinition: {HEADERS}",
    ),
    "old TLS": (
        MAIN,
        "ssl_protocols TLSv1.2",
        "ssl_protocols TLSv1 TLSv1.2",
        f"HIGH weak_ssl_tls: {MAIN}",
    ),
    "version": (
        MAIN,
        "server_tokens off;",
        "server_tokens on;",
        f"HIGH version_disclosure: {MAIN}",
    ),
    "request forgery": (
        REAL_IP,
        "set_real_ip_from",
        "server { listen 81; location / { proxy_pass http://$http_x; } }\nset_real_ip_from",
        f"HIGH ssrf: {REAL_IP}",
    ),
}


@pytest.mark.parametrize(("path", "old", "new", "found"), HOLES.values(), ids=HOLES)
def test_a_hole_makes_it_red(tmp_path: Path, path: str, old: str, new: str, found: str) -> None:
    files = rendered()
    assert files[path].count(old) == 1
    said = findings({**files, path: files[path].replace(old, new)}, tmp_path)
    assert found in said


def test_a_file_that_is_not_read_is_no_clean_one(tmp_path: Path) -> None:
    files = rendered()
    del files[HEADERS]
    with pytest.raises(AssertionError, match=r"File not found: .*/goldpress/headers.conf"):
        findings(files, tmp_path)
