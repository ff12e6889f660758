"""A deadline shared by searches."""

from __future__ import annotations

import pytest

from lab.planning import time_budget
from lab.planning.time_budget import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time_budget, "time", clock)
    return clock


def test_each_search_gets_its_part_of_what_is_left(clock: Clock) -> None:
    budget = TimeBudget(60.0, {"plan": 2, "draws": 1})
    assert budget.seconds_for("plan") == pytest.approx(40)
    clock.now += 10
    assert budget.seconds_for("draws") == pytest.approx(50)


def test_a_search_alone_gets_all_of_it() -> None:
    assert TimeBudget(60.0, {"plan": 3}).seconds_for("plan") == pytest.approx(60, abs=1)


def test_after_the_deadline_there_is_no_time(clock: Clock) -> None:
    budget = TimeBudget(1.0, {"plan": 1, "draws": 1})
    clock.now += 5
    assert budget.seconds_for("plan") == 0


def test_a_search_that_is_left_out_leaves_its_time(clock: Clock) -> None:
    budget = TimeBudget(60.0, {"plan": 1, "draws": 1})
    budget.drop("draws")
    assert budget.seconds_for("plan") == pytest.approx(60)
