"""The stopping rule: a fixed number of rounds, a number set by a pilot, and the time limit."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from lab.results.sample import Sample
from lab.statistics import stopping_rule
from lab.statistics.estimates import estimate_median
from lab.statistics.stopping_rule import Budget, Rounds, relative_widths, rounds_needed


def pair(number: int, chance: random.Random, noise: float, truth: float = 2.0) -> list[Sample]:
    """Return a round of native and container with a known ratio."""
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


def test_a_fixed_number_of_rounds_is_measured() -> None:
    rounds = Rounds(7, None, None)
    measure(rounds, random.Random(1), 0.5)
    assert rounds.outcome() == stopping_rule.Outcome(7, "plan", None, None, {})


def test_the_requested_precision_is_reached() -> None:
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


@pytest.mark.parametrize("slow_share", [0.0, 0.1], ids=["log-normal", "a tenth 3 times slower"])
def test_the_interval_covers_the_median_although_the_pilot_chose_n(slow_share: float) -> None:
    chance = random.Random(11)
    covered, repetitions = 0, 120
    for _ in range(repetitions):

        def value() -> float:
            slow = 3.0 if chance.random() < slow_share else 1.0
            return chance.lognormvariate(0, 0.04) * slow

        pilot = [value() for _ in range(stopping_rule.PILOT_ROUNDS)]
        estimate = estimate_median(pilot)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.centre
        width = (estimate.high - estimate.low) / estimate.centre
        needed = min(rounds_needed([width], 0.04, len(pilot)), 200)
        final = estimate_median(pilot + [value() for _ in range(needed - len(pilot))])
        assert final.low is not None
        assert final.high is not None
        # The true median of the mixture: the slow tenth moves it by a ninth of a rank.
        truth = 1.0 if not slow_share else 1.0056
        covered += final.low <= truth <= final.high
    assert covered / repetitions >= 0.89  # 95 % less three standard errors


@dataclass
class Clock:
    """A clock that only the test moves."""

    now_ns: int = 1_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(stopping_rule, "time", fake)
    return fake


def test_the_budget_ends_the_rounds_before_its_end(clock: Clock) -> None:
    end_ns = clock.now_ns + 50_000_000
    rounds = Rounds(1000, None, end_ns)
    while rounds.more():
        clock.now_ns += 12_000_000
        rounds.record([], 12_000_000)
    assert clock.now_ns == end_ns - 2_000_000
    outcome = rounds.outcome()
    assert (outcome.ended_by, outcome.rounds) == ("budget", 4)


def test_no_round_is_begun_that_would_outlast_the_budget(clock: Clock) -> None:
    rounds = Rounds(10, None, clock.now_ns + 60)
    rounds.record([], 60)
    assert rounds.more()
    rounds.record([], 61)
    assert not rounds.more()


def test_what_one_experiment_leaves_the_next_may_use(clock: Clock) -> None:
    budget = Budget(100.0, 2)
    begin_ns = clock.now_ns
    assert budget.next_end_ns() == begin_ns + int(50e9)
    clock.now_ns += int(30e9)
    assert budget.next_end_ns() == begin_ns + int(100e9)
    assert Budget(None, 2).next_end_ns() is None


def test_a_target_that_joins_few_rounds_does_not_decide() -> None:
    chance = random.Random(2)
    samples = [sample for number in range(6) for sample in pair(number, chance, 0.01)]
    samples.append(Sample("performance", "vm", "hash", "second", 0, 40.0))
    assert list(relative_widths(samples)) == ["container / native, hash"]


def test_a_single_target_decides_by_its_median() -> None:
    samples = [Sample("startup", "vm", "ready", "second", n, 1 + n / 100) for n in range(4)]
    assert list(relative_widths(samples)) == ["vm, ready"]
