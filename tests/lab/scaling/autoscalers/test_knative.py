"""Knative's pod autoscaler: decisions by hand, from its source."""

from __future__ import annotations

from typing import Any

import pytest

from lab.scaling.autoscalers.base import Load
from lab.scaling.autoscalers.knative import Decision, Knative, KnativeAutoscaler
from lab.scaling.pool import Pods
from lab.scaling.quantities import Growth, Percentage, Period, Seconds, Share

TEN = {"target": 10, "target_utilization": Share(1.0), "max_scale_up_rate": Growth(10)}


def autoscaler(**settings: Any) -> KnativeAutoscaler:
    return KnativeAutoscaler(Knative(**settings), 1000)


def pods(count: int, ready: int | None = None) -> Pods:
    return Pods(count, (0.0,) * (count if ready is None else ready))


def test_the_defaults_are_those_of_config_autoscaler() -> None:
    assert Knative() == Knative(
        target=100, target_utilization=Share(0.7), tick=Period(2), stable_window=Period(60),
        panic_window_percentage=Share(0.1), panic_threshold_percentage=Percentage(2),
        max_scale_up_rate=Growth(1000), max_scale_down_rate=Growth(2), target_burst_capacity=200,
        enable_scale_to_zero=True, scale_to_zero_grace_period=Period(30),
        scale_down_delay=Seconds(0), initial_scale=1, activation_scale=1, min_scale=0, max_scale=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ready", "stable", "panic", "wanted", "excess"),
    [
        (1, 0, 0, 0, 100 - 200),
        (1, 1, 1, 1, 100 - 200 - 1),
        (1, 70, 70, 1, 100 - 200 - 70),
        (1, 71, 10, 2, 100 - 200 - 10),
        (2, 140, 139.5, 2, 200 - 200 - 140),  # floor(-139.5)
        (10, 350, 350, 5, 1000 - 200 - 350),
        (10, 349, 349, 5, 1000 - 200 - 349),
        (10, 10, 10, 5, 1000 - 200 - 10),  # no less than half at once
        (3, 0, 0, 1, 300 - 200),
        (0, 50, 50, 1, 0 - 200 - 50),  # none ready counts as one
        (1, 69_999, 0, 1000, 100 - 200),  # no more than a thousand times at once
        (1, 70_001, 0, 1000, 100 - 200),
    ],
)
def test_decisions_of_the_default_settings(
    ready: int, stable: float, panic: float, wanted: int, excess: int
) -> None:
    assert autoscaler().decide(0.0, ready, stable, panic) == Decision(wanted, excess)


def test_the_target_is_a_share_of_the_smaller_concurrency() -> None:
    """Of ten requests at once, seven are aimed at; of one, one is the least."""
    assert KnativeAutoscaler(Knative(), 10).decide(0.0, 1, 8, 0).pods == 2
    assert KnativeAutoscaler(Knative(), 10).decide(0.0, 1, 7, 0).pods == 1
    assert KnativeAutoscaler(Knative(), 1).decide(0.0, 3, 3, 0).pods == 3


def test_a_small_growth_permits_one_more() -> None:
    """ceil(1.1 × 2) = 3."""
    small = autoscaler(target=1, max_scale_up_rate=Growth(1.1))
    assert small.decide(0.0, 2, 3, 3.1).pods == 3


def test_a_small_shrinking_rate_is_a_slow_way_down() -> None:
    """floor(100 / 1.1) = 90."""
    assert autoscaler(max_scale_down_rate=Growth(1.1)).decide(0.0, 100, 1, 1).pods == 90


def test_growth_is_limited_in_steps() -> None:
    ten = autoscaler(**TEN)
    assert ten.decide(0.0, 1, 1000, 1001).pods == 10
    assert ten.decide(2.0, 10, 1000, 1001).pods == 100


def test_twice_the_ready_pods_in_the_panic_window_is_panic() -> None:
    ten = autoscaler(**TEN)
    assert ten.decide(0.0, 6, 60, 119).pods == 12  # 12 / 6 = 2: panic
    assert ten.is_panicking
    calm = autoscaler(**TEN)
    assert calm.decide(0.0, 6, 60, 110).pods == 6  # 11 / 6 < 2
    assert not calm.is_panicking


def test_panic_takes_the_larger_of_both_windows() -> None:
    ten = autoscaler(**TEN)
    assert ten.decide(0.0, 1, 50, 100).pods == 10
    other = autoscaler(**TEN)
    assert other.decide(0.0, 1, 90, 50).pods == 9


def test_in_panic_the_number_only_grows() -> None:
    """Until a stable window has passed since the threshold was last exceeded."""
    ten = autoscaler(**TEN)
    assert ten.decide(0.0, 1, 100, 100).pods == 10
    assert ten.decide(30.0, 10, 1, 1).pods == 10
    assert ten.decide(60.0, 10, 1, 1).pods == 10
    assert ten.is_panicking
    assert ten.decide(62.0, 10, 1, 1).pods == 5
    assert not ten.is_panicking


def test_another_surge_extends_the_panic() -> None:
    ten = autoscaler(**TEN)
    ten.decide(0.0, 1, 100, 100)
    assert ten.decide(40.0, 10, 100, 200).pods == 20
    assert ten.decide(62.0, 20, 1, 1).pods == 20
    assert ten.decide(102.0, 20, 1, 1).pods == 10


