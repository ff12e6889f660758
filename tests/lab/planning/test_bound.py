"""Bounds: the scale that proves most, and certificates that are exact."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import pytest

from lab.planning.bound import certify, farley_bound, round_up
from lab.planning.instance import Instance, make_instance
from lab.planning.problem import Demand, HostKind, Problem
from tests.lab.planning.problems import one_resource


def instance(*, available: int | None = None, dear: bool = False) -> Instance:
    """Return ten replicas of half a host, with a second kind that is dear if wanted."""
    hosts = [HostKind("h", (10,), 2, available)]
    if dear:
        hosts.append(HostKind("dear", (10,), 6))
    return make_instance(Problem(("r",), (Demand("a", 10, (5,)),), tuple(hosts)))


def test_worths_that_are_too_high_are_scaled_down() -> None:
    bound = farley_bound(instance(), np.array([3.0]), np.array([6.0]), np.ones((1, 1)))
    assert bound.cost == pytest.approx(10)
    assert bound.scale == pytest.approx(1 / 3)
    assert bound.rounded(instance()) == 10


def test_a_rent_for_scarce_hosts_raises_the_bound() -> None:
    # Three cheap hosts carry six replicas; two dear ones the rest: 3 × 2 + 2 × 6.
    case = instance(available=3, dear=True)
    bound = farley_bound(case, np.array([3.0]), np.array([6.0, 6.0]), np.ones((2, 1)))
    assert bound.cost == pytest.approx(18)
    assert bound.rents(case).tolist() == pytest.approx([4, 0])


def test_too_few_hosts_have_no_bound() -> None:
    case = instance(available=4)
    assert farley_bound(case, np.array([1.0]), np.array([2.0]), np.ones((1, 1))).cost == inf


def test_a_cost_is_rounded_up_to_one_that_occurs() -> None:
    case = instance()
    assert [round_up(case, cost) for cost in (0.0, 0.5, 2.0, 2.0 + 1e-9, 2.1, 4.0)] == [
        0, 2, 2, 2, 4, 4,
    ]  # fmt: skip


def test_a_certificate_is_lowered_as_far_as_rounding_allows() -> None:
    problem = one_resource(10, {3: 10})
    case = make_instance(problem)
    bound = farley_bound(case, np.array([1 / 3]), np.array([1.0]), np.ones((1, 1)))
    certificate, proven = certify(problem, case, bound)
    assert proven == 4
    assert 3 < certificate.replica_prices[0] * 10 < Fraction(10, 3)
    assert certificate.replica_prices[0] * 3 < 1
    assert certificate.host_rents == (Fraction(0),)


def test_a_certificate_of_nothing_proves_nothing() -> None:
    problem = one_resource(10, {3: 10})
    case = make_instance(problem)
    bound = farley_bound(case, np.zeros(1), np.zeros(1), np.ones((1, 1)))
    assert certify(problem, case, bound)[1] == 0


def test_resource_prices_are_those_of_the_most_replicas_that_rules_allow() -> None:
    # Three of `a` fit, but the check counts a thousand: a lower price would leave each a surplus.
    problem = one_resource(10, {3: 1000, 1: 5})
    case = make_instance(problem)
    bound = farley_bound(case, np.array([0.33, 0.05]), np.array([1.04]), np.ones((1, 1)))
    certificate, _ = certify(problem, case, bound)
    value, ((price,),) = certificate.replica_prices[0], certificate.resource_prices
    assert float(3 * price) == pytest.approx(float(value))


def test_without_worth_resources_cost_nothing() -> None:
    problem = one_resource(10, {3: 2})
    case = make_instance(problem)
    bound = farley_bound(case, np.array([0.0]), np.array([0.0]), np.zeros((1, 1)))
    certificate, proven = certify(problem, case, bound)
    assert (certificate.resource_prices, proven) == (((Fraction(0),),), 0)
