"""Column generation: the bound of all patterns, and whether there are hosts enough."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any

import numpy as np
import pytest

from lab.planning import column_generation
from lab.planning.bound import farley_bound
from lab.planning.column_generation import (
    FIRST_NODES,
    Duals,
    Priced,
    add_packing,
    generate,
    is_enough,
)
from lab.planning.construction import RULES, construct
from lab.planning.incumbent import Incumbent
from lab.planning.instance import make_instance
from lab.planning.master import Pool, Remaining
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.relaxation import resource_worths
from tests.lab.planning.problems import one_resource


def started(problem: Problem) -> tuple[Incumbent, Pool]:
    """Return a search with a bound without patterns, and the columns of a first plan, if any."""
    instance = make_instance(problem)
    worths = resource_worths(instance)
    bound = farley_bound(instance, worths.values, worths.weights.sum(axis=1), worths.weights)
    incumbent, pool = Incumbent(instance, bound, monotonic() + 60), Pool(len(instance.replicas))
    everything = Remaining.all_of(instance)
    add_packing(pool, construct(instance, worths, RULES[0], everything, incumbent.until))
    return incumbent, pool


def test_patterns_prove_more_than_volume() -> None:
    incumbent, pool = started(one_resource(10, {6: 9, 3: 2}))
    assert incumbent.bound.rounded(incumbent.instance) == 6
    generate(incumbent, pool, incumbent.until)
    assert incumbent.bound.rounded(incumbent.instance) == 9


def test_prices_of_kinds_are_weighed() -> None:
    # Two of 5 on a host of 10 for 3, or three on one of 15 for 4: 4 / 3 each, and 12 of them.
    problem = Problem(
        ("r",), (Demand("a", 12, (5,)),), (HostKind("h", (10,), 3), HostKind("g", (15,), 4))
    )
    incumbent, pool = started(problem)
    generate(incumbent, pool, incumbent.until)
    assert incumbent.bound.rounded(incumbent.instance) == 16


def test_after_the_deadline_nothing_is_generated() -> None:
    incumbent, pool = started(one_resource(10, {6: 9, 3: 2}))
    columns = len(pool)
    generate(incumbent, pool, monotonic() - 1)
    assert len(pool) == columns


def test_pricing_that_the_deadline_ends_before_the_last_kind_proves_nothing() -> None:
    incumbent, _ = started(one_resource(10, {6: 9, 3: 2}))
    instance, worths = incumbent.instance, np.ones(2)
    duals, everything = Duals(worths, np.zeros(1)), Remaining.all_of(instance)
    priced = column_generation.price(
        instance, everything, duals, np.ones(1), FIRST_NODES, monotonic() - 1
    )
    assert not priced.proves
    assert not priced.exhausted
    priced = column_generation.price(
        instance, everything, duals, np.ones(1), FIRST_NODES, incumbent.until
    )
    assert priced.proves
    assert priced.uppers.tolist() == [2.0]  # of size 3 and 6


@pytest.mark.parametrize(("available", "enough"), [(3, False), (4, True)])
def test_phase_one_says_if_there_are_hosts_enough(available: int, enough: bool) -> None:
    incumbent, pool = started(one_resource(10, {6: 4}, available=available))
    instance = incumbent.instance
    pool.add(0, instance.kinds[0].limits // 4)
    bound = is_enough(incumbent, pool)
    assert (bound is None) == enough
    assert bound is None or bound.cost == inf


def test_quick_columns_are_left_out_once_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    demands = tuple(
        Demand(f"d{number}", 1, tuple(chance.integers(100, 400, 4).tolist()))
        for number in range(60)
    )
    problem = Problem(("a", "b", "c", "d"), demands, (HostKind("host", (1_000,) * 4),))
    calls: list[str] = []
    inner = column_generation.price

    def none(*_: object, **__: object) -> int:
        calls.append("quick")
        return 0

    def price(*args: Any) -> Priced:
        calls.append("exact")
        return inner(*args)

    monkeypatch.setattr(column_generation, "add_quickly", none)
    monkeypatch.setattr(column_generation, "price", price)
    incumbent, pool = started(problem)
    generate(incumbent, pool, incumbent.until)
    assert calls[:6] == ["quick", "exact", "exact", "exact", "exact", "quick"]


@pytest.mark.parametrize(("replicas", "lacking"), [(1_000, 0.0), (1_000_000, 200.0)])
def test_a_bound_may_lack_a_host_or_more_but_not_a_part(replicas: int, lacking: float) -> None:
    incumbent, _ = started(one_resource(1, {1: replicas}))
    assert column_generation._tolerated(incumbent.instance, float(replicas)) == lacking
