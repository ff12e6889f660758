"""A/A trials: the amount of slower work, and the order of sides."""

from __future__ import annotations

import random

from lab.calibration.aa_trials import Work, in_random_order


def test_slower_work_takes_longer_by_the_requested_share() -> None:
    work = Work(calls=1000, fixed_seconds=1e-3, call_seconds=1e-6)
    assert work.slower(0) == 1000
    assert work.slower(0.5) == 1000 + 1000  # half of 2 ms is a thousand calls
    assert work.slower(0.05) == 1100


def test_both_orders_occur_and_sides_are_not_swapped() -> None:
    chance = random.Random(3)
    orders = set()
    for _ in range(30):
        seen: list[int] = []

        def measure(side: int, seen: list[int] = seen) -> float:
            seen.append(side)
            return float(side)

        assert in_random_order(chance, measure) == (0.0, 1.0)
        orders.add(tuple(seen))
    assert orders == {(0, 1), (1, 0)}
