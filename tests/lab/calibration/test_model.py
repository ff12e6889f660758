"""Bounds of a calibration: overhead, correct intervals and trials."""

from __future__ import annotations

import random

import pytest

from lab.calibration import model
from lab.statistics.estimates import Estimate
from tests.lab.calibration.simulated import UNKNOWN


def test_overhead_must_meet_the_larger_of_two_bounds() -> None:
    chance = random.Random(1)

    def pairs(timed: float, added: float) -> list[tuple[float, float]]:
        return [
            (timed + added + chance.gauss(0, timed / 1000), timed + chance.gauss(0, timed / 1000))
            for _ in range(50)
        ]

    assert model.judge_overhead("short, 0.1 ms", pairs(1e-3, 1e-4)).met
    assert not model.judge_overhead("short, 0.4 ms", pairs(1e-3, 4e-4)).met
    assert model.judge_overhead("long, 1.5 %", pairs(1.0, 0.015)).met
    assert not model.judge_overhead("long, 3 %", pairs(1.0, 0.03)).met


def test_an_interval_is_right_if_it_shows_the_injected_difference() -> None:
    around_one, above, below = (Estimate(x, x - 0.02, x + 0.02, 9) for x in (1.0, 1.05, 0.95))
    assert model.is_right(around_one, 0)
    assert not model.is_right(above, 0)
    assert model.is_right(above, 0.05)
    assert not model.is_right(around_one, 0.05)
    assert not model.is_right(below, 0.05)
    assert not model.is_right(UNKNOWN, 0)


@pytest.mark.parametrize(("right", "met"), [(190, True), (189, False)])
def test_a_trial_must_be_correct_in_95_of_100(right: int, *, met: bool) -> None:
    trial = model.judge_trial("native", 0, None, [15] * 200, right, 0)
    assert trial.met is met
    assert trial.low < right / 200 < trial.high


@pytest.mark.parametrize(
    ("repetitions", "right", "met"),
    [(1, 1, None), (2, 2, None), (58, 58, None), (59, 59, True), (59, 56, False), (10, 3, False)],
)
def test_too_few_repetitions_decide_nothing(repetitions: int, right: int, met: bool | None) -> None:
    for size in (0, 0.05):
        trial = model.judge_trial("native", size, None, [15] * repetitions, right, 0)
        assert trial.met is met
