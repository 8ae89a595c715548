"""Owns visits: what is asked of the web server from the machine itself, well-meant and not."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promise import Promise

CURL = "curl --silent --show-error --include --max-time 30 --path-as-is"
#: A name that no server block has.
NOBODY = "nobody.invalid"
#: Comes with a request's query string, and has no business in a log.
MARK = "goldpress-query"
#: Larger than any body that a pool takes.
OVERSIZE_MIB = 64
#: What each handshake offers: with nothing of the system's own limits, only the server's count.
HANDSHAKES = {
    "tls-1.1": "-tls1_1 -cipher ALL:@SECLEVEL=0",
    "tls-1.2": "-tls1_2",
    "tls-1.3": "-tls1_3",
    "tls-cbc": "-tls1_2 -cipher AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
}


def visit(path: str, host: str, words: str = "") -> str:
    """One request by HTTP; headers and body, and what curl complains of."""
    given = f"{words} " if words else ""
    url = shlex.quote(f"http://127.0.0.1{path}")
    return f"{CURL} {given}--header {shlex.quote(f'Host: {host}')} {url} 2>&1"


def handshake(words: str, host: str) -> str:
    """One TLS handshake; what openssl says of it."""
    return (
        "echo | OPENSSL_CONF=/dev/null timeout 30 openssl s_client -connect 127.0.0.1:443"
        f" -servername {shlex.quote(host)} {words} 2>&1"
    )


def sections(promise: Promise) -> dict[str, str]:
    """Section -> command, for all pools of the promise; the first one's application is visited."""
    if not promise.pools:
        return {}
    host = promise.pools[0].host
    static = str(promise.parameters.get("web-static-cached", {}).get("path", "/"))
    found = {
        "page": visit(f"/?secret={MARK}", host),
        "static": visit(static, host),
        "missing": visit("/.git/config", host),
        "healthz": visit("/healthz", "10.0.0.1"),
        "healthz-pool": visit("/healthz", host),
        "unknown-host": visit("/", NOBODY),
        "unknown-host-tls": (
            f"{CURL} --insecure --resolve {NOBODY}:443:127.0.0.1 https://{NOBODY}/ 2>&1"
        ),
        # Refused by its announced length: nothing of it is sent.
        "oversize": (
            f"truncate --size={OVERSIZE_MIB}M /run/goldpress-oversize && "
            + visit(
                "/upload",
                host,
                "--request POST --expect100-timeout 20 --header 'Expect: 100-continue'"
                " --upload-file /run/goldpress-oversize",
            )
            + "; status=$?; rm -f /run/goldpress-oversize; exit $status"
        ),
        "php-file": "; echo; ".join(
            visit(path, host)
            for path in ("/shell.php", "/index.php/x", "/uploads/shell.phtml", f"{static}/x.php")
        ),
        "source": visit("/%2e%2e/src/pages.php", host),
        # The log is written when the request has ended, by way of the journal.
        "access-log": "sleep 1; journalctl --boot --no-pager --output cat --identifier nginx",
    }
    for pool in promise.pools[1:]:
        found[f"page-{pool.name}"] = visit("/", pool.host)
    found.update({name: handshake(words, host) for name, words in HANDSHAKES.items()})
    return found
