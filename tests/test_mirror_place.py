from __future__ import annotations

from pathlib import Path

import pytest

from goldpress.errors import TrustError
from goldpress.mirror.transfer.place import (
    checked_href,
    host_of,
    local_base,
    location,
    redirected,
    shown,
)


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("Packages/bash-5.1.rpm", "https://a.org/os/Packages/bash-5.1.rpm"),
        ("P/libstdc++-1~rc^2.rpm", "https://a.org/os/P/libstdc%2B%2B-1~rc%5E2.rpm"),
        ("P/a%2Bb.rpm", "https://a.org/os/P/a%2Bb.rpm"),
    ],
)
def test_an_address_is_encoded_once(href: str, expected: str) -> None:
    assert location("https://a.org/os/", href) == expected
    assert location(Path("/srv"), href) == Path("/srv") / href


@pytest.mark.parametrize(
    "href",
    [
        *("", "/etc/passwd", "//evil.org/x", "../x", "a/../../x", "a/./x", "a//x", "a/"),
        *("http://evil.org/x", "file:///x", "c:/x", "a\\..\\x", "a/%2e%2e/x", "%2fetc", "a\nb"),
        *("a\0b", "a%00b", "a%5cb", "a?b", "a#b"),
    ],
)
def test_a_href_stays_in_its_repository(href: str) -> None:
    with pytest.raises(ValueError, match="leaves its repository; the metadata is not usable"):
        checked_href(href)
    with pytest.raises(TrustError) as caught:
        location("https://me:secret@a.org", href)
    assert str(caught.value).startswith(f"https://a.org: the href {href!r} leaves its repository")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (Path("/srv"), Path("/srv")),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("/srv", Path("/srv")),
        ("https://a.org/", None),
        ("http://a.org/", None),
    ],
)
def test_what_is_local(base: str | Path, expected: Path | None) -> None:
    assert local_base(base) == expected


def test_an_address_is_shown_without_secrets() -> None:
    assert shown("https://me:secret@a.org:8443/x?token=1#y") == "https://a.org:8443/x?..."
    assert shown("http://a.org/x") == "http://a.org/x"
    assert shown("file:///a%20b") == "file:///a%20b"
    assert shown(Path("/srv/x")) == "/srv/x"
    assert host_of("https://me:secret@A.org:8443/x") == "a.org:8443"


@pytest.mark.parametrize(
    ("url", "target", "expected"),
    [
        ("http://a.org/x", "https://b.org/y", "https://b.org/y"),
        ("https://a.org/x", "//b.org/y", "https://b.org/y"),
        ("https://a.org/deep/x", "../y?a=1", "https://a.org/y?a=1"),
        # From inside to inside, and from inside out.
        ("http://10.1.2.3/x", "http://192.168.0.1/y", "http://192.168.0.1/y"),
        ("http://127.0.0.1:1/x", "http://localhost:2/y", "http://localhost:2/y"),
        ("http://10.1.2.3/x", "http://b.org/y", "http://b.org/y"),
    ],
)
def test_a_redirect_may_be_safer_never_less_safe(url: str, target: str, expected: str) -> None:
    assert redirected(url, target) == expected


@pytest.mark.parametrize(
    ("url", "target", "message"),
    [
        ("https://a.org/x", "http://b.org/y", "redirects to http://b.org/y; refused"),
        ("http://a.org/x", "ftp://b.org/y", "redirects to ftp://b.org/y; refused"),
        ("http://a.org/x", "file:///etc/passwd", "redirects to file:///etc/passwd; refused"),
        ("http://a.org/x", "http://u:p@b.org/", "redirects to http://b.org/; an address with a "),
        ("http://a.org/x", "http://169.254.169.254/latest", "; from outside into a network; "),
        ("http://a.org/x", "http://127.1/", "http://127.1/; from outside into a network; refused"),
        ("http://a.org/x", "http://2130706433/", "; from outside into a network; refused"),
        ("http://a.org/x", "http://[::1]/", "; from outside into a network; refused"),
        ("http://a.org/x", "http://[::ffff:10.0.0.1]/", "; from outside into a network; refused"),
        ("http://a.org/x", "http://10.0.0.1/?a=b", "http://10.0.0.1/?...; from outside into a n"),
        ("http://a.org/x", "http://localhost/", "; from outside into a network; refused"),
        ("http://a.org/x", "http://a.localhost./", "; from outside into a network; refused"),
        # A private network is not this machine.
        ("http://10.0.0.1/x", "http://127.0.0.1/", "; from outside into a network; refused"),
        ("http://10.0.0.1/x", "http://169.254.169.254/", "; from outside into a network; refused"),
    ],
)
def test_a_redirect_to_a_less_safe_place_is_refused(url: str, target: str, message: str) -> None:
    with pytest.raises(TrustError) as caught:
        redirected(url, target)
    assert str(caught.value).startswith(f"{url}: redirects to ")
    assert message in str(caught.value)
