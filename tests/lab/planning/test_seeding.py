"""Quick pricing: each set is feasible, holds its item, and can't be extended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from lab.planning.instance import make_instance
from lab.planning.pricing import Knapsack
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.seeding import grow_sets
from tests.lab.planning.problems import feasible_sets, tiny_problems


@given(tiny_problems())
def test_sets_are_feasible_and_full(problem: Problem) -> None:
    demands = tuple(demand for demand in problem.demands if demand.replicas)
    kept = frozenset(demand.name for demand in demands)
    demands = tuple(
        Demand(
            each.name, each.replicas, each.size, each.per_host, each.apart_from & kept, each.hosts
        )
        for each in demands
    )
    problem = Problem(problem.resources, demands, problem.hosts)
    instance = make_instance(problem)
    if len(instance.replicas) < len(demands) or not demands:
        return  # equal demands were merged
    values = np.arange(1.0, len(demands) + 1)
    knapsacks = [Knapsack.of(instance, kind, instance.replicas) for kind in instance.kinds]
    scores = np.repeat(values[None], len(knapsacks), axis=0)
    grown = [
        (int(row), tuple(map(int, counts)))
        for rows, found in grow_sets(knapsacks, values, scores)
        for row, counts in zip(rows, found, strict=True)
    ]
    for place, (host, kind) in enumerate(zip(problem.hosts, instance.kinds, strict=True)):
        feasible = set(feasible_sets(problem, host))
        sets = [counts for row, counts in grown if row == place]
        assert len(sets) == (kind.limits > 0).sum()
        assert {item for counts in sets for item in np.flatnonzero(counts)} == set(
            np.flatnonzero(kind.limits)
        )
        for counts in sets:
            assert counts in feasible
            for item in range(len(counts)):
                more = tuple(count + (place == item) for place, count in enumerate(counts))
                assert more not in feasible


def test_the_highest_scores_come_first() -> None:
    problem = Problem(
        ("r",), tuple(Demand(f"d{size}", 2, (size,)) for size in (2, 3, 4)), (HostKind("h", (10,)),)
    )  # fmt: skip
    instance = make_instance(problem)
    knapsack = Knapsack.of(instance, instance.kinds[0], instance.replicas)
    values = np.array([1.0, 2.0, 3.0])
    ((rows, sets),) = grow_sets([knapsack], values, values[None])
    assert rows.tolist() == [0, 0, 0]
    # The seeds are 4, 3 and 2, the dearest first.
    assert sets.tolist() == [[1, 0, 2], [0, 2, 1], [1, 0, 2]]


def test_kinds_are_grown_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    demands = tuple(Demand(f"d{size}", 9, (size,)) for size in (2, 3, 4))
    hosts = tuple(HostKind(f"h{room}", (room,)) for room in (3, 7, 10, 12))
    instance = make_instance(Problem(("r",), demands, hosts))
    knapsacks = [Knapsack.of(instance, kind, instance.replicas) for kind in instance.kinds]
    values = np.array([1.0, 2.0, 3.0])
    scores = np.array([[1.0, 2, 3], [3, 2, 1], [1, 3, 2], [2, 1, 3]])
    ((rows, sets),) = grow_sets(knapsacks, values, scores)
    assert rows.tolist() == [0, 0, *([1] * 3), *([2] * 3), *([3] * 3)]
    monkeypatch.setattr("lab.planning.seeding._CELLS", 9)
    portions = list(grow_sets(knapsacks, values, scores))
    assert len(portions) == len(hosts)
    assert np.concatenate([each for each, _ in portions]).tolist() == rows.tolist()
    assert np.concatenate([each for _, each in portions]).tolist() == sets.tolist()
