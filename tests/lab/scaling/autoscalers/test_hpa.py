"""Kubernetes' horizontal pod autoscaler: proposals, rates and windows by hand, from its source."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from lab.scaling.autoscalers.base import Load
from lab.scaling.autoscalers.hpa import Hpa, HpaAutoscaler, Usage, proposal
from lab.scaling.pool import Pods
from lab.scaling.quantities import Period, Portion, Seconds, Share


def test_the_defaults_are_those_of_the_controller() -> None:
    assert Hpa() == Hpa(
        metric="cpu", sync_period=Period(15), metric_window=Seconds(15), tolerance=Share(0.1),
        scale_up_percent=100, scale_up_pods=4, scale_up_period=Period(15),
        scale_up_stabilization_window=Seconds(0), scale_down_percent=100,
        scale_down_period=Period(15), scale_down_stabilization_window=Seconds(300),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("current", "usage", "wanted"),
    [
        # usage 0.9 of a target of 0.5: ceil(1.8 × 3) = ceil(5.4)
        (3, Usage(3, 0.9, 0.5), 6),
        # ceil(0.4 × 5) = 2
        (5, Usage(5, 0.2, 0.5), 2),
        # within 10 %: no change
        (3, Usage(3, 0.54, 0.5), 3),
        (3, Usage(3, 0.46, 0.5), 3),
        # just beyond: ceil(1.12 × 3) = 4, ceil(0.88 × 3) = 3
        (3, Usage(3, 0.56, 0.5), 4),
        (3, Usage(3, 0.44, 0.5), 3),
        # no load: none, which the bounds correct
        (3, Usage(3, 0.0, 0.5), 0),
        # no metric of any ready pod: no change
        (3, Usage(0, 0.0, 0.5, unready=3), 3),
        # one of four ready at twice the target: with three unready ones at nothing, half of it
        (4, Usage(1, 1.0, 0.5, unready=3), 4),
        # two of four ready at 3.33 times the target: (2.0 / 4) / 0.3 = 1.67; ceil(1.67 × 4) = 7
        (4, Usage(2, 1.0, 0.3, unready=2), 7),
        # unready ones don't count on the way down: ceil(0.4 × 3) = 2
        (5, Usage(3, 0.2, 0.5, unready=2), 2),
        # two without a metric at all of their request: (0.4 + 2) / 4 / 0.5 = 1.2 turns: no change
        (4, Usage(2, 0.2, 0.5, missing=2), 4),
        # (0.6 + 2) / 8 / 0.8 = 0.406; ceil(0.406 × 8) = 4
        (8, Usage(6, 0.1, 0.8, missing=2), 4),
        # on the way up at nothing: 2.4 / 4 / 0.5 = 1.2; ceil(1.2 × 4) = 5
        (4, Usage(3, 0.8, 0.5, missing=1), 5),
        # both: 2.4 / 5 / 0.5 = 0.96 is within the tolerance: no change
        (5, Usage(3, 0.8, 0.5, unready=1, missing=1), 5),
        # fewer measured pods than replicas must not turn a growth into a fall: ceil(1.5 × 2) = 3
        (6, Usage(1, 3.0, 1.0, missing=1), 6),
        # a metric of requests: two without it at the target: (0.6 + 1.6) / 8 / 0.8 = 0.34; 3
        (8, Usage(6, 0.1, 0.8, missing=2, missing_usage=0.8), 3),
    ],
)
def test_proposals(current: int, usage: Usage, wanted: int) -> None:
    assert proposal(current, usage, 0.1) == wanted


def deployment(**settings: Any) -> HpaAutoscaler:
    return HpaAutoscaler(Hpa(target_utilization=Share(0.5), **settings), 10)


def pods(count: int) -> Pods:
    return Pods(count, (-100.0,) * count)


def tick(one: HpaAutoscaler, now: float, count: int, utilization: float) -> int:
    """Record fifteen seconds of a utilization, and return the number."""
    busy = utilization * count * 10
    for second in range(15):
        one.record(Load(now - 14 + second, 1.0, 0, busy, busy), pods(count))
    return one.replicas(now, pods(count))


@pytest.mark.parametrize(
    ("metric", "share", "utilization", "wanted"),
    [
        # all metrics: ceil(0.2 / 0.5 × 10) = 4
        ("cpu", 0.0, 0.2, 4),
        # four of ten without one, at all of the request: (1.2 + 4) / 10 / 0.5 = 1.04 turns: none
        ("cpu", 0.4, 0.2, 10),
        # at the target: (1.2 + 2) / 10 / 0.5 = 0.64: 7
        ("concurrency", 0.4, 0.2, 7),
        # on the way up at nothing: 0.8 × 6 / 10 / 0.5 = 0.96 is within the tolerance
        ("cpu", 0.4, 0.8, 10),
        # no metric at all: no change
        ("cpu", 1.0, 0.9, 10),
    ],
)
def test_metrics_that_are_missing_hold_the_autoscaler_back(
    metric: Literal["cpu", "concurrency"], share: float, utilization: float, wanted: int
) -> None:
    one = deployment(
        metric=metric,
        missing_metrics=Portion(share),
        scale_down_stabilization_window=Seconds(0),
    )
    assert tick(one, 100, 10, utilization) == wanted


def test_growth_is_double_or_four_in_a_period() -> None:
    one = deployment(max_replicas=1000)
    assert tick(one, 15.0, 1, 10.0) == 5
    assert tick(one, 30.0, 5, 10.0) == 10
    assert tick(one, 45.0, 10, 10.0) == 20


def test_growth_is_limited_over_the_whole_period() -> None:
    """With a period of 60 s, the changes of the last minute are taken off the base."""
    one = deployment(max_replicas=1000, scale_up_period=Period(60))
    assert tick(one, 15.0, 4, 10.0) == 8
    assert tick(one, 30.0, 8, 10.0) == 8
    assert tick(one, 75.0, 8, 10.0) == 16


def test_the_largest_recommendation_of_five_minutes_holds() -> None:
    one = deployment()
    assert tick(one, 15.0, 10, 0.5) == 10
    for now in range(30, 315, 15):
        assert tick(one, float(now), 10, 0.1) == 10
    assert tick(one, 315.0, 10, 0.1) == 2


def test_a_window_for_growth_takes_the_smallest_recommendation() -> None:
    one = deployment(scale_up_stabilization_window=Seconds(60), max_replicas=1000)
    assert tick(one, 15.0, 4, 0.5) == 4
    assert tick(one, 30.0, 4, 1.0) == 4
    assert tick(one, 60.0, 4, 1.0) == 4
    assert tick(one, 75.0, 4, 1.0) == 8


def test_a_slow_way_down() -> None:
    """No more than 10 % of those at the beginning of a minute: int(20 × 0.9) = 18."""
    one = deployment(
        scale_down_stabilization_window=Seconds(0), scale_down_percent=10,
        scale_down_period=Period(60),
    )  # fmt: skip
    assert tick(one, 15.0, 20, 0.1) == 18
    assert tick(one, 30.0, 18, 0.1) == 18
    assert tick(one, 75.0, 18, 0.1) == 16


def test_bounds_hold() -> None:
    one = deployment(min_replicas=3, max_replicas=6)
    assert one.initial_replicas == 3
    assert tick(one, 15.0, 3, 10.0) == 6
    assert one.replicas(30.0, pods(9)) == 6
    assert one.replicas(45.0, pods(1)) == 3


def test_no_replicas_stay_none() -> None:
    one = deployment()
    assert one.replicas(15.0, Pods(0, ())) == 0
    assert one.wake(16.0, Pods(0, ())) == 0


def test_young_pods_have_no_metric_yet() -> None:
    """Two of four have been ready for a window; the others count as unused on the way up.

    The load of 1.0 is shared by three that are ready; (2 × 1.0 + 2 × 0) / 4 / 0.5 = 1.
    """
    one = deployment()
    seen = Pods(4, (0.0, 0.0, 20.0))
    for second in range(16, 31):
        one.record(Load(float(second), 1.0, 0, 99.0, 30.0), seen)
    assert one.replicas(30.0, seen) == 4


def test_concurrency_counts_what_waits() -> None:
    waiting = {"cpu": 2, "concurrency": 4}
    for metric, wanted in waiting.items():
        one = deployment(metric=metric)
        for second in range(1, 16):
            one.record(Load(float(second), 1.0, 0, 20.0, 10.0), pods(1))
        assert one.replicas(15.0, pods(1)) == wanted


# Public reports of the controller's users, each as a small input of our own.


@pytest.mark.parametrize(
    ("current", "usage", "wanted"),
    [
        # kubernetes#116984: 41 tasks for ten pods that take four are within the tolerance.
        (10, Usage(10, 41 / 40, 1.0), 10),
        # kubernetes#30471: one pod of 70 without a metric: 62.1 / 70 / 0.5 = 1.774; × 70 = 124.2
        (70, Usage(69, 0.9, 0.5, missing=1), 125),
        # kubernetes#84095: 666m of 600m, but two of three pods are not ready: 0.37 turns
        (3, Usage(1, 0.666, 0.6, unready=2), 3),
        # kubernetes#51650, #64088 and #130130: all pods became unready under the load
        (2, Usage(0, 0.0, 0.25, unready=2), 2),
    ],
)
def test_reported_cases(current: int, usage: Usage, wanted: int) -> None:
    assert proposal(current, usage, 0.1) == wanted
