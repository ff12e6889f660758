"""The restricted master: its dual solution, phase one, and whole hosts."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lab.planning.instance import make_instance
from lab.planning.master import Master, Pool, Remaining, fill_whole
from lab.planning.problem import Demand, HostKind, Problem, Split

INSTANCE = make_instance(
    Problem(
        ("r",),
        (Demand("a", 7, (4,)), Demand("b", 4, (6,))),
        (HostKind("h", (10,), 3), HostKind("g", (12,), 4, 2)),
    )
)


def pool() -> Pool:
    """Return columns with which all replicas can be carried."""
    columns = Pool(2)
    for kind, counts in ((0, [2, 0]), (0, [1, 1]), (0, [0, 1]), (1, [3, 0]), (1, [0, 2])):
        columns.add(kind, np.array(counts))
    return columns


def test_the_dual_solution_pays_for_the_hosts() -> None:
    relaxed = Master(INSTANCE, pool(), Remaining.all_of(INSTANCE)).solve(10.0)
    assert relaxed is not None
    assert relaxed.cost == pytest.approx(relaxed.values @ [7, 4] - 2 * relaxed.rents[1])
    assert relaxed.times @ [3, 3, 3, 4, 4] == pytest.approx(relaxed.cost)
    for kind, counts in ((0, [2, 0]), (0, [1, 1]), (0, [0, 1]), (1, [3, 0]), (1, [0, 2])):
        assert relaxed.values @ counts <= [3, 4][kind] + relaxed.rents[kind] + 1e-9


def test_whole_hosts_cost_least() -> None:
    # Four hosts with both, and one of the larger with the other three.
    whole = fill_whole(INSTANCE, pool(), Remaining.all_of(INSTANCE), 10.0)
    assert whole.times is not None
    assert whole.is_final
    assert whole.times @ [3, 3, 3, 4, 4] == 16
    assert not fill_whole(
        INSTANCE, pool(), Remaining.all_of(INSTANCE), 10.0, below=16
    ).times  # fmt: skip


def test_an_integer_program_may_divide_replicas_anew() -> None:
    parts = (
        Demand("a", 2, (1,), hosts=frozenset({"h"})),
        Demand("b", 2, (1,), hosts=frozenset({"g"})),
    )
    hosts = (HostKind("h", (3,)), HostKind("g", (1,)))
    instance = make_instance(Problem(("r",), parts, hosts, (Split(("a", "b"), 2),)))
    columns = Pool(2)
    columns.add(0, np.array([3, 0]))
    columns.add(1, np.array([0, 1]))
    whole = fill_whole(instance, columns, Remaining.most_of(instance), 10.0, free=True)
    assert whole.times is not None
    assert whole.times.tolist() == [1, 1]  # two and two would take three hosts
    assert [part.tolist() for part in whole.parts] == [[3, 1]]


def test_columns_are_cut_to_what_remains() -> None:
    remaining = Remaining(np.array([1, 0]), INSTANCE.available)
    relaxed = Master(INSTANCE, pool(), remaining).solve(10.0)
    assert relaxed is not None
    assert relaxed.cost == pytest.approx(3)


def test_without_columns_enough_there_is_no_master_but_phase_one() -> None:
    columns = Pool(2)
    columns.add(1, np.array([3, 0]))
    everything = Remaining.all_of(INSTANCE)
    assert Master(INSTANCE, columns, everything).solve(10.0) is None
    relaxed = Master(INSTANCE, columns, everything, phase_one=True).solve(10.0)
    assert relaxed is not None
    assert relaxed.cost == pytest.approx(7 - 6 + 4)
    assert not fill_whole(INSTANCE, columns, everything, 10.0).times


def test_a_known_pattern_is_not_added_again() -> None:
    columns = pool()
    assert not columns.add(0, np.array([1, 1]))
    assert columns.add(1, np.array([1, 1]))
    assert len(columns) == 6
    twin = columns.copy()
    columns.keep(np.array([5, 0]))
    assert [columns.pattern(column).tolist() for column in range(2)] == [[2, 0], [1, 1]]
    assert columns.kinds == [0, 1]
    assert columns.add(0, np.array([1, 1]))
    assert len(twin) == 6


def test_a_master_goes_on_with_more_columns_and_less_to_carry() -> None:
    columns, remaining = pool(), Remaining.all_of(INSTANCE)
    master = Master(INSTANCE, columns, remaining)
    first = master.solve(10.0)
    assert first is not None
    columns.add(0, np.array([0, 1]))  # known: nothing changes
    again = master.solve(10.0)
    assert again is not None
    assert again.cost == pytest.approx(first.cost)
    remaining.replicas[:] = [0, 4]
    master.reduce(remaining)
    less = master.solve(10.0)
    assert less is not None
    assert less.cost == pytest.approx(2 * 4)  # two hosts of g with two each
    assert less.values[0] == 0


def test_what_is_left_out_costs_the_penalty() -> None:
    columns = Pool(2)
    columns.add(0, np.array([2, 0]))
    left_out = Master(INSTANCE, columns, Remaining.all_of(INSTANCE), penalty=50.0).solve(10.0)
    assert left_out is not None
    assert left_out.cost == pytest.approx(3.5 * 3 + 4 * 50)
    assert len(left_out.times) == 1


def test_a_million_million_replicas_lose_nothing() -> None:
    instance = make_instance(
        Problem(("r",), (Demand("a", 10**12, (3,)), Demand("b", 7, (2,))), (HostKind("h", (10,)),))
    )
    columns = Pool(2)
    for counts in ([3, 0], [2, 2], [0, 5]):
        columns.add(0, np.array(counts))
    relaxed = Master(instance, columns, Remaining.all_of(instance)).solve(10.0)
    assert relaxed is not None
    assert relaxed.cost == pytest.approx(10**12 / 3, rel=1e-9)
    assert relaxed.times.sum() == pytest.approx(relaxed.cost)


def test_whole_hosts_for_millions_of_replicas_are_not_looked_for() -> None:
    # HiGHS exceeds its time by seconds with them.
    remaining = Remaining(np.array([2_000_000, 4]), INSTANCE.available)
    whole = fill_whole(INSTANCE, pool(), remaining, 10.0)
    assert whole.times is None
    assert not whole.is_final


def test_a_pattern_takes_as_much_memory_as_it_has_items() -> None:
    tracemalloc.start()
    try:
        columns = Pool(3_000)
        for item in range(3_000):
            counts = np.zeros(3_000, dtype=np.int64)
            counts[item] = 1
            columns.add(0, counts)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000_000  # with a count for each item: 72 MB