def test_it_begins_in_panic_with_several_instances() -> None:
    several, one = autoscaler(), autoscaler()
    several.begin(5, 0.0)
    one.begin(1, 0.0)
    assert several.decide(2.0, 5, 1, 1).pods == 5
    assert several.decide(62.0, 5, 1, 1).pods == 2
    assert not one.is_panicking


def test_activation_scale_is_the_least_above_zero() -> None:
    two = autoscaler(activation_scale=2)
    assert two.decide(0.0, 1, 0, 0).pods == 0
    assert two.decide(2.0, 1, 1, 0).pods == 2


def test_a_delay_keeps_the_largest_decision() -> None:
    slow = autoscaler(**TEN, scale_down_delay=Seconds(300))
    assert slow.decide(0.0, 4, 40, 40).pods == 4
    assert slow.decide(298.0, 4, 20, 20).pods == 4
    assert slow.decide(300.0, 4, 20, 20).pods == 2


def test_no_burst_capacity_keeps_the_activator_out() -> None:
    assert autoscaler(target_burst_capacity=0).decide(0.0, 1, 90, 90).excess_burst_capacity == 0
    always = autoscaler(target_burst_capacity=-1)
    assert always.decide(0.0, 100, 1, 1).excess_burst_capacity == -1


def run_idle(one: KnativeAutoscaler, until: int) -> dict[int, int]:
    """Return the number at each tick without any load, from one instance on."""
    numbers, count = {}, 1
    for second in range(1, until + 1):
        one.record(Load(float(second), 1.0, 0, 0.0, 0.0), pods(count))
        if second % 2 == 0:
            count = one.replicas(float(second), pods(count))
            numbers[second] = count
    return numbers


def test_zero_is_reached_after_the_stable_window_behind_the_activator() -> None:
    """The activator was in the path all the time (100 - 200 < 0): no grace period is left."""
    numbers = run_idle(autoscaler(), 100)
    assert next(second for second, count in numbers.items() if count == 0) == 62
    assert numbers[60] == 1


def test_zero_is_reached_after_a_grace_period() -> None:
    """Inactive at 60, the activator gets into the path then, and stays there for 30 s."""
    numbers = run_idle(autoscaler(target_burst_capacity=0), 100)
    assert next(second for second, count in numbers.items() if count == 0) == 90


def test_zero_is_not_reached_where_it_is_off() -> None:
    assert set(run_idle(autoscaler(enable_scale_to_zero=False), 300).values()) == {1}
    assert set(run_idle(autoscaler(min_scale=1), 300).values()) == {1}


def test_bounds_hold() -> None:
    bounded = autoscaler(min_scale=2, max_scale=5, initial_scale=9)
    assert bounded.initial_replicas == 5
    bounded.record(Load(1.0, 1.0, 0, 1e6, 0.0), pods(2))
    assert bounded.replicas(2.0, pods(2)) == 5
    assert autoscaler(min_scale=2).initial_replicas == 2


def test_the_first_request_wakes_it() -> None:
    one = autoscaler()
    assert one.wake(500.25, pods(0)) == 1


def test_an_activation_is_not_given_up_while_it_starts() -> None:
    """The only request gave up long ago, but the instance that it asked for still starts."""
    one = autoscaler()
    one.wake(0.5, pods(0))
    for second in range(1, 400):
        one.record(Load(float(second), 1.0, 0, 0.0, 0.0), pods(1, ready=0))
        if second % 2 == 0:
            assert one.replicas(float(second), pods(1, ready=0)) == 1


def test_without_data_nothing_changes() -> None:
    assert autoscaler().replicas(2.0, pods(7)) == 7


# Public reports of the autoscaler's users, each as a small input of our own.


def test_a_short_panic_window_does_not_hide_the_stable_one() -> None:
    """knative/serving#8106: 1000, four times nothing and 1000 are 34 pods, not 20."""
    six = autoscaler(
        target=10, target_utilization=Share(1.0), stable_window=Period(6),
        panic_window_percentage=Share(5 / 6),
    )  # fmt: skip
    for second, load in enumerate((1000.0, 0.0, 0.0, 0.0, 0.0, 1000.0), 1):
        six.record(Load(float(second), 1.0, 0, load, load), pods(1))
    assert six.replicas(6.0, pods(1)) == 34


def test_a_slow_increase_does_not_extend_the_panic() -> None:
    """knative/serving#8125."""
    slow = autoscaler(target=1)
    assert slow.decide(0.0, 10, 11, 25).pods == 25
    assert slow.decide(30.0, 40, 30, 41).pods == 41
    assert slow.decide(62.0, 55, 50, 56).pods == 50
    assert not slow.is_panicking


def test_after_a_panic_no_more_than_half_goes_at_once() -> None:
    """knative/serving#3153 and #9121: the calm autoscaler undoes the panic in steps."""
    calm = autoscaler(target=1)
    calm.decide(0.0, 1, 1, 40)
    assert [calm.decide(60.0 + tick, ready, 5, 5).pods for tick, ready in
            ((2, 40), (4, 20), (6, 10))] == [20, 10, 5]  # fmt: skip
