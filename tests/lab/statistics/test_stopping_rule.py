"""The number of rounds: fixed beforehand, or set once by a pilot; and the time, which is kept."""

from __future__ import annotations

import random
import time

import pytest

from lab.results.sample import Sample
from lab.statistics import stopping_rule
from lab.statistics.estimates import estimate_median
from lab.statistics.stopping_rule import Budget, Rounds, relative_widths, rounds_needed


def pair(number: int, chance: random.Random, noise: float, truth: float = 2.0) -> list[Sample]:
    """A round of native and container, whose ratio is known."""
    weather = chance.lognormvariate(0, 0.3)
    return [
        Sample("performance", "native", "hash", "second", number, weather),
        Sample(
            "performance", "container", "hash", "second", number,
            weather * truth * chance.lognormvariate(0, noise),
        ),
    ]  # fmt: skip


def measure(rounds: Rounds, chance: random.Random, noise: float) -> None:
    number = 0
    while rounds.more():
        rounds.record(pair(number, chance, noise), 1)
        number += 1


def test_a_plan_is_kept() -> None:
    rounds = Rounds(7, None, None)
    measure(rounds, random.Random(1), 0.5)
    assert rounds.outcome() == stopping_rule.Outcome(7, "plan", None, None, {})


def test_the_precision_asked_for_is_reached() -> None:
    rounds = Rounds(5, 0.05, None)
    measure(rounds, random.Random(1), 0.06)
    outcome = rounds.outcome()
    assert outcome.ended_by == "precision"
    assert outcome.rounds == outcome.needed
    assert outcome.rounds > stopping_rule.PILOT_ROUNDS
    (width,) = outcome.widths.values()
    assert width is not None
    assert width < 0.065


def test_quiet_hosts_need_no_more_than_the_pilot() -> None:
    rounds = Rounds(5, 0.05, None)
    measure(rounds, random.Random(1), 0.001)
    assert rounds.outcome().rounds == stopping_rule.PILOT_ROUNDS


@pytest.mark.parametrize("far_out", [0.0, 0.1], ids=["log-normal", "one in ten three times slower"])
def test_the_interval_holds_what_it_says_although_the_pilot_chose_n(far_out: float) -> None:
    chance = random.Random(11)
    held, repetitions = 0, 120
    for _ in range(repetitions):

        def value() -> float:
            slow = 3.0 if chance.random() < far_out else 1.0
            return chance.lognormvariate(0, 0.04) * slow

        pilot = [value() for _ in range(stopping_rule.PILOT_ROUNDS)]
        found = estimate_median(pilot)
        assert found.low is not None
        assert found.high is not None
        assert found.centre
        width = (found.high - found.low) / found.centre
        needed = min(rounds_needed([width], 0.04, len(pilot)), 200)
        final = estimate_median(pilot + [value() for _ in range(needed - len(pilot))])
        assert final.low is not None
        assert final.high is not None
        # The true median of the mixture: the slow tenth moves it by a ninth of a rank.
        truth = 1.0 if not far_out else 1.0056
        held += final.low <= truth <= final.high
    assert held / repetitions >= 0.89  # 95 % less three standard errors


def test_the_budget_ends_the_rounds_before_its_end() -> None:
    rounds = Rounds(1000, None, time.monotonic_ns() + 50_000_000)
    begin_ns = time.monotonic_ns()
    while rounds.more():
        time.sleep(0.01)
        rounds.record([], 10_000_000)
    assert time.monotonic_ns() - begin_ns < 60_000_000
    outcome = rounds.outcome()
    assert outcome.ended_by == "budget"
    assert 1 <= outcome.rounds <= 5


def test_no_round_is_begun_that_would_outlast_the_budget() -> None:
    rounds = Rounds(10, None, time.monotonic_ns() + int(60e9))
    rounds.record([], int(61e9))
    assert not rounds.more()


def test_what_one_experiment_leaves_the_next_may_use() -> None:
    budget = Budget(100.0, 2)
    now_ns = time.monotonic_ns()
    first, second = budget.next_end_ns(), budget.next_end_ns()
    assert first is not None
    assert second is not None
    assert (first - now_ns) / 1e9 == pytest.approx(50, abs=1)
    assert (second - now_ns) / 1e9 == pytest.approx(100, abs=1)
    assert Budget(None, 2).next_end_ns() is None


def test_a_target_that_joins_few_rounds_does_not_decide() -> None:
    chance = random.Random(2)
    samples = [sample for number in range(6) for sample in pair(number, chance, 0.01)]
    samples.append(Sample("performance", "vm", "hash", "second", 0, 40.0))
    assert list(relative_widths(samples)) == ["container / native, hash"]


def test_one_target_alone_is_judged_by_itself() -> None:
    samples = [Sample("startup", "vm", "ready", "second", n, 1 + n / 100) for n in range(4)]
    assert list(relative_widths(samples)) == ["vm, ready"]
