"""Owns the checks of the compiled SELinux policy: who may do what, whatever a module meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from directives import different, pairs
from promise import Promise
from sections import Facts
from watched import Watched

RULE = re.compile(r"allow (\S+) (\S+):(\S+) (?:\{ ([^}]*) \}|(\S+));(?: \[ (.*) \]:(\w+))?")
NGINX = "gp_nginx_t"
LOGS = "gp_logs_t"
WRITING = {"append", "create", "link", "rename", "setattr", "unlink", "write"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the policy: what `source` may do with `target` of a class."""

    source: str
    target: str
    kind: str
    permissions: frozenset[str]


def parsed(tree: Facts, section: str) -> list[Rule]:
    """All rules of a section; a rule that depends on a boolean counts as if it were on."""
    found = []
    for row in tree.good(section).lines:
        match = RULE.fullmatch(row.strip())
        assert match, f"not a rule: {row!r}"
        source, target, kind, several, one, *_ = match.groups()
        permissions = frozenset((several or one).split())
        found.append(Rule(source=source, target=target, kind=kind, permissions=permissions))
    return found


def rules(tree: Facts, domain: str) -> list[Rule]:
    """The rules of a domain: its own, and those of attributes that are ours."""
    found = parsed(tree, "policy-rules")
    own = [r for r in found if r.source == domain]
    assert own, f"the policy has no rule for {domain}"
    ours = [r for r in found if r.source.startswith("gp_") and not r.source.endswith("_t")]
    return [*own, *ours]


def targets(
    found: Iterable[Rule], permissions: Iterable[str], kinds: Iterable[str] = ()
) -> set[str]:
    """Types on which at least one of the permissions is allowed, in these classes or any."""
    wanted, classes = set(permissions), set(kinds)
    return {
        r.target for r in found if r.permissions & wanted and (not classes or r.kind in classes)
    }


@pytest.mark.control("os-selinux-targeted")
def test_configured_enforcing_and_targeted(tree: Facts) -> None:
    """The configuration says enforcing and targeted."""
    settings = pairs(tree.good("selinux-config").lines)
    found = (settings.get("SELINUX"), settings.get("SELINUXTYPE"))
    assert found == ("enforcing", "targeted"), f"/etc/selinux/config says {found}"


@pytest.mark.control("os-selinux-assertions")
def test_assertions_are_checked(tree: Facts) -> None:
    """Whoever builds the policy anew has its neverallow rules checked."""
    wrong = different(pairs(tree.good("semanage").lines), {"expand-check": 1})
    assert not wrong, f"semanage.conf: {'; '.join(wrong)}"


@pytest.mark.control("os-selinux-booleans")
def test_booleans(tree: Facts, promise: Promise) -> None:
    """The promised booleans have their values in the compiled policy."""
    found = {}
    for row in tree.good("policy-booleans").lines:
        word, name, value = row.strip().rstrip(";").split()
        assert word == "bool", f"not a boolean: {row!r}"
        found[name] = value == "true"
    assert promise.booleans, "the input promises no boolean"
    wrong = [f"{n} is {found.get(n)}" for n, v in promise.booleans.items() if found.get(n) is not v]
    assert not wrong, f"not as promised: {', '.join(wrong)}"


@pytest.mark.control("os-selinux-no-permissive")
def test_no_permissive_domain(tree: Facts) -> None:
    """No domain is permissive."""
    found = tree.good("policy-permissive").lines
    assert not found, f"permissive: {', '.join(row.strip() for row in found)}"


@pytest.mark.control("os-selinux-labels")
def test_labels(tree: Facts, parameters: Watched[Any], promise: Promise) -> None:
    """Programs and code have the types that the policy is about; nothing has none."""
    found = {p: c.split(":")[2] for p, c in json.loads(tree.good("labels").text).items()}
    bare = sorted(path for path, kind in found.items() if kind == "unlabeled_t")
    assert not bare, f"unlabelled: {', '.join(bare[:10])}"
    wanted = dict(parameters["types"])
    for pool in promise.pools:
        wanted[f"{pool.public}/index.php"] = f"{pool.types}_public_t"
        wanted[pool.root] = f"{pool.types}_code_t"
    wrong = different(found, wanted)
    assert not wrong, f"labels: {'; '.join(wrong)}"


