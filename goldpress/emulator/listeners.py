"""Owns listeners over HTTP: one of an Application Load Balancer really listens, at an address here.

So it does with targets of the type `ip`, and with instances when the driver is `qemu`; others are
records. The load balancer's DNSName is then the address. [M] botocore's `elbv2`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.models import FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from goldpress.emulator import patches
from goldpress.emulator.cloudwatch import book_of
from goldpress.emulator.elbv2 import groups_of, traffic_of
from goldpress.emulator.fronts import Refused
from goldpress.emulator.world import current
from goldpress.errors import GoldpressError


def extend_listeners() -> None:
    """Give moto's listeners ears. Raises RuntimeError when moto has changed."""
    if hasattr(ELBV2Response, "_goldpress_listens"):
        return
    setattr(ELBV2Response, "_goldpress_listens", True)  # noqa: B010 - moto's class
    changes: dict[str, Callable[..., Callable[[Any], ActionResult]]] = {
        "create_listener": _listening,
        "modify_listener": _moving,
        "delete_listener": _closing,
        "delete_load_balancer": _closing_all,
    }
    for name, change in changes.items():
        method = patches.original(ELBV2Response, name, ("self",))
        setattr(ELBV2Response, name, change(method))


def _result(done: ActionResult) -> Mapping[str, Any]:
    found: Any = done.result
    return dict(found)


def _forwarded(backend: Any, listener: Any) -> str:
    """The one target group that a listener forwards everything to. Raises Refused."""
    actions = listener.default_actions
    data = [arn for a in actions for arn in backend._get_target_group_arns_from(a.data)]  # noqa: SLF001
    if len(actions) != 1 or actions[0].type != "forward" or len(data) != 1:
        raise Refused(
            "InvalidLoadBalancerAction",
            "the embedded cloud's listeners forward everything to one target group",
        )
    if listener.protocol != "HTTP" or backend.target_groups[data[0]].protocol != "HTTP":
        raise Refused(
            "UnsupportedProtocol", "the embedded cloud's load balancers speak HTTP, both ways"
        )
    return str(data[0])


def _is_real(group: FakeTargetGroup) -> bool:
    if group.target_type == "instance":
        return current().settings.driver == "qemu"
    return bool(group.target_type == "ip")


def _of_a_group(backend: Any, listener: Any) -> str:
    """The target group behind a listener that has to listen; empty when it has not."""
    arns = [
        arn
        for action in listener.default_actions
        for arn in backend._get_target_group_arns_from(action.data)  # noqa: SLF001 - as above
    ]
    if not any(_is_real(backend.target_groups[arn]) for arn in arns):
        return ""
    return _forwarded(backend, listener)


def _listening(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def create_listener(self: Any) -> ActionResult:
        """[M] CreateListener; what cannot listen is refused, and is not there afterwards."""
        done = original(self)
        backend = self.elbv2_backend
        (listener,) = _result(done)["Listeners"]
        try:
            group = _of_a_group(backend, listener)
            if group:
                load_balancer = backend.load_balancers[listener.load_balancer_arn]
                load_balancer.dns_name = traffic_of(current()).begin(
                    listener=listener.arn,
                    port=int(listener.port),
                    load_balancer=load_balancer.arn,
                    target_group=group,
                    groups=groups_of(self.current_account, self.region),
                    metrics=book_of(self.current_account, self.region).metrics,
                )
        except (Refused, GoldpressError) as error:
            backend.delete_listener(listener.arn)
            if isinstance(error, Refused):
                raise
            raise Refused("OperationNotPermitted", str(error)) from error
        return done

    return create_listener


def _moving(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def modify_listener(self: Any) -> ActionResult:
        """[M] ModifyListener: another target group behind the same port."""
        front = traffic_of(current()).fronts.get(self._get_param("ListenerArn"))
        port = self._get_param("Port")
        if front is not None and port and int(port) != front.balancer.listener:
            raise Refused(
                "InvalidConfigurationRequest", "the embedded cloud's listeners keep their port"
            )
        done = original(self)
        if front is not None:
            (listener,) = _result(done)["Listeners"]
            front.target_group = _forwarded(self.elbv2_backend, listener)
        return done

    return modify_listener


def _closing(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def delete_listener(self: Any) -> ActionResult:
        """[M] DeleteListener."""
        done = original(self)
        traffic_of(current()).end(self._get_param("ListenerArn"))
        return done

    return delete_listener


def _closing_all(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def delete_load_balancer(self: Any) -> ActionResult:
        """[M] DeleteLoadBalancer: its listeners go with it."""
        done = original(self)
        traffic = traffic_of(current())
        for name, front in list(traffic.fronts.items()):
            if front.load_balancer == self._get_param("LoadBalancerArn"):
                traffic.end(name)
        return done

    return delete_load_balancer


def balancer_list() -> list[dict[str, Any]]:
    """What `/_goldpress/balancers` tells."""
    return [front.described() for front in list(traffic_of(current()).fronts.values())]


def end_balancers() -> None:
    """The cloud ends."""
    with contextlib.suppress(IndexError):
        traffic_of(current()).close()
