"""Construction: every rule places all replicas, keeps the limits, and fills kinds of hosts."""

from __future__ import annotations

from time import monotonic

import numpy as np
import pytest

from lab.planning.construction import RULES, Rule, construct, construct_by_search
from lab.planning.instance import Filled, Instance, make_instance
from lab.planning.master import Remaining
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.relaxation import resource_worths

PROBLEM = Problem(
    ("cpus", "memory"),
    (
        Demand("a", 100_001, (3, 10), per_host=2),
        Demand("b", 50_000, (5, 4), apart_from=frozenset({"c"})),
        Demand("c", 3_003, (1, 30)),
        Demand("d", 7, (0, 0)),
    ),
    (HostKind("h", (16, 64), 3), HostKind("g", (8, 64), 2, 1_000)),
)


def assert_feasible(instance: Instance, packing: list[Filled]) -> None:
    """Check that all replicas are placed where they may be."""
    placed = np.zeros(len(instance.replicas), dtype=np.int64)
    used = np.zeros(len(instance.kinds))
    for kind, counts, times in packing:
        placed += counts * times
        used[kind] += times
        assert (counts @ instance.sizes <= instance.kinds[kind].capacity).all()
        assert (counts <= instance.kinds[kind].limits).all()
        if instance.apart is not None:
            held = np.flatnonzero(counts)
            assert not instance.apart[np.ix_(held, held)].any()
    assert placed.tolist() == instance.replicas.tolist()
    assert (used <= instance.available).all()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_packs_all(rule: Rule) -> None:
    instance = make_instance(PROBLEM)
    worths, until = resource_worths(instance), monotonic() + 60
    packing = construct(instance, worths, rule, Remaining.all_of(instance), until)
    assert packing is not None
    assert_feasible(instance, packing)
    assert len(packing) < 40


def test_a_search_packs_all() -> None:
    instance = make_instance(PROBLEM)
    worths, until = resource_worths(instance), monotonic() + 60
    packing = construct_by_search(instance, worths, Remaining.all_of(instance), until)
    assert packing is not None
    assert_feasible(instance, packing)


def test_without_hosts_enough_there_is_no_packing() -> None:
    problem = Problem(("r",), (Demand("a", 5, (6,)),), (HostKind("h", (10,), 1, 4),))
    instance = make_instance(problem)
    worths, until = resource_worths(instance), monotonic() + 60
    for rule in RULES:
        assert construct(instance, worths, rule, Remaining.all_of(instance), until) is None


def test_after_the_deadline_there_is_no_packing() -> None:
    instance = make_instance(PROBLEM)
    worths = resource_worths(instance)
    assert construct(instance, worths, RULES[0], Remaining.all_of(instance), 0.0) is None
