"""Displaced replicas: best fit, the search for more, and the rules of a plan."""

from __future__ import annotations

import pytest

from lab.planning import displacement
from lab.planning.displacement import Refit, Room, Rules, refit
from lab.planning.problem import Demand


def room(*free: int, kind: str = "node", times: int | None = 1, **counts: int) -> Room:
    return Room(kind, free, counts, times, {})


def rules(*demands: Demand) -> Rules:
    return Rules(
        demands,
        {demand.name: demand.name for demand in demands},
        {demand.name: demand.hosts for demand in demands},
    )


def started(found: Refit) -> dict[str, int]:
    result: dict[str, int] = {}
    for each in found.rooms:
        for name, count in each.started.items():
            result[name] = result.get(name, 0) + count * (each.times or 0)
    return result


def test_replicas_go_where_the_least_of_them_fit() -> None:
    found = refit({"a": 5}, [room(9, times=2), room(4)], [], rules(Demand("a", 9, (2,))))
    assert (found.extra, found.is_exact) == (0, True)
    assert sorted((each.started["a"], each.times) for each in found.rooms if each.started) == [
        (2, 1),
        (3, 1),
    ]


def test_a_million_hosts_are_filled_by_their_number() -> None:
    found = refit(
        {"a": 2_500_001}, [room(5, times=10**6)], [room(5, times=None)],
        rules(Demand("a", 9, (2,))),
    )  # fmt: skip
    assert (found.extra, found.is_exact) == (250_001, True)
    assert started(found) == {"a": 2_500_002}  # the last set has a place more than is needed


def test_the_search_finds_what_best_fit_misses() -> None:
    demands = rules(Demand("large", 1, (4,)), Demand("small", 3, (3,)))
    displaced, rooms = {"large": 1, "small": 3}, [room(6), room(7)]
    found = refit(displaced, rooms, [room(9, times=None)], demands)
    assert (found.extra, found.is_exact) == (0, True)
    assert started(found) == displaced
    without = refit(displaced, rooms, [room(9, times=None)], demands, search=False)
    assert (without.extra, without.is_exact) == (1, False)


def test_the_sums_prove_how_many_more_are_needed() -> None:
    found = refit(
        {"a": 7}, [room(3)], [room(8, times=None)], rules(Demand("a", 7, (2,))), search=False
    )
    assert (found.extra, found.is_exact) == (2, True)
    assert started(found) == {"a": 7}


def test_a_limit_for_each_host_counts_what_is_there() -> None:
    demands = rules(Demand("a", 4, (1,), per_host=2))
    found = refit({"a": 2}, [room(9, a=1), room(9, a=2)], [room(9, times=None)], demands)
    assert (found.extra, found.is_exact) == (1, True)


def test_parts_of_a_service_share_its_limit() -> None:
    demands = (Demand("a in x", 1, (1,), per_host=1), Demand("a in y", 1, (1,), per_host=1))
    service_of = {"a in x": "a", "a in y": "a"}
    own = Rules(demands, service_of, {"a in x": None, "a in y": None})
    occupied = Room("node", (9,), {"a in y": 1}, 1, {})
    assert own.most("a in x", occupied) == 0
    assert own.most("a in x", room(9)) == 1


def test_services_that_are_apart_share_no_host() -> None:
    demands = rules(Demand("a", 1, (1,), apart_from=frozenset({"b"})), Demand("b", 1, (1,)))
    for name, other in (("a", "b"), ("b", "a")):
        found = refit({name: 1}, [Room("node", (9,), {other: 1}, 1, {})], [], demands)
        assert (found.extra, found.is_exact) == (None, True)
    both = refit({"a": 1, "b": 1}, [room(9)], [room(9, times=None)], demands)
    assert (both.extra, both.is_exact) == (1, True)


def test_kinds_of_hosts_that_may_not_carry_a_demand_are_no_room() -> None:
    demands = rules(Demand("a", 1, (1,), hosts=frozenset({"gpu"})))
    found = refit({"a": 1}, [room(9)], [room(9, times=None), room(9, kind="gpu", times=3)], demands)
    assert (found.extra, found.is_exact) == (1, True)
    assert [each.kind for each in found.rooms if each.started] == ["gpu"]


def test_too_few_further_hosts_are_no_help() -> None:
    found = refit({"a": 9}, [room(2)], [room(2, times=2)], rules(Demand("a", 9, (1,))))
    assert (found.extra, found.is_exact) == (None, True)


def test_further_hosts_are_those_that_hold_most() -> None:
    spare = [room(2, kind="small", times=None), room(6, kind="large", times=None)]
    found = refit({"a": 6}, [], spare, rules(Demand("a", 6, (1,))), search=False)
    assert (found.extra, found.is_exact) == (1, True)
    assert [each.kind for each in found.rooms] == ["large"]


def test_a_billion_replicas_that_take_nothing_are_not_enumerated() -> None:
    """The first service fits on no host, so that the search begins."""
    both = rules(Demand("a", 1, (4,)), Demand("none", 10**9, (0,)))
    found = refit({"a": 1, "none": 10**9}, [room(3)], [], both)
    assert (found.extra, found.is_exact) == (None, True)


def test_where_the_sets_are_too_many_the_solver_packs_further_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    demands = rules(Demand("four", 2, (4,)), Demand("three", 4, (3,), hosts=frozenset({"node"})))
    displaced, spare = {"four": 2, "three": 4}, [room(10, times=None)]
    by_best_fit = refit(displaced, [], spare, demands, search=False)
    assert (by_best_fit.extra, by_best_fit.is_exact) == (3, False)
    by_sets = refit(displaced, [], spare, demands)
    assert (by_sets.extra, by_sets.is_exact) == (2, True)
    monkeypatch.setattr(displacement, "_MOST_STEPS", 0)
    by_solver = refit(displaced, [], spare, demands)
    assert (by_solver.extra, by_solver.is_exact) == (2, False)
    assert started(by_solver) == displaced
