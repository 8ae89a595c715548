"""The compiled SELinux policy, asked as policy; and modules that it has to refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pressing import sandbox_press

from goldpress.errors import BuildError
from goldpress.host.confine import remove_tree
from goldpress.host.run import run
from goldpress.press import Press
from goldpress.rootfs.policy import compile_policy, plan_modules

pytestmark = [pytest.mark.real, pytest.mark.beside]

POOLS = ("gp_php_app_t", "gp_php_status_t")
DOMAINS = (
    *POOLS,
    "gp_nginx_t",
    "gp_identity_t",
    "gp_hostkeys_t",
    "gp_certificate_t",
    "gp_logs_t",
)
CLASSES = {
    "file": "read,write,open,create,unlink,append",
    "sock_file": "read,write,open,create,unlink",
    "dir": "read,write,open,search,add_name,remove_name",
}
#: What would be a hole, and the beginning of what semodule says to it.
HOLES = {
    "a pool that connects anywhere": (
        "(allow gp_php_app_t http_port_t (tcp_socket (name_connect)))"
    ),
    "a pool without a database that connects to one": (
        "(allow gp_php_status_t postgresql_port_t (tcp_socket (name_connect)))"
    ),
    "a pool that writes its code": "(allow gp_php_app_t gp_php_app_code_t (file (write)))",
    "a pool that runs a shell": "(allow gp_php_app_t shell_exec_t (file (execute_no_trans)))",
    "a pool that reads another's sessions": (
        "(allow gp_php_app_t gp_php_status_state_t (file (open read)))"
    ),
    "a pool that talks to another": (
        "(allow gp_php_app_t gp_php_status_t (unix_stream_socket (connectto)))"
    ),
    "nginx that reads code": "(allow gp_nginx_t gp_php_app_code_t (file (open read)))",
    "nginx that connects": "(allow gp_nginx_t http_port_t (tcp_socket (name_connect)))",
    "a sender of logs that changes them": "(allow gp_logs_t systemd_journal_t (file (write)))",
    "a sender of logs that reads user data": "(allow gp_logs_t gp_run_t (file (open read)))",
    "a domain that makes memory executable": "(allow gp_php_app_t self (process (execmem)))",
    "a domain that reads secrets on their way": (
        "(allow gp_identity_t gp_secret_t (file (open read)))"
    ),
}


@pytest.fixture(scope="module")
def press() -> Press:
    return sandbox_press()


@pytest.fixture(scope="module")
def policy(press: Press) -> Path:
    product = press.policy(press.packages())
    return product.directory / "etc-selinux/targeted/policy" / str(product.facts["policy"])


def allowed(policy: Path, *words: str) -> set[str]:
    """The targets of the allow rules that sesearch finds."""
    done = run(("sesearch", "--allow", *words, policy), check=False, what="sesearch")
    rows = [line.split() for line in done.text.splitlines() if line.startswith("allow ")]
    assert done.returncode == 0, done.stderr.decode()
    return {row[2].partition(":")[0] for row in rows}


def test_every_domain_is_entered_from_systemd_alone(policy: Path) -> None:
    for domain in DOMAINS:
        done = run(("sesearch", "--allow", "-t", domain, "-c", "process", "-p", "transition",
                    "-ds", policy))  # fmt: skip
        entered = {line.split()[1] for line in done.text.splitlines() if "allow" in line}
        assert not entered - {"init_t"}, domain
        direct = run(("sesearch", "--allow", "-s", "init_t", "-t", domain, "-c", "process2",
                      "-p", "nnp_transition", policy))  # fmt: skip
        assert "nnp_transition" in direct.text, domain


def test_who_connects_to_which_port(policy: Path) -> None:
    words = ("-c", "tcp_socket", "-p", "name_connect")
    assert allowed(policy, "-s", "gp_php_app_t", *words) == {"postgresql_port_t"}
    assert allowed(policy, "-s", "gp_php_status_t", *words) == set()
    assert allowed(policy, "-s", "gp_nginx_t", *words) == set()
    assert allowed(policy, "-s", "gp_identity_t", *words) == {"http_port_t"}


def test_who_listens_at_which_port(policy: Path) -> None:
    words = ("-c", "tcp_socket", "-p", "name_bind")
    assert allowed(policy, "-s", "gp_nginx_t", *words) == {"http_port_t"}
    for pool in POOLS:
        assert allowed(policy, "-s", pool, *words) == set()


def test_no_pool_and_not_nginx_runs_a_program(policy: Path) -> None:
    for domain in (*POOLS, "gp_nginx_t"):
        found = allowed(policy, "-s", domain, "-c", "file", "-p", "execute_no_trans")
        # Ten years of prelink: Debian's policy lets every domain run it, and no image has it.
        assert found <= {"prelink_exec_t", "abrt_helper_exec_t"}, domain


def test_what_a_pool_writes_is_its_own(policy: Path) -> None:
    found = allowed(policy, "-s", "gp_php_app_t", "-c", "file", "-p", "create")
    own = {f"gp_php_app_{kind}_t" for kind in ("run", "state", "tmpfs")}
    assert own <= found
    assert not {name for name in found - own if name.startswith("gp_")}
    code = allowed(policy, "-s", "gp_php_app_t", "-t", "gp_php_app_code_t", "-c", "file")
    assert code == {"gp_php_app_code_t"}
    assert allowed(
        policy, "-s", "gp_php_app_t", "-t", "gp_php_app_code_t", "-c", "file", "-p", "write"
    ) == set()  # fmt: skip


def test_pools_do_not_reach_each_other(policy: Path) -> None:
    one, other = "gp_php_status_t", "gp_php_app"
    for kind in ("code", "public", "run", "state", "tmpfs"):
        for what, words in CLASSES.items():
            found = allowed(policy, "-s", one, "-t", f"{other}_{kind}_t", "-c", what, "-p", words)
            assert found == set(), (kind, what)
    assert allowed(
        policy, "-s", one, "-t", f"{other}_t", "-c", "unix_stream_socket", "-p", "connectto"
    ) == set()  # fmt: skip


def test_no_domain_is_permissive(policy: Path) -> None:
    done = run(("seinfo", "--permissive", "--flat", policy))
    assert [line.strip() for line in done.text.splitlines() if line.strip().endswith("_t")] == []


@pytest.mark.parametrize("hole", HOLES)
def test_a_module_that_makes_a_hole_is_refused(press: Press, tmp_path: Path, hole: str) -> None:
    modules = {**plan_modules(press.definition), "hole.cil": HOLES[hole].encode()}
    tree = press.packages().directory / "tree"
    try:
        with pytest.raises(BuildError) as caught:
            compile_policy(tree, modules, press.definition.selinux, tmp_path, what_to_do="close it")
        said = caught.value.message
        assert re.search(
            rf"^  os-selinux-assertions: hole\.cil:1 {re.escape(HOLES[hole])}"
            r" against goldpress\w*\.cil:\d+ \(neverallow .*\)$",
            said,
            re.MULTILINE,
        ), said
        assert said.endswith("\n    what to do: close it")
    finally:
        remove_tree(tmp_path / "store")
        remove_tree(tmp_path / "etc-selinux")


def test_a_module_that_is_disabled_is_not_in_the_policy(press: Press, tmp_path: Path) -> None:
    """CentOS's policy has a permissive domain; the stand-in has other modules to leave out."""
    tree = press.packages().directory / "tree"
    off = ("coreos_installer", "games")
    settings = press.definition.selinux.model_copy(update={"disabled": off})
    try:
        compile_policy(tree, plan_modules(press.definition), settings, tmp_path, what_to_do="")
        (policy,) = (tmp_path / "etc-selinux/targeted/policy").glob("policy.*")
        types = set(run(("seinfo", policy, "--flat", "--type")).text.split())
        assert "httpd_t" in types
        assert "games_t" not in types
    finally:
        remove_tree(tmp_path / "store")
        remove_tree(tmp_path / "etc-selinux")