@pytest.mark.control("os-logs-policy")
def test_logs_policy(tree: Facts, parameters: Watched[Any]) -> None:
    """Who sends the logs connects to log hosts, listens at no port, writes only its own state."""
    found = rules(tree, LOGS)
    reached = sorted(targets(found, {"name_connect"}))
    assert reached, "the sender of logs may connect to nothing"
    other = [port for port in reached if port not in parameters["ports"]]
    assert not other, f"the sender of logs may connect to {other}"
    bound = targets(found, {"name_bind"})
    assert not bound, f"the sender of logs may listen at {sorted(bound)}"
    run = targets(found, {"execute_no_trans"})
    assert not run, f"the sender of logs may run {sorted(run)}"
    written = targets(found, WRITING, {"file", "dir"}) - {LOGS, parameters["state"]}
    assert not written, f"the sender of logs may write {sorted(written)}"


@pytest.mark.control("web-nginx-policy")
def test_nginx_policy(tree: Facts, promise: Promise) -> None:
    """nginx listens at web ports, connects to no port, and runs no program."""
    found = rules(tree, NGINX)
    bound = targets(found, {"name_bind"})
    assert bound == {"http_port_t"}, f"nginx may listen at {sorted(bound)}"
    reached = targets(found, {"name_connect"})
    assert not reached, f"nginx may connect to {sorted(reached)}"
    run = targets(found, {"execute_no_trans"})
    assert not run, f"nginx may run {sorted(run)}"
    hidden = {f"{pool.types}_code_t" for pool in promise.pools}
    read = targets(found, {"read", "open"}, {"file"}) & hidden
    assert hidden, "the input promises no pool"
    assert not read, f"nginx may read {sorted(read)}"


@pytest.mark.control("web-pool-policy")
def test_pool_policy(tree: Facts, promise: Promise) -> None:
    """A pool writes its own files, connects to its database, and runs nothing."""
    assert promise.pools, "the input promises no pool"
    wrong = []
    for pool in promise.pools:
        found = rules(tree, pool.domain)
        reached = targets(found, {"name_connect"}) - {pool.database}
        bound = targets(found, {"name_bind"})
        run = targets(found, {"execute_no_trans"})
        changed = targets(found, {"dyntransition", "transition", "execmem", "execheap"})
        own = {pool.domain, *(f"{pool.types}_{part}_t" for part in ("run", "state", "tmpfs"))}
        written = targets(found, WRITING, {"file", "dir"}) - own
        capable = targets(found, {"dac_override", "setuid", "sys_admin", "net_admin"})
        faults = {
            "connects to": reached,
            "listens at": bound,
            "runs": run,
            "becomes": changed,
            "writes": written,
            "is capable in": capable,
        }
        wrong += [f"{pool.domain} {verb} {' '.join(sorted(s))}" for verb, s in faults.items() if s]
    assert not wrong, f"the policy allows: {'; '.join(wrong)}"


@pytest.mark.control("web-pool-isolation-policy")
def test_pool_isolation(tree: Facts, promise: Promise) -> None:
    """No pool may do anything with what is another pool's."""
    assert promise.pools, "the input promises no pool"
    wrong = []
    for pool in promise.pools:
        others = tuple(f"{other.types}_" for other in promise.pools if other is not pool)
        wrong += [
            f"{rule.source} {rule.target}:{rule.kind}"
            for rule in rules(tree, pool.domain)
            if others and rule.target.startswith(others)
        ]
    assert not wrong, f"the policy allows: {', '.join(wrong)}"


@pytest.mark.control("web-pool-entry-policy")
def test_pool_entry(tree: Facts, promise: Promise) -> None:
    """Only systemd starts a program in a pool's domain."""
    assert promise.pools, "the input promises no pool"
    found = parsed(tree, "policy-entry")
    for pool in promise.pools:
        known = {r.source for r in found if r.target == pool.domain}
        assert known, f"the policy lets nobody start {pool.domain}"
        sources = sorted(known - {"init_t"})
        assert not sources, f"{', '.join(sources)} may become {pool.domain}"
