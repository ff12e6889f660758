"""Target tracking, prediction, a fixed number, and the cluster autoscaler, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lab.scaling.autoscalers.base import Load
from lab.scaling.autoscalers.cluster import Change, Cluster, ClusterAutoscaler
from lab.scaling.autoscalers.fixed import FixedAutoscaler, FixedReplicas
from lab.scaling.autoscalers.predictive import Predictive, PredictiveAutoscaler
from lab.scaling.autoscalers.target_tracking import TargetTracking, TargetTrackingAutoscaler
from lab.scaling.distributions import Fixed
from lab.scaling.nodes import Nodes
from lab.scaling.pool import Pods
from lab.scaling.quantities import Period, Seconds, Share


def pods(count: int, since: float = 0.0) -> Pods:
    return Pods(count, (since,) * count)


def minute(
    one: TargetTrackingAutoscaler, number: int, utilization: float, seen: Pods, capacity: int = 10
) -> int:
    """Record a minute of a utilization, and return the number at its end."""
    for second in range(60):
        busy = utilization * seen.ready * capacity
        one.record(Load(60.0 * number - 59 + second, 1.0, 0, busy, busy), seen)
    return one.replicas(60.0 * number, seen)


def test_the_high_alarm_sounds_after_three_minutes() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(), 10)
    assert [minute(one, number, 0.9, pods(4)) for number in (1, 2, 3)] == [4, 4, 8]  # ceil(7.2)


def test_one_quiet_minute_silences_the_high_alarm() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(), 10)
    numbers = [minute(one, n + 1, load, pods(4)) for n, load in enumerate((0.9, 0.9, 0.5, 0.9))]
    assert numbers == [4, 4, 4, 4]


def test_the_low_alarm_sounds_after_fifteen_minutes() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(), 10)
    numbers = [minute(one, number + 1, 0.2, pods(10)) for number in range(15)]
    assert numbers == [10] * 14 + [4]


def test_nothing_is_removed_within_ten_per_cent_of_the_target() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(), 10)
    assert {minute(one, number + 1, 0.46, pods(10)) for number in range(20)} == {10}


def test_nothing_is_removed_during_a_warm_up() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(low_periods=1, high_periods=1), 10)
    assert minute(one, 1, 0.8, pods(5)) == 8
    assert [minute(one, number, 0.1, pods(8)) for number in range(2, 6)] == [8] * 4
    assert minute(one, 6, 0.1, pods(8)) == 2  # the 300 s are over


def test_instances_that_warm_up_are_not_in_the_metric() -> None:
    """The load of two warm instances of four is half of it, over half of the slots."""
    one = TargetTrackingAutoscaler(TargetTracking(high_periods=1), 10)
    assert minute(one, 10, 0.75, Pods(4, (0.0, 0.0, 590.0, 590.0))) == 6  # ceil(4 × 1.5)


def test_a_groups_bounds_hold() -> None:
    one = TargetTrackingAutoscaler(TargetTracking(high_periods=1, max_replicas=6), 10)
    assert minute(one, 1, 1.0, pods(5)) == 6
    assert one.wake(61.0, pods(0)) == 0


def predict(one: PredictiveAutoscaler, loads: list[float]) -> list[int]:
    numbers = []
    for place, load in enumerate(loads):
        now = 10.0 * (place + 1)
        one.record(Load(now, 10.0, 0, load, load), pods(1))
        numbers.append(one.replicas(now, pods(1)))
    return numbers


def test_a_line_is_continued() -> None:
    """10, 20, 30: with all weight on the last, 10 a tick, 60 more in the six ticks to come."""
    settings = Predictive(
        target_utilization=Share(1.0), level_smoothing=Share(1.0), trend_smoothing=Share(1.0)
    )
    one = PredictiveAutoscaler(settings, 10)
    assert predict(one, [10.0, 20.0, 30.0]) == [1, 8, 9]
    assert one.forecast() == 90.0


def test_smoothing_is_holts() -> None:
    """Level 10, then 0.5·20 + 0.5·10 = 15 and trend 0.3·5 = 1.5, then 0.5·20 + 0.5·16.5 = 18.25

    and trend 0.3·3.25 + 0.7·1.5 = 2.025.
    """
    one = PredictiveAutoscaler(Predictive(horizon=Period(10)), 10)
    predict(one, [10.0, 20.0, 20.0])
    assert one.forecast() == pytest.approx(18.25 + 2.025)


def test_a_falling_line_forecasts_the_present_level() -> None:
    settings = Predictive(level_smoothing=Share(1.0), trend_smoothing=Share(1.0))
    one = PredictiveAutoscaler(settings, 10)
    predict(one, [50.0, 30.0])
    assert one.forecast() == 30.0


def test_a_season_is_repeated() -> None:
    """A period of four ticks: the peak of the first is expected a tick before the second."""
    settings = Predictive(
        target_utilization=Share(1.0), horizon=Period(10), period=Seconds(40),
        level_smoothing=Share(1.0), trend_smoothing=Share(0.001),
    )  # fmt: skip
    one = PredictiveAutoscaler(settings, 10)
    assert predict(one, [10, 10, 90, 10, 10, 10])[3:] == [1, 9, 9]


def test_predictions_stay_within_the_bounds() -> None:
    one = PredictiveAutoscaler(Predictive(min_replicas=2, max_replicas=3), 10)
    assert predict(one, [0.0, 1e6]) == [2, 3]
    assert one.initial_replicas == 2


def test_a_fixed_number_stays() -> None:
    one = FixedAutoscaler(FixedReplicas(replicas=7))
    one.record(Load(1.0, 1.0, 9, 1e6, 1e6), pods(7))
    assert (one.initial_replicas, one.replicas(60.0, pods(7)), one.wake(61.0, pods(0))) == (7, 7, 7)


def cluster(**settings: Any) -> ClusterAutoscaler:
    stated = {"nodes": 1, "max_nodes": 9, **settings}
    start = Fixed(value=Seconds(60))
    return ClusterAutoscaler(Cluster(instances_per_node=10, node_start=start, **stated))


def test_nodes_are_added_for_pending_instances_beyond_those_on_their_way() -> None:
    one, nodes = cluster(), Nodes(1, 10)
    assert one.scan(10.0, 25, nodes) == Change(3, ())
    for _ in range(3):
        nodes.add(10.0, 70.0)
    assert one.scan(20.0, 25, nodes) == Change(0, ())
    assert one.scan(30.0, 45, nodes) == Change(2, ())
    assert one.scan(40.0, 999, nodes) == Change(5, ())  # max-nodes is 9, and 4 are there


def test_nodes_are_added_after_the_delay() -> None:
    one, nodes = cluster(new_pod_scale_up_delay=Seconds(15)), Nodes(1, 10)
    assert one.scan(10.0, 5, nodes).add == 0
    assert one.scan(20.0, 5, nodes).add == 0
    assert one.scan(30.0, 5, nodes).add == 1
    assert one.scan(40.0, 0, nodes).add == 0
    assert one.scan(50.0, 5, nodes).add == 0


def test_empty_nodes_are_removed_after_ten_minutes() -> None:
    one, nodes = cluster(), Nodes(1, 10)
    for _ in range(12):
        nodes.add(0.0, 0.0)
    nodes.place(1, 0.0)
    assert one.scan(10.0, 0, nodes).remove == ()
    assert one.scan(600.0, 0, nodes).remove == ()
    assert [node.number for node in one.scan(610.0, 0, nodes).remove] == list(range(1, 11))


def test_no_node_is_removed_soon_after_one_was_added() -> None:
    one, nodes = cluster(), Nodes(1, 10)
    nodes.add(0.0, 0.0)
    one.scan(10.0, 0, nodes)
    assert one.scan(500.0, 1, nodes).add == 1
    assert one.scan(1090.0, 0, nodes).remove == ()
    assert [node.number for node in one.scan(1100.0, 0, nodes).remove] == [0]


def test_a_node_with_instances_is_removed_alone_if_they_fit_elsewhere() -> None:
    one, nodes = cluster(), Nodes(3, 10)
    nodes.place(9, 0.0)  # three on each
    one.scan(10.0, 0, nodes)
    assert [node.number for node in one.scan(610.0, 0, nodes).remove] == [0]
    full, busy = cluster(), Nodes(3, 10)
    busy.place(15, 0.0)  # half of each is taken
    full.scan(10.0, 0, busy)
    assert full.scan(2000.0, 0, busy).remove == ()


def test_the_initial_nodes_stay() -> None:
    one, nodes = cluster(nodes=2), Nodes(2, 10)
    one.scan(10.0, 0, nodes)
    assert one.scan(9000.0, 0, nodes).remove == ()


def test_a_node_that_is_used_again_is_needed() -> None:
    one, nodes = cluster(), Nodes(2, 10)
    one.scan(10.0, 0, nodes)
    placed = nodes.place(12, 300.0)
    one.scan(300.0, 0, nodes)
    for node in placed:
        node.instances -= 1
    one.scan(310.0, 0, nodes)
    assert one.scan(900.0, 0, nodes).remove == ()
    assert len(one.scan(910.0, 0, nodes).remove) == 1


def test_a_node_without_a_limit_takes_any_number() -> None:
    nodes = Nodes(1)
    assert len(nodes.place(10_000, 0.0)) == 10_000
    assert nodes.all[0].free == math.inf
