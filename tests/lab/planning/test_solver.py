"""The solver: plans are optimal on tiny problems, proven, and made in time on large ones."""

from __future__ import annotations

import dataclasses
import random
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import InvalidConfig
from lab.planning.certificate import check
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.solution import to_document
from lab.planning.solver import solve
from tests.lab.planning.problems import FOREVER, cheapest, one_resource, tiny_problems


def test_a_plan_of_nothing_needs_no_host() -> None:
    problem = one_resource(10, {5: 0})
    solution = solve(problem)
    assert (solution.hosts, solution.cost, solution.bound, solution.gap) == (0, 0, 0, 0.0)
    assert check(problem, to_document(problem, solution)) == 0


def test_small_replicas_fill_the_gaps_of_large_ones() -> None:
    solution = solve(one_resource(100, {40: 2, 60: 2}))
    assert [(pattern.counts, pattern.times) for pattern in solution.patterns] == [
        ((("d40", 1), ("d60", 1)), 2)
    ]
    assert (solution.cost, solution.bound, solution.timed_out) == (2, 2, False)


def test_the_bound_is_that_of_patterns_not_of_volume() -> None:
    # By volume 6 hosts would do: 9 × 6 + 2 × 3 = 60.
    solution = solve(one_resource(10, {6: 9, 3: 2}))
    assert (solution.hosts, solution.bound) == (9, 9)


def test_the_cheapest_kinds_are_chosen_not_the_fewest_hosts() -> None:
    demands = (Demand("a", 4, (4,)),)
    hosts = (HostKind("large", (16,), 10), HostKind("small", (4,), 2))
    solution = solve(Problem(("cpus",), demands, hosts))
    assert (solution.hosts, solution.cost, solution.bound) == (4, 8, 8)


def test_scarce_hosts_are_supplemented_by_dearer_ones() -> None:
    demands = (Demand("a", 10, (4,)),)
    hosts = (HostKind("cheap", (8,), 1, 3), HostKind("dear", (8,), 5))
    solution = solve(Problem(("cpus",), demands, hosts))
    assert (solution.cost, solution.bound) == (3 + 2 * 5, 13)


def test_rules_of_placement_are_kept() -> None:
    demands = (
        Demand("single", 3, (1,), per_host=1),
        Demand("a", 2, (1,), apart_from=frozenset({"b"})),
        Demand("b", 2, (1,)),
        Demand("bound", 1, (1,), hosts=frozenset({"y"})),
    )
    hosts = (HostKind("x", (100,), 2), HostKind("y", (1,), 1, 4))
    problem = Problem(("cpus",), demands, hosts)
    solution = solve(problem)
    assert solution.cost == cheapest(problem)
    assert check(problem, to_document(problem, solution)) == solution.bound


def test_equal_demands_are_merged_and_split_again() -> None:
    demands = tuple(Demand(f"d{number}", number, (3,)) for number in range(1, 8))
    problem = Problem(("cpus",), demands, (HostKind("host", (10,)),))
    solution = solve(problem)
    assert (solution.hosts, solution.bound) == (10, 10)  # 28 replicas, three on a host
    assert check(problem, to_document(problem, solution)) == 10


def test_replicas_without_size_take_no_host_of_their_own() -> None:
    problem = Problem(
        ("cpus", "memory"),
        (Demand("idle", 1_000, (0, 0)), Demand("busy", 3, (4, 1))),
        (HostKind("host", (8, 8)),),
    )
    solution = solve(problem)
    assert (solution.hosts, solution.bound) == (2, 2)


@settings(max_examples=60)
@given(tiny_problems())
def test_tiny_plans_are_optimal(problem: Problem) -> None:
    solution = solve(problem, deadline_seconds=FOREVER)
    assert solution.cost == cheapest(problem)
    assert solution.bound <= solution.cost
    assert check(problem, to_document(problem, solution)) == solution.bound


@settings(max_examples=60)
@given(tiny_problems(limited=True))
def test_tiny_plans_with_scarce_hosts_are_optimal_or_refused(problem: Problem) -> None:
    best = cheapest(problem)
    if best is None:
        with pytest.raises(InvalidConfig):
            solve(problem, deadline_seconds=FOREVER)
        return
    solution = solve(problem, deadline_seconds=FOREVER)
    assert solution.cost == best
    assert check(problem, to_document(problem, solution)) == solution.bound


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 25))
def test_random_plans_are_proven(seed: int, dimensions: int, kinds: int) -> None:
    problem = random_problem(seed, dimensions, kinds)
    solution = solve(problem, deadline_seconds=3)
    assert check(problem, to_document(problem, solution)) == solution.bound
    assert solution.cost - solution.bound <= 1 + solution.bound * 0.02


