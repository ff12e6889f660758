"""Replicas that are split over failure domains: bound and plan against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InvalidConfig
from lab.planning.certificate import check
from lab.planning.inventory import CPUS, GPUS, Host, Service
from lab.planning.plan import make_plan
from lab.planning.problem import Demand, HostKind, Problem, Split, most_replicas
from lab.planning.solution import to_document
from lab.planning.solver import solve
from lab.planning.splitting import round_within, split_anew
from tests.lab.planning.problems import FOREVER, cheapest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn


@st.composite
def spread_problems(draw: DrawFn) -> Problem:
    """Draw a problem with a service over two or three zones, and another beside it."""
    zones = ["a", "b", "c"][: draw(st.integers(2, 3))]
    hosts = tuple(
        HostKind(
            zone,
            (draw(st.integers(3, 9)),),
            draw(st.integers(1, 3)),
            draw(st.none() | st.integers(1, 3)),
        )
        for zone in zones
    )
    total, skew = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    share, odd = divmod(total, len(zones))
    size = draw(st.integers(1, 3))
    per_host = draw(st.none() | st.integers(1, 2))
    parts = tuple(
        Demand(f"web {zone}", share + (place < odd), (size,), per_host, hosts=frozenset({zone}))
        for place, zone in enumerate(zones)
    )
    other = Demand("other", draw(st.integers(0, 2)), (draw(st.integers(1, 3)),))
    split = Split(tuple(part.name for part in parts), skew)
    return Problem(("cpus",), (*parts, other), hosts, (split,))


def splits(problem: Problem) -> Iterator[Problem]:
    """Yield the problem with each split of the service's replicas."""
    (split,) = problem.splits
    parts = problem.demands[:-1]
    total = sum(part.replicas for part in parts)
    for counts in product(range(total + 1), repeat=len(parts)):
        if sum(counts) == total and max(counts) - min(counts) <= split.max_skew:
            own = [
                replace(part, replicas=number) for part, number in zip(parts, counts, strict=True)
            ]
            yield Problem(problem.resources, (*own, problem.demands[-1]), problem.hosts)


@given(spread_problems())
def test_the_plan_is_the_cheapest_of_every_split(problem: Problem) -> None:
    costs = [cost for each in splits(problem) if (cost := cheapest(each)) is not None]
    try:
        solution = solve(problem, deadline_seconds=FOREVER)
    except InvalidConfig:
        assert not costs
        return
    assert solution.bound <= min(costs) == solution.cost
    assert check(problem, to_document(problem, solution)) == solution.bound


@given(spread_problems())
def test_no_part_has_more_replicas_than_in_some_split(problem: Problem) -> None:
    every = [[part.replicas for part in each.demands] for each in splits(problem)]
    most = np.array(every).max(axis=0)
    assert list(most_replicas(problem)) == most.tolist()


def test_an_uneven_split_is_taken_where_it_is_cheaper() -> None:
    hosts = [Host("large", {CPUS: 4.0}, zone="a"), Host("small", {CPUS: 1.0}, zone="b")]
    even = make_plan([Service("web", 6, {CPUS: 1.0}, spread="zone")], hosts)
    assert (even.host_count, even.bound) == (4, 4)
    uneven = make_plan([Service("web", 6, {CPUS: 1.0}, spread="zone", max_skew=4)], hosts)
    assert (uneven.host_count, uneven.bound) == (3, 3)
    large, small = (demand.replicas for demand in uneven.problem.demands)
    assert (large + small, small <= 2) == (6, True)  # there are two small hosts beside one large
    assert uneven.fractional_bound == pytest.approx(3, abs=1)
    assert uneven.fractional_bound > 2


def test_two_services_are_split_so_that_a_third_which_one_shuns_has_a_host() -> None:
    hosts = [Host("node", {CPUS: 4.0}, zone=zone) for zone in "ab"]
    services = [
        Service("web", 4, {CPUS: 1.0}, spread="zone", max_skew=3, per_host=2),
        Service("agent", 2, {CPUS: 0.0}, apart_from=frozenset({"db"})),
        Service("db", 2, {CPUS: 1.0}, spread="zone", max_skew=3),
    ]
    assert make_plan(services, hosts).host_count == 2


def test_services_are_split_so_that_their_replicas_share_hosts() -> None:
    hosts = [Host("node", {CPUS: 33.0, GPUS: 33.0}, zone=zone) for zone in "abc"]
    services = [
        Service("large", 3, {CPUS: 3.0, GPUS: 11.0}, spread="zone", max_skew=3, per_host=2),
        Service("other", 3, {CPUS: 3.0}, spread="zone", max_skew=3, per_host=1),
        Service("even", 3, {CPUS: 11.0, GPUS: 22.0}, spread="zone"),
        Service("shy", 1, {GPUS: 1.0}, apart_from=frozenset({"large"}), spread="zone", max_skew=2),
    ]
    assert make_plan(services, hosts).host_count == 4


def test_a_split_that_alone_has_room_is_found() -> None:
    # Evenly, three of web would be in zone a, where the database leaves room for two.
    hosts = [Host("a", {CPUS: 4.0}, zone="a", count=1), Host("b", {CPUS: 4.0}, zone="b", count=1)]
    services = [
        Service("web", 6, {CPUS: 1.0}, spread="zone", max_skew=2),
        Service("db", 1, {CPUS: 2.0}, hosts=frozenset({"a"})),
    ]
    plan = make_plan(services, hosts)
    assert [demand.replicas for demand in plan.problem.demands] == [2, 4, 1]


@given(st.lists(st.floats(0, 9), min_size=1, max_size=5), st.integers(1, 3))
def test_rounding_keeps_the_sum_and_the_skew(wanted: list[float], skew: int) -> None:
    total = round(sum(wanted))
    rounded = round_within(np.array(wanted), total, skew)
    assert rounded.sum() == total
    assert rounded.min() >= 0
    assert rounded.max() - rounded.min() <= skew


def test_a_problem_that_is_split_so_stays_as_it_is() -> None:
    parts = (Demand("a", 2, (1,)), Demand("b", 1, (1,)), Demand("c", 0, (1,)))
    split = Split(("a", "b", "c"), 2)
    problem = Problem(("cpus",), parts, (HostKind("host", (4,)),), (split,))
    assert split_anew(problem, [np.array([1.9, 1.1, 0.0])]) is problem
    other = split_anew(problem, [np.array([0.2, 1.2, 1.6])])
    assert [part.replicas for part in other.demands] == [0, 1, 2]
