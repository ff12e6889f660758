"""Relaxations: what a resource is worth, and surrogates as strong as all resources at once."""

from __future__ import annotations

import numpy as np
import pytest

from lab.planning.instance import make_instance
from lab.planning.pricing import Knapsack
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.relaxation import resource_worths, surrogate


def test_the_scarcest_resource_has_the_worth() -> None:
    problem = Problem(
        ("cpus", "memory"),
        (Demand("a", 10, (4, 1)), Demand("b", 10, (2, 1))),
        (HostKind("h", (8, 8)),),
    )
    worths = resource_worths(make_instance(problem))
    assert worths.weights.tolist() == [pytest.approx([1.0, 0.0])]
    assert worths.values.tolist() == pytest.approx([0.5, 0.25])


def test_scarce_hosts_earn_a_rent() -> None:
    problem = Problem(
        ("cpus",),
        (Demand("a", 10, (4,)),),
        (HostKind("cheap", (8,), 1, 3), HostKind("dear", (8,), 5)),
    )
    worths = resource_worths(make_instance(problem))
    assert worths.values.tolist() == pytest.approx([2.5])
    assert worths.weights.sum(axis=1).tolist() == pytest.approx([5.0, 5.0])


def test_too_few_hosts_still_have_worths() -> None:
    problem = Problem(("cpus",), (Demand("a", 10, (4,)),), (HostKind("h", (8,), 1, 3),))
    assert resource_worths(make_instance(problem)).values[0] > 0


def test_the_surrogate_is_the_dual_solution() -> None:
    instance = make_instance(
        Problem(
            ("cpus", "memory"),
            (Demand("a", 9, (4, 1)), Demand("b", 9, (1, 4))),
            (HostKind("h", (12, 12)),),
        )
    )
    knapsack = Knapsack.of(instance, instance.kinds[0], instance.replicas)
    # Of each, 2.4 fill a host, by both resources.
    assert surrogate(knapsack, np.array([1.0, 1.0])).tolist() == pytest.approx([2.4, 2.4])
    assert surrogate(knapsack, np.array([0.0, 0.0])).tolist() == [1.0, 1.0]


def test_without_time_all_resources_are_worth_the_same() -> None:
    problem = Problem(
        ("cpus", "memory"),
        (Demand("a", 10, (4, 1)), Demand("b", 10, (2, 1))),
        (HostKind("h", (8, 8), 3),),
    )
    worths = resource_worths(make_instance(problem), 0.0)
    assert worths.weights.tolist() == [[1.5, 1.5]]
    assert worths.values.tolist() == pytest.approx([1.5 * 5 / 8, 1.5 * 3 / 8])