def test_the_same_seed_gives_the_same_plan() -> None:
    problem = random_problem(7, 2, 20)
    assert solve(problem, seed=3) == solve(problem, seed=3)


def test_the_cost_of_solving_does_not_grow_with_replicas() -> None:
    problem = random_problem(11, 3, 10)
    many = dataclasses.replace(
        problem,
        demands=tuple(
            dataclasses.replace(demand, replicas=demand.replicas * 100_000)
            for demand in problem.demands
        ),
    )
    begin = monotonic()
    solution = solve(many, deadline_seconds=20)
    assert monotonic() - begin < 20
    assert sum(demand.replicas for demand in many.demands) > 1_000_000
    assert solution.gap < 0.001
    assert check(many, to_document(many, solution)) == solution.bound


@pytest.mark.parametrize("deadline", [0.0, 0.2, 1.0])
def test_a_deadline_gives_the_best_plan_with_its_gap(deadline: float) -> None:
    problem = random_problem(5, 4, 200, largest=400)
    begin = monotonic()
    solution = solve(problem, deadline_seconds=deadline)
    assert monotonic() - begin < deadline + 5  # the first plan, and what was running
    assert 0 <= solution.gap < 1
    assert check(problem, to_document(problem, solution)) == solution.bound


def test_a_demand_that_fits_nowhere_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"d11 fits on no host: .* too little cpus"):
        solve(one_resource(10, {11: 1, 2: 3}))


def test_a_demand_without_a_host_is_named() -> None:
    demands = (Demand("a", 1, (1,), hosts=frozenset({"x"})),)
    with pytest.raises(InvalidConfig, match="a may run on no host"):
        solve(Problem(("cpus",), demands, (HostKind("x", (2,), 1, 0), HostKind("y", (2,)))))


def test_the_kind_of_which_too_few_are_available_is_named() -> None:
    with pytest.raises(
        InvalidConfig, match=r"Too few hosts of host: at least 4 are needed, and 3 are available"
    ):
        solve(one_resource(10, {6: 4}, available=3))


def test_all_kinds_of_which_too_few_are_available_are_named() -> None:
    demands = (Demand("a", 5, (6,), hosts=frozenset({"x", "y"})), Demand("b", 9, (1,)))
    hosts = (HostKind("x", (6,), 1, 1), HostKind("y", (12,), 1, 1), HostKind("z", (50,)))
    with pytest.raises(InvalidConfig, match=r"Too few hosts of x and y: .* at most 60\.0%"):
        solve(Problem(("cpus",), demands, hosts))


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (one_resource(10, {3: -1}), "-1 replicas"),
        (one_resource(10, {-3: 1}), "negative"),
        (one_resource(2**62, {3: 1}), "larger unit"),
        (one_resource(10, {3: 1}, price=-1), "price"),
        (one_resource(10, {3: 1}, available=-1), "number"),
        (Problem(("r",), (Demand("a", 1, (1, 2)),), (HostKind("h", (3,)),)), "2 amounts"),
        (Problem(("r",), (Demand("a", 1, (1,)),) * 2, (HostKind("h", (3,)),)), "given twice"),
        (
            Problem(("r",), (Demand("a", 1, (1,), per_host=0),), (HostKind("h", (3,)),)),
            "per_host is 0",
        ),
        (
            Problem(
                ("r",), (Demand("a", 1, (1,), apart_from=frozenset("z")),), (HostKind("h", (3,)),)
            ),
            "apart from z",
        ),
        (
            Problem(("r",), (Demand("a", 1, (1,), hosts=frozenset("z")),), (HostKind("h", (3,)),)),
            "z, which is no host",
        ),
        (Problem(("r",), (Demand("a", 1, (1,)),), ()), "may run on no host"),
    ],
)
def test_unusable_figures_are_refused(problem: Problem, reason: str) -> None:
    with pytest.raises(InvalidConfig, match=reason):
        solve(problem)


def random_problem(seed: int, dimensions: int, kinds: int, largest: int = 60) -> Problem:
    """Return a problem with random sizes between a tenth and `largest` hundredths of a host."""
    chance = random.Random(seed)
    demands = tuple(
        Demand(
            f"d{place}",
            chance.randint(1, 9),
            tuple(chance.randint(100, 1_000) * largest // 100 for _ in range(dimensions)),
        )
        for place in range(kinds)
    )
    capacity = (max(1_000, 10 * largest),) * dimensions
    return Problem(tuple(map(str, range(dimensions))), demands, (HostKind("host", capacity),))
