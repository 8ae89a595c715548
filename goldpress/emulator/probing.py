"""Owns the health checks that are really requested, where no model can answer for a target.

[D] Application Load Balancers' user guide, "Health checks for Application Load Balancer target
groups": a GET to the target's own address, which is also the Host; a new connection for each; the
answer's status decides, its body does not; certificates are not verified.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from goldpress.emulator.checks import PASSED, Result, Rules, Target, matches, wrong_code
from goldpress.emulator.targets import TargetGroups

AGENT = "ELB-HealthChecker/2.0"
AT_ONCE = 32
TIMED_OUT = Result(reason="Target.Timeout", words="Request timed out")

#: Where a target's port is on this machine; empty, where it is nowhere.
Where = Callable[[str, int], tuple[str, int] | None]


def failed(why: object = "") -> Result:
    """No connection, or no answer that is HTTP."""
    words = f"Health checks failed: {why}" if why else "Health checks failed"
    return Result(reason="Target.FailedHealthChecks", words=words)


def probe(address: str, port: int, rules: Rules) -> Result:
    """Request the health check path once; takes no longer than the rules' timeout, or little."""
    began = time.monotonic()
    connection: http.client.HTTPConnection
    if rules.protocol == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            address, port, timeout=rules.timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(address, port, timeout=rules.timeout)
    try:
        connection.putrequest("GET", rules.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (("Host", address), ("User-Agent", AGENT), ("Connection", "close")):
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
    except TimeoutError:
        return TIMED_OUT
    except (OSError, http.client.HTTPException) as error:
        return failed(type(error).__name__)
    finally:
        connection.close()
    if time.monotonic() - began > rules.timeout:
        return TIMED_OUT
    return PASSED if matches(rules.codes, status) else wrong_code(status)


class Checker:
    """Requests what is due, several targets at once."""

    def __init__(self, groups: Callable[[], Iterable[TargetGroups]], where: Where) -> None:
        self.groups, self.where = groups, where
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="health-check")
        self.lock = threading.Lock()

    def tick(self) -> None:
        """Begin the checks that are due; their results arrive when they are there."""
        for groups in self.groups():
            for group, target, rules in groups.due():
                self.pool.submit(self._check, groups, group, target, rules)

    def _check(self, groups: TargetGroups, group: str, target: Target, rules: Rules) -> None:
        port = rules.check_port or target.port
        place = self.where(target.id, port)
        if place is None:
            result = failed(f"nothing of {target.id} listens on port {port} here")
        else:
            result = probe(*place, rules)
        groups.checked(group, target, result)
