"""Listeners that listen: requests get through, drain, and are counted."""

from __future__ import annotations

import dataclasses
import datetime as dt
import http.client
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from clouds import Account, refused, waited
from emulated import Emulator
from fronts import Front, balancer, group, listener

from goldpress import cloud
from goldpress.host import tools
from goldpress.machine import process
from goldpress.machine.process import Process
from goldpress.workspace import workspace


def test_draining_lets_what_is_open_finish(front: Front) -> None:
    """And is over as soon as nothing is open, long before the delay of five minutes."""
    front.register(0, 1)
    for number in (0, 1):
        front.becomes(number, "healthy")
    load = front.traffic(connections=6, slow=3, slow_path="/slow?2")
    load.start()
    waited("slow requests on both", lambda: front.webs[0].open and front.webs[1].open, 10)
    front.deregister(0)
    assert front.health(0) == {
        "State": "draining",
        "Reason": "Target.DeregistrationInProgress",
        "Description": "Target deregistration is in progress",
    }
    waited("the end of draining", lambda: front.health(0)["State"] == "unused", 15)
    assert front.webs[0].open == 0
    # Gone from one moment to the next, and nobody notices.
    front.webs[0].end()
    time.sleep(0.5)
    report = load.stop()
    assert report.failures == ()
    assert report.slow >= 3


def test_the_delay_ends_what_takes_longer(front: Front) -> None:
    front.elb.modify_target_group_attributes(
        TargetGroupArn=front.group,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}],
    )
    front.register(0)
    front.becomes(0, "healthy")
    load = front.traffic(connections=1, slow=1, slow_path="/slow?3")
    load.start()
    waited("a slow request", lambda: front.webs[0].open, 10)
    front.deregister(0)
    front.account.emulator.ask("clock", {"advance": 31})
    assert front.webs[0].open
    assert front.health(0)["State"] == "unused"
    # What is open goes on until the target itself ends.
    report = load.stop()
    assert (report.slow, report.failures) == (1, ())


def metric(front: Front, name: str, *, both: bool = True, stat: str = "Sum") -> list[float]:
    dimensions = [{"Name": "LoadBalancer", "Value": front.load_balancer.partition("/")[2]}]
    if both:
        dimensions.append({"Name": "TargetGroup", "Value": front.group.rpartition(":")[2]})
    now = dt.datetime.fromtimestamp(front.account.emulator.ask("clock")["now"], dt.UTC)
    asked = {
        "Metric": {
            "Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions
        },
        "Period": 3600, "Stat": stat,
    }  # fmt: skip
    (row,) = front.account.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m", "MetricStat": asked}],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(minutes=1),
    )["MetricDataResults"]
    values: list[float] = row["Values"]
    return values


def test_requests_become_metrics(front: Front) -> None:
    """[D] What did not occur is missing, not zero; errors of its own are the load balancer's."""
    assert metric(front, "RequestCount") == []
    load = front.traffic(connections=1)
    load.start()
    time.sleep(0.2)
    own = len(load.stop().failures)
    front.register(0, 1)
    for number in (0, 1):
        front.becomes(number, "healthy")
    waited("members", lambda: all(m["mode"] == "ready" for m in members(front)), 5)
    front.webs[1].status = 500
    load = front.traffic(connections=4, slow=2, slow_path="/slow?0.3")
    load.start()
    time.sleep(1.0)
    report = load.stop()
    waited("the log", lambda: sum(metric(front, "RequestCount")) == report.requests, 5)
    assert sum(metric(front, "HTTPCode_Target_5XX_Count")) == len(report.failures) > 0
    assert sum(metric(front, "HTTPCode_Target_2XX_Count")) == report.answered
    assert sum(metric(front, "HTTPCode_ELB_5XX_Count", both=False)) == own > 0
    # [D] Errors of the load balancer's own have no target group.
    assert metric(front, "HTTPCode_ELB_5XX_Count") == []
    (slowest,) = metric(front, "TargetResponseTime", stat="Maximum")
    (median,) = metric(front, "TargetResponseTime", stat="p50", both=False)
    assert slowest >= 0.3 > median
    assert max(metric(front, "HealthyHostCount", stat="Maximum")) <= 2


