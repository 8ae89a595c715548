"""The policy's commands, and what semodule says when an assertion is broken."""

from __future__ import annotations

from goldpress.rootfs.policy import booleans_local, broken_assertions, semodule_argv

STORE = "/var/lib/selinux/targeted/tmp/modules/400"
#: The words of libsepol 3.4: two assertions, one of them broken by a call of a macro.
SAID = f"""\
neverallow check failed at {STORE}/goldpress/cil:213
  (neverallow gp_pool gp_port_other (tcp_socket (name_connect)))
    <root>
    optional at {STORE}/hole/cil:1
    allow at {STORE}/hole/cil:2
      (allow gp_php_app_t http_port_t (tcp_socket (name_connect)))

neverallow check failed at {STORE}/goldpress/cil:199
  (neverallow gp_pool gp_guarded (file (execute_no_trans)))
    <root>
    call at {STORE}/hole-2/cil:4
    allow at {STORE}/goldpress/cil:140
      (allow gp_php_app_t shell_exec_t (file (execute)))
    <root>
    call at {STORE}/hole-2/cil:4
    allow at {STORE}/goldpress/cil:141
      (allow gp_php_app_t bin_t (file (execute)))

Failed to generate binary
semodule:  Failed!
"""
ONE = (
    "hole.cil:1 (allow gp_php_app_t http_port_t (tcp_socket (name_connect)))"
    " against goldpress.cil:213 (neverallow gp_pool gp_port_other (tcp_socket (name_connect)))"
)
TWO = (
    "hole-2.cil:4 (allow gp_php_app_t shell_exec_t (file (execute))),"
    " hole-2.cil:4 (allow gp_php_app_t bin_t (file (execute)))"
    " against goldpress.cil:199 (neverallow gp_pool gp_guarded (file (execute_no_trans)))"
)


def test_modules_are_installed_and_others_left_out_at_once() -> None:
    assert semodule_argv(["/a.cil", "/b.cil"], ["games", "tftp"]) == (
        "semodule", "-N", "-s", "targeted", "-d", "games", "-d", "tftp",
        "-X", "400", "-i", "/a.cil", "/b.cil",
    )  # fmt: skip
    assert semodule_argv([]) == ("semodule", "-N", "-s", "targeted", "-B")


def test_booleans_as_the_store_has_them() -> None:
    assert booleans_local({"b_two": True, "a_one": False}) == "a_one=0\nb_two=1\n"


def test_each_broken_assertion_is_told_with_what_breaks_it() -> None:
    assert broken_assertions(SAID) == [ONE, TWO]


def test_what_is_another_failure_is_no_broken_assertion() -> None:
    assert broken_assertions("Failed to resolve allow statement at a/cil:1\nFailed!\n") == []
