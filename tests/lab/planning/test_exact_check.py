"""The exact check: its knapsack against brute force, and what it refuses."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.planning import exact_check
from lab.planning.exact_check import Hosts, Replicas, Split, bound, cost, least_worth
from tests.lab.planning.problems import feasible_sets, tiny_problems

if TYPE_CHECKING:
    from lab.planning.problem import Problem

WEB = Replicas((3,), 2, frozenset({1}), frozenset({0}), 1)
DATABASE = Replicas((4,), 1, frozenset({0}), frozenset({0}), 1)
BOTH = [WEB, DATABASE]
HOSTS = Hosts((8,), 3, 4, 0, [1])


def alone(*numbers: int) -> list[Split]:
    """Return the splits of demands that are not spread, with so many replicas."""
    return [Split((place,), number, 0) for place, number in enumerate(numbers)]


@given(tiny_problems(), st.data())
def test_the_knapsack_is_exact(problem: Problem, data: st.DataObject) -> None:
    worths = [data.draw(st.integers(0, 9)) for _ in problem.demands]
    resource_prices = [data.draw(st.integers(0, 3)) for _ in problem.resources]
    demands = [
        Replicas(
            each.size,
            min(
                each.replicas,
                1 if each.name in each.apart_from else each.per_host or each.replicas,
            ),
            frozenset(
                place
                for place, other in enumerate(problem.demands)
                if other is not each
                and (other.name in each.apart_from or each.name in other.apart_from)
            ),
            frozenset(
                place
                for place, host in enumerate(problem.hosts)
                if each.hosts is None or host.name in each.hosts
            ),
            worth,
        )
        for each, worth in zip(problem.demands, worths, strict=True)
    ]
    for place, host in enumerate(problem.hosts):
        most = max(
            sum(worth * count for worth, count in zip(worths, counts, strict=True))
            for counts in feasible_sets(problem, host)
        )
        here = [each if place in each.hosts else each._replace(price=0) for each in demands]
        numbers = [each.replicas for each in problem.demands]
        moved = [each._replace(hosts=frozenset({0})) for each in here]
        kind = Hosts(host.capacity, 0, None, most, resource_prices)
        assert bound(moved, [kind], alone(*numbers), 1) >= 0
        if most:
            with pytest.raises(ValueError, match="replica_prices"):
                bound(moved, [kind._replace(rent=most - 1)], alone(*numbers), 1)


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ([(0, 1, {0: 3})], "capacity"),
        ([(0, 0, {0: 1})], "no host"),
        ([(0, 1, {0: 1, 1: 1})], "rule"),
        ([(0, 2, {0: 2}), (0, 1, {1: 1})], "not all"),
        ([(0, 2, {0: 2}), (0, 1, {0: 1}), (0, 2, {1: 1})], "too many"),
    ],
)
def test_a_wrong_pattern_is_refused(
    patterns: list[tuple[int, int, dict[int, int]]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        cost(BOTH, [HOSTS], alone(5, 1), patterns)


def test_a_right_plan_costs_the_prices_of_its_hosts() -> None:
    patterns = [(0, 2, {0: 2}), (0, 1, {0: 1}), (0, 1, {1: 1})]
    assert cost(BOTH, [HOSTS], alone(5, 1), patterns) == 12
    with pytest.raises(ValueError, match="available"):
        cost(BOTH, [HOSTS._replace(available=3)], alone(5, 1), patterns)


@pytest.mark.parametrize("apart_first", [False, True])
def test_equal_demands_with_other_rules_are_no_single_item(apart_first: bool) -> None:
    free, ruled = (1, 0) if apart_first else (0, 1)
    demands = [Replicas((1,), 1, frozenset(), frozenset({0}), 1)] * 2
    demands[ruled] = demands[ruled]._replace(apart=frozenset({2}))
    demands.append(Replicas((1,), 1, frozenset({ruled}), frozenset({0}), 5))
    kind = Hosts((3,), 6, None, 0, [0])
    assert free not in demands[2].apart
    assert bound(demands, [kind], alone(1, 1, 1), 1) == 12  # a worth of 7, in steps of 6
    with pytest.raises(ValueError, match="replica_prices"):
        bound(demands, [kind._replace(price=5)], alone(1, 1, 1), 1)


def test_equal_demands_are_as_quick_to_check_as_one() -> None:
    alike = [Replicas((1, 2), 9, frozenset(), frozenset({0}), 1)] * 500
    kind = Hosts((40, 30), 15, None, 0, [0, 0])
    assert bound(alike, [kind], alone(*[9] * 500), 1) == 4_500


def test_a_proof_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_check, "STEPS", 1)
    with pytest.raises(ValueError, match="too long"):
        bound([WEB], [HOSTS], alone(5), 1)


def test_a_proof_with_a_billion_branches_is_refused_before_they_are_made() -> None:
    tiny = Replicas((1,), 10**9, frozenset(), frozenset({0}), 1)
    with pytest.raises(ValueError, match="too much memory"):
        bound([tiny], [Hosts((10**9,), 1, None, 0, [1])], alone(10**9), 1)


def test_millions_of_replicas_without_size_are_one_branch() -> None:
    free = Replicas((0,), 10**8, frozenset(), frozenset({0}), 1)
    kind = Hosts((8,), 10**8 + 2, None, 0, [1])
    assert bound([free, WEB._replace(apart=frozenset())], [kind], alone(10**8, 2), 1) == kind.price
    with pytest.raises(ValueError, match="replica_prices"):
        bound([free, WEB._replace(apart=frozenset())], [kind._replace(price=10**8)], alone(1, 5), 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 12), st.integers(1, 4))
def test_the_least_worth_of_a_split_is_that_of_all_splits(
    prices: list[int], replicas: int, skew: int
) -> None:
    allowed = [
        counts
        for counts in product(range(replicas + 1), repeat=len(prices))
        if sum(counts) == replicas and max(counts) - min(counts) <= skew
    ]
    worths = [sum(p * n for p, n in zip(prices, counts, strict=True)) for counts in allowed]
    assert least_worth(prices, replicas, skew) == min(worths)


def test_a_split_may_be_uneven_within_the_skew() -> None:
    both = [WEB._replace(apart=frozenset())] * 2
    patterns = [(0, 2, {0: 2}), (0, 1, {1: 2})]
    assert cost(both, [HOSTS], [Split((0, 1), 6, 2)], patterns) == 9
    with pytest.raises(ValueError, match="skew"):
        cost(both, [HOSTS], [Split((0, 1), 6, 1)], patterns)
    with pytest.raises(ValueError, match="not all"):
        cost(both, [HOSTS], [Split((0, 1), 6, 2)], patterns[:1])
