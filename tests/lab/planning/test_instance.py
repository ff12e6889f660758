"""Instances: which demands are merged, and how their replicas are told apart again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.planning.instance import Filled, make_instance, split_members
from lab.planning.problem import Demand, HostKind, Problem

HOSTS = (HostKind("h", (10, 10), 2), HostKind("g", (20, 5), 4, 3))


def merged(*demands: Demand) -> tuple[tuple[int, ...], ...]:
    """Return the places of the demands of each item."""
    return make_instance(Problem(("r", "s"), demands, HOSTS)).members


def test_equal_demands_are_one_item() -> None:
    assert merged(Demand("a", 1, (2, 2)), Demand("b", 2, (2, 3)), Demand("c", 3, (2, 2))) == (
        (0, 2),
        (1,),
    )


def test_demands_without_replicas_are_left_out() -> None:
    assert merged(Demand("a", 0, (2, 2)), Demand("b", 1, (2, 2))) == ((1,),)


def test_demands_that_are_kept_apart_stay_apart() -> None:
    apart = frozenset({"b"})
    assert merged(Demand("a", 1, (2, 2), apart_from=apart), Demand("b", 1, (2, 2))) == ((0,), (1,))


def test_a_limit_on_one_host_keeps_a_demand_alone_only_if_it_binds() -> None:
    assert merged(Demand("a", 9, (2, 2), per_host=1), Demand("b", 9, (2, 2))) == ((0,), (1,))
    assert merged(Demand("a", 9, (2, 2), per_host=5), Demand("b", 9, (2, 2))) == ((0, 1),)


def test_limits_follow_size_number_and_kind() -> None:
    problem = Problem(
        ("r", "s"),
        (
            Demand("a", 9, (3, 0)),
            Demand("b", 2, (1, 1)),
            Demand("c", 9, (1, 1), hosts=frozenset({"g"})),
            Demand("d", 9, (2, 2), apart_from=frozenset({"d"})),
        ),
        HOSTS,
    )
    instance = make_instance(problem)
    assert instance.kinds[0].limits.tolist() == [3, 2, 0, 1]
    assert instance.kinds[1].limits.tolist() == [6, 2, 5, 1]
    assert instance.price_step == 2
    assert instance.replicas.tolist() == [9, 2, 9, 9]


def test_apart_holds_in_both_directions() -> None:
    instance = make_instance(
        Problem(
            ("r", "s"),
            (Demand("a", 1, (2, 2), apart_from=frozenset({"b"})), Demand("b", 1, (3, 2))),
            HOSTS,
        )
    )
    assert instance.apart is not None
    assert instance.apart.tolist() == [[False, True], [True, False]]


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
)
def test_each_member_gets_its_replicas_back(replicas: list[int], hosts: list[int]) -> None:
    demands = tuple(Demand(f"d{place}", number, (2, 2)) for place, number in enumerate(replicas))
    problem = Problem(("r", "s"), demands, HOSTS)
    instance = make_instance(problem)
    left, packing = sum(replicas), []
    for count in [*hosts, *[1] * left]:
        if times := left // count and min(2, left // count):
            packing.append(Filled(0, np.array([count]), times))
            left -= count * times
    placed = dict.fromkeys((demand.name for demand in demands), 0)
    for pattern in split_members(problem, instance, packing):
        for name, count in pattern.counts:
            placed[name] += count * pattern.times
    assert list(placed.values()) == replicas


def test_the_number_of_patterns_does_not_grow_with_replicas() -> None:
    demands = (Demand("a", 10**6, (2, 2)), Demand("b", 10**6 + 3, (2, 2)))
    problem = Problem(("r", "s"), demands, HOSTS)
    packing = [Filled(0, np.array([5]), 400_000), Filled(0, np.array([3]), 1)]
    assert [(each.counts, each.times) for each in split_members(
        problem, make_instance(problem), packing
    )] == [((("a", 5),), 200_000), ((("b", 5),), 200_000), ((("b", 3),), 1)]  # fmt: skip