def members(front: Front) -> list[dict[str, Any]]:
    (row,) = [r for r in front.account.emulator.ask("balancers") if r["listener"] == front.listener]
    return list(row["members"].values())


def test_errors_of_targets_raise_an_alarm(front: Front) -> None:
    cloudwatch = front.account.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=[{"Name": "LoadBalancer", "Value": front.load_balancer.partition("/")[2]}],
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=5,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    front.register(0)
    front.becomes(0, "healthy")
    front.account.emulator.ask("clock", {"advance": 60})
    assert state(cloudwatch) == "OK"
    front.webs[0].status = 500
    load = front.traffic()
    load.start()
    waited("errors", lambda: len(load.report().failures) > 10, 10)
    load.stop()
    front.account.emulator.ask("clock", {"advance": 60})
    assert state(cloudwatch) == "ALARM"


def state(cloudwatch: Any) -> str:
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_a_listener_can_be_moved_to_another_group(front: Front) -> None:
    front.register(0)
    front.becomes(0, "healthy")
    other = group(front.account, "other")
    front.elb.register_targets(TargetGroupArn=other, Targets=front.targets(1))
    front.elb.modify_listener(
        ListenerArn=front.listener,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": other}],
    )
    address, port = front.place

    def answered() -> bool:
        connection = http.client.HTTPConnection(address, port, timeout=5)
        connection.request("GET", "/page")
        body = connection.getresponse().read().decode()
        connection.close()
        return body.startswith(front.webs[1].address)

    waited("the other group", answered, 5)
    refused(
        "InvalidConfigurationRequest",
        front.elb.modify_listener, ListenerArn=front.listener, Port=81,
    )  # fmt: skip


def test_without_its_listener_nothing_listens_and_targets_are_unused(front: Front) -> None:
    front.register(0)
    front.becomes(0, "healthy")
    address, port = front.place
    front.elb.delete_listener(ListenerArn=front.listener)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address, port), timeout=5)
    assert front.health(0)["Reason"] == "Target.NotInUse"


def test_what_cannot_listen_is_refused_and_not_there(account: Account) -> None:
    tools.ensure(tools.BALANCER)
    arn, other = balancer(account), group(account, "tls", Protocol="HTTPS", Port=443)
    for action, code in (
        ([{"Type": "forward", "TargetGroupArn": other}], "UnsupportedProtocol"),
        (
            [
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": group(account, "a"), "Weight": 1},
                            {"TargetGroupArn": group(account, "b"), "Weight": 1},
                        ]
                    },
                }
            ],
            "InvalidLoadBalancerAction",
        ),
    ):
        elb = account.client("elbv2")
        refused(
            code, elb.create_listener, LoadBalancerArn=arn, Protocol="HTTP", Port=80,
            DefaultActions=action,
        )  # fmt: skip
        assert elb.describe_listeners(LoadBalancerArn=arn)["Listeners"] == []


def test_a_killed_clouds_balancers_are_ended_by_the_next(
    tmp_path: Path, emulator: Emulator
) -> None:
    tools.ensure(tools.BALANCER)
    ws = dataclasses.replace(workspace({}), build=tmp_path)
    one = cloud.up(ws, settings={"driver": "virtual"})
    try:
        account = Account(emulator=dataclasses.replace(emulator, url=one.url), id=cloud.ACCOUNT)
        listener(account, balancer(account), group(account))
        (row,) = one.ask("balancers")
        (path,) = one.directory.glob("balancers/*/balancer.json")
        haproxy = Process(**json.loads(path.read_bytes()))
        with socket.create_connection((row["address"], row["port"]), timeout=5):
            pass
        (shown,) = account.client("elbv2").describe_load_balancers()["LoadBalancers"]
        assert shown["DNSName"] == row["address"]
        os.kill(one.process.pid, signal.SIGKILL)
        waited("its end", lambda: cloud.running(ws) is None, 10)
        assert process.is_running(haproxy)
        cloud.up(ws)
        assert not process.is_running(haproxy)
    finally:
        cloud.down(ws)
