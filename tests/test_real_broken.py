"""A control broken on purpose stops the build: its id is said, and what to do."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pressing import PROJECT, sandbox_press, variant
from suites import web_controls

from goldpress.build import promises
from goldpress.digest import canonical_json
from goldpress.errors import BuildError, DocumentError, VerifyError
from goldpress.host import trees
from goldpress.host.confine import in_namespace, remove_tree
from goldpress.host.trees import Change, write
from goldpress.press import Press, Pressed
from goldpress.verify.offline import check_tree

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
Break = Callable[[Path, Press, Path], None]


@pytest.fixture(scope="module")
def press() -> Press:
    """The sandbox's press."""
    return sandbox_press()


@pytest.fixture(scope="module")
def pressed(press: Press) -> Pressed:
    """The hardened image."""
    return press.press()


@pytest.fixture
def rootfs(pressed: Pressed, tmp_path: Path) -> Iterator[Path]:
    """A copy of its trees and labels, to spoil."""
    copy = tmp_path / "rootfs"
    in_namespace(("cp", "-a", "--reflink=auto", pressed.stages["rootfs"].directory, copy))
    try:
        yield copy
    finally:
        remove_tree(copy)


def writes(path: str, text: str, mode: int = 0o644) -> Break:
    """One file more in the tree."""
    change = write(path, text.encode(), mode=mode)

    def broken(rootfs: Path, _press: Press, _folder: Path) -> None:
        trees.apply(rootfs / "tree", [change])
        labels = json.loads((rootfs / "labels.json").read_bytes())
        labels.setdefault(path, "system_u:object_r:usr_t:s0")
        (rootfs / "labels.json").write_bytes(canonical_json(labels))

    return broken


def edits(path: str, command: str) -> Break:
    """One line of a file changed."""

    def broken(rootfs: Path, _press: Press, _folder: Path) -> None:
        before = (rootfs / "tree" / path).read_bytes()
        in_namespace(("sed", "-i", command, rootfs / "tree" / path))
        assert (rootfs / "tree" / path).read_bytes() != before

    return broken


def enables(unit: str) -> Break:
    """One unit more enabled."""
    wants = "/etc/systemd/system/multi-user.target.wants"
    link = Change(kind="link", path=f"{wants}/{unit}", target=f"/usr/lib/systemd/system/{unit}")

    def broken(rootfs: Path, _press: Press, _folder: Path) -> None:
        trees.apply(rootfs / "tree", [link])

    return broken


def relabels(path: str, kind: str) -> Break:
    """Another label, after labelling."""

    def broken(rootfs: Path, _press: Press, _folder: Path) -> None:
        labels = json.loads((rootfs / "labels.json").read_bytes())
        labels[path] = f"system_u:object_r:{kind}:s0"
        (rootfs / "labels.json").write_bytes(canonical_json(labels))

    return broken


def flips(rootfs: Path, press: Press, folder: Path) -> None:
    """A boolean of the compiled policy, flipped: the policy of another definition."""
    text = (PROJECT / "images/web/image.yaml").read_text()
    on = text.replace("httpd_can_network_connect: false", "httpd_can_network_connect: true")
    assert on != text
    other = variant(press, folder / "web", {"image.yaml": on})
    policy = dataclasses.replace(press, definition=other.definition).policy(press.packages())
    for path in (policy.directory / "etc-selinux/targeted/policy").glob("policy.*"):
        in_namespace(("cp", path, rootfs / "tree/etc/selinux/targeted/policy" / path.name))


BROKEN: list[tuple[str, Break, str]] = [
    (
        "web-nginx-version-hidden",
        edits("etc/nginx/nginx.conf", "/server_tokens/d"),
        "nginx: server_tokens is absent, not off",
    ),
    (
        "os-selinux-labels",
        relabels("/usr/sbin/php-fpm", "bin_t"),
        "labels: /usr/sbin/php-fpm is bin_t, not httpd_exec_t",
    ),
    ("os-selinux-booleans", flips, "not as promised: httpd_can_network_connect is True"),
    (
        "web-php-sandbox",
        edits("usr/lib/systemd/system/goldpress-php-app.service", "/^NoNewPrivileges/d"),
        "pool app: NoNewPrivileges is absent, not yes",
    ),
    (
        "identity-no-baked-host-key",
        writes("/etc/ssh/ssh_host_rsa_key", "key\n", 0o600),
        "host keys in the tree: /etc/ssh/ssh_host_rsa_key",
    ),
    (
        "identity-machine-id-baked-empty",
        writes("/etc/machine-id", f"{'1' * 32}\n"),
        "/etc/machine-id: [('f', 33)], not an empty file",
    ),
    (
        "os-world-writable-files",
        writes("/usr/share/open", "x", 0o666),
        "writable by everybody: /usr/share/open",
    ),
    (
        "os-services",
        enables("systemd-time-wait-sync.service"),
        "enabled, not promised: systemd-time-wait-sync.service",
    ),
    (
        "os-setuid-files",
        writes("/usr/bin/rootly", "#!/bin/sh\n", 0o4755),
        "setuid or setgid, not allowed to be: /usr/bin/rootly",
    ),
    (
        "os-audit-immutable",
        edits("etc/audit/audit.rules", "/^-e 2/d"),
        "audit.rules ends with",
    ),
]


@pytest.mark.parametrize(("control", "breaks", "message"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_control_stops_the_build(  # noqa: PLR0917 - fixtures and one row of the table
    press: Press,
    pressed: Pressed,
    rootfs: Path,
    tmp_path: Path,
    control: str,
    breaks: Break,
    message: str,
) -> None:
    breaks(rootfs, press, tmp_path)
    controls = web_controls()
    with pytest.raises(VerifyError) as caught:
        check_tree(
            rootfs,
            suite=PROJECT / "verify",
            facts=promises(pressed),
            directory=tmp_path,
            controls=controls,
        )
    said = caught.value.message
    assert f"\n  {control}: {message}" in said
    assert f"\n    what to do: {controls.every[control].what_to_do}" in said
    assert caught.value.hint == "no disk was made of it"


def test_a_violated_neverallow_stops_the_build(press: Press, tmp_path: Path) -> None:
    rule = "(allow gp_php_app_t shell_exec_t (file (execute_no_trans)))"
    broken = variant(press, tmp_path / "web", {"selinux/hole.cil": f"{rule}\n"})
    with pytest.raises(BuildError) as caught:
        broken.press()
    said = caught.value.message
    assert f"\n  os-selinux-assertions: hole.cil:1 {rule} against goldpress.cil:" in said
    todo = web_controls().controls["os-selinux-assertions"].what_to_do
    assert said.endswith(f"\n    what to do: {todo}")
    assert caught.value.hint == "no tree was made with it"


def test_a_waiver_that_is_over_stops_the_build(press: Press, tmp_path: Path) -> None:
    text = (PROJECT / "images/web/controls.yaml").read_text()
    assert "2027-12-31" in text
    over = variant(press, tmp_path / "web", {"controls.yaml": text.replace("2027-", "2025-")})
    with pytest.raises(DocumentError) as caught:
        over.press()
    said = caught.value.message.splitlines()
    assert (
        "os-sudo: the waiver of CIS 5.2.4 wants a password for sudo expired on 2025-12-31;"
        " image owners owns it"
    ) in said
    assert "let its owner renew the waiver in controls.yaml" in caught.value.hint
