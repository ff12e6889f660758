"""The queue: exact against an event-by-event simulation, and against formulas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import t

from lab.scaling.queueing import Interval, Limits, Queue
from tests.lab.scaling.event_by_event import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scaling.arrays import FloatArray

NONE = np.empty(0)
UNLIMITED = Limits()


@dataclass(frozen=True)
class Case:
    """A load in seconds of simulated time; slots change at whole seconds or, added, at any."""

    slots: int
    rate: float
    mean: float
    limits: Limits = UNLIMITED
    added: tuple[float, ...] = ()
    removed: tuple[tuple[int, int], ...] = ()
    service: str = "exponential"


CASES = {
    "idle": Case(slots=50, rate=100, mean=0.1),
    "nearly full": Case(slots=12, rate=100, mean=0.1),
    "overloaded": Case(slots=5, rate=100, mean=0.1),
    "one slot": Case(slots=1, rate=9, mean=0.1),
    "long services": Case(slots=40, rate=10, mean=3.0),
    "a short queue": Case(slots=8, rate=100, mean=0.1, limits=Limits(waiting=5)),
    "no queue": Case(slots=8, rate=100, mean=0.1, limits=Limits(waiting=0)),
    "little patience": Case(slots=8, rate=100, mean=0.1, limits=Limits(patience=0.15)),
    "patience beyond an interval": Case(slots=6, rate=100, mean=0.1, limits=Limits(patience=2.3)),
    "both": Case(slots=6, rate=100, mean=0.1, limits=Limits(waiting=40, patience=0.5)),
    "no slot at first": Case(
        slots=0, rate=50, mean=0.1, limits=Limits(patience=4.5),
        added=(3.25, 3.5, 3.75, 4.5, 4.5, 4.75, 6.1, 6.2),
    ),
    "growing": Case(slots=3, rate=80, mean=0.1, added=tuple(2.1 + 0.3 * n for n in range(12))),
    "shrinking": Case(slots=20, rate=100, mean=0.1, removed=((3, 4), (5, 7), (7, 2))),
    "up and down": Case(
        slots=6, rate=90, mean=0.1, limits=Limits(waiting=60, patience=1.7),
        added=(2.2, 2.4, 2.6, 2.7, 2.9, 3.3), removed=((4, 5), (6, 3)),
    ),
    "equal services": Case(slots=9, rate=100, mean=0.1, service="fixed"),
    "heavy tail": Case(slots=16, rate=100, mean=0.1, service="lognormal"),
}  # fmt: skip
SECONDS = 10
EVERY_SECOND = [float(n + 1) for n in range(SECONDS)]


def load(case: Case, seed: int) -> tuple[FloatArray, FloatArray]:
    chance = np.random.default_rng(seed)
    arrivals = np.sort(chance.uniform(0, SECONDS, chance.poisson(case.rate * SECONDS)))
    count = len(arrivals)
    if case.service == "exponential":
        return arrivals, chance.exponential(case.mean, count)
    if case.service == "lognormal":
        return arrivals, chance.lognormal(math.log(case.mean) - 1.125, 1.5, count)
    return arrivals, np.full(count, case.mean)


def simulate(
    case: Case, arrivals: FloatArray, services: FloatArray, intervals: list[float]
) -> tuple[list[Interval], Queue]:
    queue = Queue(case.slots, case.limits)
    done, begin = [], 0.0
    added = np.array(case.added)
    removed = dict(case.removed)
    for end in intervals:
        inside = (arrivals >= begin) & (arrivals < end)
        new = added[(added >= begin) & (added < end)]
        done.append(queue.advance(begin, end, arrivals[inside], services[inside], new))
        if end in removed:
            queue.remove(removed[int(end)])
        begin = end
    return done, queue


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", CASES)
def test_every_request_fares_as_event_by_event(name: str, seed: int) -> None:
    case = CASES[name]
    arrivals, services = load(case, seed)
    intervals, queue = simulate(case, arrivals, services, EVERY_SECOND)
    reference = Reference(case.slots, case.limits.waiting, case.limits.patience)
    removed = [(float(at), number) for at, number in case.removed]
    reference.run(arrivals.tolist(), services.tolist(), list(case.added), removed, SECONDS)
    began = {
        arrival: start
        for interval in intervals
        for arrival, start in zip(interval.arrived.tolist(), interval.began.tolist(), strict=True)
    }
    assert began == reference.began
    assert [at for each in intervals for at in each.rejected.tolist()] == reference.rejected
    assert [at for each in intervals for at in each.gave_up.tolist()] == reference.gave_up
    lost = len(reference.rejected) + len(reference.gave_up)
    assert len(queue.waiting) == len(arrivals) - len(began) - lost
    assert sum(each.in_system for each in intervals) == pytest.approx(reference.area_in_system)
    assert sum(each.busy for each in intervals) == pytest.approx(reference.area_busy)
    work = dict(zip(arrivals.tolist(), services.tolist(), strict=True))
    for interval in intervals:
        for arrival, start, end in zip(
            interval.arrived.tolist(), interval.began.tolist(), interval.ended.tolist(), strict=True
        ):
            assert end == start + work[arrival]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.removed])
def test_the_intervals_do_not_matter(name: str) -> None:
    case = CASES[name]
    arrivals, services = load(case, 11)
    whole, _ = simulate(case, arrivals, services, [float(SECONDS)])
    cut, _ = simulate(case, arrivals, services, [0.125 * (n + 1) for n in range(8 * SECONDS)])
    for of in ("arrived", "began", "ended", "rejected", "gave_up"):
        one = np.concatenate([getattr(interval, of) for interval in whole])
        many = np.concatenate([getattr(interval, of) for interval in cut])
        assert one.tolist() == many.tolist(), of


def test_the_cases_cover_both_ways() -> None:
    """Some intervals have every request begin at once, some have requests wait."""
    waits = {
        name: any(
            (interval.began > interval.arrived).any()
            for interval in simulate(case, *load(case, 0), EVERY_SECOND)[0]
        )
        for name, case in CASES.items()
    }
    assert not waits["idle"]
    assert sum(waits.values()) >= len(CASES) - 2


def test_a_long_queue_is_kept_as_it_is() -> None:
    """A queue of many chunks is looked at only as far as requests can begin."""
    queue = Queue(1, UNLIMITED)
    arrivals = np.linspace(0, 0.9, 100_000)
    first = queue.advance(0.0, 1.0, arrivals, np.full(100_000, 0.01), NONE)
    assert len(first.began) == 100
    assert len(queue.waiting) == 99_900
    second = queue.advance(1.0, 2.0, NONE, NONE, NONE)
    assert second.arrived.tolist() == arrivals[100:200].tolist()
    assert second.in_system == pytest.approx(99_900 + 1 - 100 * 101 / 2 / 100, abs=1)


def test_a_queue_without_slots_rejects_what_does_not_fit() -> None:
    queue = Queue(0, Limits(waiting=2))
    interval = queue.advance(0.0, 1.0, np.array([0.1, 0.2, 0.3]), np.ones(3), NONE)
    assert interval.rejected.tolist() == [0.3]
    assert queue.waiting.tolist() == [0.1, 0.2]
    assert interval.in_system == pytest.approx(0.9 + 0.8)
    assert interval.busy == 0


def test_removed_slots_finish_their_requests() -> None:
    queue = Queue(4, Limits())
    queue.advance(0.0, 1.0, np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 5.0), NONE)
    queue.remove(2)
    assert queue.slots == 2
    assert queue.in_service == 4
    interval = queue.advance(1.0, 6.0, np.array([1.5]), np.array([1.0]), NONE)
    # Slots 1 and 3, in the order of their ends 5.1, 5.2, 5.3 and 5.4, are gone.
    assert interval.began.tolist() == [5.2]
    assert interval.busy == pytest.approx((4.1 + 4.2 + 4.3 + 4.4 + 0.8) / 5)


def test_no_more_slots_are_removed_than_there_are() -> None:
    queue = Queue(3, Limits())
    queue.remove(7)
    assert queue.slots == 0
    queue.remove(1)
    assert queue.slots == 0


# Queues with a formula: the interval over independent replications has its value. The intervals
# are at 99.9 %, so that a correct program fails on one seed of a thousand.


def contains(values: list[float], truth: float) -> bool:
    centre, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    reach = float(t.ppf(0.9995, len(values) - 1)) * deviation / math.sqrt(len(values))
    # The interval must be narrow as well, or it would contain anything.
    assert reach < 0.2 * truth, (centre, reach)
    return abs(centre - truth) <= reach


def steady(
    slots: int,
    rate: float,
    work: Callable[[np.random.Generator, int], FloatArray],
    limits: Limits = UNLIMITED,
    seconds: int = 60,
) -> list[tuple[float, float, float]]:
    """Return for each replication the mean wait, the share that waits, and the share rejected."""
    results = []
    for number in range(12):
        chance = np.random.default_rng([5, number])
        queue = Queue(slots, limits)
        waits, rejected = [], 0
        for second in range(seconds):
            arrivals = second + np.sort(chance.random(chance.poisson(rate)))
            services = work(chance, len(arrivals))
            interval = queue.advance(float(second), second + 1.0, arrivals, services, NONE)
            if second >= 5:
                waits.append(interval.began - interval.arrived)
                rejected += len(interval.rejected)
        wait = np.concatenate(waits)
        arrived = len(wait) + rejected
        results.append((float(wait.mean()), float((wait > 0).mean()), rejected / arrived))
    return results


def erlang_b(slots: int, load: float) -> float:
    blocked = 1.0
    for slot in range(1, slots + 1):
        blocked = load * blocked / (slot + load * blocked)
    return blocked


def erlang_c(slots: int, load: float) -> float:
    blocked = erlang_b(slots, load)
    return blocked / (1 - load / slots * (1 - blocked))


@pytest.mark.parametrize(
    ("slots", "utilization", "mean"), [(1, 0.6, 0.001), (4, 0.8, 0.004), (50, 0.9, 0.01)]
)
def test_many_servers_wait_by_erlang_c(slots: int, utilization: float, mean: float) -> None:
    load = slots * utilization
    results = steady(slots, load / mean, lambda chance, count: chance.exponential(mean, count))
    waits = erlang_c(slots, load)
    assert contains([share for _, share, _ in results], waits)
    assert contains([wait for wait, _, _ in results], waits * mean / (slots - load))


@pytest.mark.parametrize("service", ["fixed", "lognormal", "uniform"])
def test_one_server_waits_by_pollaczek_and_khinchine(service: str) -> None:
    rate = 700.0
    draw: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
        "fixed": lambda _, count: np.full(count, 0.001),
        "lognormal": lambda chance, count: 0.001 * chance.lognormal(-0.125, 0.5, count),
        "uniform": lambda chance, count: chance.uniform(0, 0.002, count),
    }
    second_moment = {
        "fixed": 1e-6, "lognormal": 1e-6 * math.exp(0.25), "uniform": 4e-6 / 3,
    }  # fmt: skip
    wait = rate * second_moment[service] / (2 * (1 - rate * 0.001))
    assert contains([each for each, _, _ in steady(1, rate, draw[service])], wait)


@pytest.mark.parametrize("service", ["exponential", "fixed"])
def test_without_a_queue_requests_are_blocked_by_erlang_b(service: str) -> None:
    """Erlang's loss formula holds for every distribution of the service time."""
    draw: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
        "exponential": lambda chance, count: chance.exponential(0.01, count),
        "fixed": lambda _, count: np.full(count, 0.01),
    }
    results = steady(10, 800.0, draw[service], Limits(waiting=0))
    assert contains([share for *_, share in results], erlang_b(10, 8.0))


def test_a_short_queue_blocks_as_a_birth_and_death_process() -> None:
    """M/M/1/K: of N = K + 1 places, all are taken for a share (1 - ρ)·ρ^N / (1 - ρ^(N + 1))."""
    results = steady(
        1, 900.0, lambda chance, count: chance.exponential(0.001, count), Limits(waiting=4)
    )
    taken = (1 - 0.9) * 0.9**5 / (1 - 0.9**6)
    assert contains([share for *_, share in results], taken)
