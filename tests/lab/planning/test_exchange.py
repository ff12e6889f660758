"""Exchange: fewer hosts by moves and swaps, and where it does not apply."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import numpy as np
import pytest

from lab.planning.bound import farley_bound
from lab.planning.exchange import applies, exchange
from lab.planning.incumbent import Incumbent
from lab.planning.instance import Filled, make_instance
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.relaxation import resource_worths
from tests.lab.planning.problems import one_resource

# Two hosts of 6 + 4 + 2 fill up; 6 + 6 on one host is the trap of a greedy start.
PROBLEM = one_resource(12, {6: 2, 4: 2, 2: 2})


def incumbent_of(problem: Problem, packing: list[Filled]) -> Incumbent:
    """Return an incumbent with that packing and the bound of the resources."""
    instance = make_instance(problem)
    worths = resource_worths(instance)
    bound = farley_bound(instance, worths.values, worths.weights.sum(axis=1), worths.weights)
    incumbent = Incumbent(instance, bound, monotonic() + 60)
    incumbent.offer(packing)
    return incumbent


def test_hosts_are_given_up_while_all_fits() -> None:
    alone = [Filled(0, np.eye(3, dtype=np.int64)[item], 2) for item in range(3)]
    incumbent = incumbent_of(PROBLEM, alone)
    exchange(incumbent, monotonic() + 60, np.random.default_rng(0))
    assert incumbent.cost == 2
    assert incumbent.packing is not None
    placed = np.sum([filled.times * filled.counts for filled in incumbent.packing], axis=0)
    assert placed.tolist() == [2, 2, 2]
    for filled in incumbent.packing:
        assert filled.counts @ incumbent.instance.sizes[:, 0] <= 12


def test_without_time_the_packing_stays() -> None:
    # 7 + 7 never share a host of 12, though the bound allows for two hosts.
    incumbent = incumbent_of(one_resource(12, {7: 3}), [Filled(0, np.array([1]), 3)])
    assert not incumbent.is_optimal
    exchange(incumbent, monotonic() + 0.05, np.random.default_rng(0))
    assert incumbent.cost == 3


@pytest.mark.parametrize(
    "problem",
    [
        replace(PROBLEM, hosts=(*PROBLEM.hosts, HostKind("other", (12,)))),
        one_resource(12, {6: 2}, available=3),
        one_resource(12, {6: 5_000}),
        one_resource(2**60, {6: 2}),
        Problem(("r",), (Demand("a", 4, (1,), per_host=2),), (HostKind("h", (12,)),)),
        Problem(
            ("r",),
            (Demand("a", 2, (1,), apart_from=frozenset({"b"})), Demand("b", 2, (1,))),
            (HostKind("h", (12,)),),
        ),
    ],
)
def test_other_rules_than_capacity_are_left_to_patterns(problem: Problem) -> None:
    assert not applies(make_instance(problem))


def test_nothing_but_capacity_limits_these() -> None:
    assert applies(make_instance(PROBLEM))
    # A resource that nothing takes, and one that some don't.
    demands = (Demand("a", 3, (2, 0, 0)), Demand("b", 2, (0, 5, 0)))
    assert applies(make_instance(Problem(("r", "s", "t"), demands, (HostKind("h", (4, 5, 0)),))))
