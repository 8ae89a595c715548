"""Owns the address that the internet sees of the caller."""

from __future__ import annotations

import ipaddress

import urllib3

from goldpress.errors import CloudError

URL = "https://checkip.amazonaws.com/"
SECONDS = 10


def caller_cidr(url: str = URL) -> str:
    """The caller's public IPv4 address as a range of one. Raises CloudError."""
    hint = "name the range that may reach port 22 as trial.from_cidr in publish.yaml"
    try:
        answer = urllib3.request("GET", url, timeout=SECONDS, retries=2)
        return f"{ipaddress.IPv4Address(answer.data.decode().strip())}/32"
    except urllib3.exceptions.HTTPError as error:
        raise CloudError(
            f"{url} does not tell this machine's address: {error}", hint=hint
        ) from error
    except ValueError as error:
        raise CloudError(f"{url} told no IPv4 address: {error}", hint=hint) from error
