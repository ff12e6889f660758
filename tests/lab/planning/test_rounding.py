"""Rounding: dives end in feasible packings, and all sets decide whether there is a better one."""

from __future__ import annotations

from time import monotonic

import numpy as np

from lab.planning.bound import farley_bound
from lab.planning.column_generation import add_packing, generate
from lab.planning.construction import RULES, construct
from lab.planning.incumbent import Incumbent
from lab.planning.instance import Instance, cost_of, make_instance
from lab.planning.master import Pool, Remaining
from lab.planning.problem import Problem
from lab.planning.relaxation import resource_worths
from lab.planning.rounding import dive, solve_all_sets, solve_whole, take
from tests.lab.planning.problems import one_resource
from tests.lab.planning.test_construction import assert_feasible
from tests.lab.planning.test_solver import random_problem


def prepared(problem: Problem) -> tuple[Instance, Incumbent, Pool]:
    """Return an instance whose columns were generated; the incumbent is the worst plan possible."""
    instance = make_instance(problem)
    worths = resource_worths(instance)
    bound = farley_bound(instance, worths.values, worths.weights.sum(axis=1), worths.weights)
    until = monotonic() + 60
    incumbent, pool = Incumbent(instance, bound, until), Pool(len(instance.replicas))
    for rule in RULES:
        packing = construct(instance, worths, rule, Remaining.all_of(instance), until)
        add_packing(pool, packing)
    generate(incumbent, pool, until)
    incumbent.packing, incumbent.cost = None, None
    return instance, incumbent, pool


def test_a_dive_ends_near_the_bound() -> None:
    instance, incumbent, pool = prepared(random_problem(1, 2, 30))
    columns = len(pool)
    packing = dive(incumbent, pool)
    assert packing is not None
    assert_feasible(instance, packing)
    assert cost_of(instance, packing) <= incumbent.bound.rounded(instance) + 1
    assert len(pool) == columns


def test_a_dive_with_a_seed_repeats() -> None:
    _, incumbent, pool = prepared(random_problem(2, 2, 20))
    first, second = (dive(incumbent, pool, np.random.default_rng(5)) for _ in range(2))
    assert first is not None
    assert second is not None
    for one, other in zip(first, second, strict=True):
        assert (one.kind, one.counts.tolist(), one.times) == (
            other.kind,
            other.counts.tolist(),
            other.times,
        )


def test_an_integer_program_over_the_columns_is_feasible() -> None:
    instance, incumbent, pool = prepared(random_problem(3, 2, 20))
    packing = solve_whole(incumbent, pool, 20.0)
    assert packing is not None
    assert_feasible(instance, packing)


def test_all_sets_find_the_cheapest_packing_and_say_that_it_is() -> None:
    # By volume 3.4 hosts would do.
    instance, incumbent, _ = prepared(one_resource(10, {5: 2, 4: 3, 3: 4}))
    solve_all_sets(incumbent, 20.0)
    assert incumbent.is_final
    assert incumbent.cost == 4
    assert incumbent.packing is not None
    assert_feasible(instance, incumbent.packing)


def test_only_what_remains_is_taken() -> None:
    remaining = Remaining(np.array([7, 1]), np.array([5.0]))
    taken = take(0, np.array([2, 1]), 9, remaining)
    assert [(each.counts.tolist(), each.times) for each in taken] == [
        ([2, 1], 1),
        ([2, 0], 2),
        ([1, 0], 1),
    ]
    assert remaining.replicas.tolist() == [0, 0]
    assert remaining.available.tolist() == [1.0]
