"""The averages of Knative's metrics, by hand."""

from __future__ import annotations

from lab.scaling.autoscalers.buckets import Buckets


def filled(window: float, values: dict[float, float]) -> Buckets:
    buckets = Buckets(window)
    for at, value in values.items():
        buckets.record(at, value)
    return buckets


def test_the_average_is_over_the_seconds_since_the_first_value() -> None:
    buckets = filled(60, {10: 6, 11: 12, 12: 0})
    assert buckets.average(12) == 6
    assert buckets.average(12.9) == 6


def test_the_average_is_at_most_over_the_window() -> None:
    assert filled(3, {1: 90, 2: 3, 3: 6, 4: 9}).average(4) == 6


def test_a_gap_counts_as_zero() -> None:
    assert filled(10, {1: 4, 4: 4}).average(4) == 2


def test_seconds_after_the_last_value_do_not_count() -> None:
    """At 6 the window of 4 has the seconds 3 to 6, of which 3 and 4 had values."""
    assert filled(4, {1: 100, 2: 100, 3: 2, 4: 4}).average(6) == 3


def test_nothing_is_left_after_a_window() -> None:
    buckets = filled(5, {1: 4})
    assert buckets.average(5) == 4
    assert buckets.average(6) == 0
    assert not buckets.is_empty(6)
    assert buckets.is_empty(7)


def test_after_a_window_without_values_the_average_begins_anew() -> None:
    assert filled(5, {1: 4, 7: 10}).average(7) == 10


def test_values_of_one_second_are_added() -> None:
    assert filled(60, {1.2: 1, 1.7: 2}).average(1.9) == 3


def test_no_value_is_empty() -> None:
    assert Buckets(60).is_empty(0)
    assert Buckets(60).average(0) == 0


def test_an_average_is_rounded_down_to_six_digits() -> None:
    assert filled(60, {1: 1, 2: 1, 3: 0}).average(3) == 0.666666
