"""Small packing problems, and their optimum by brute force."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from lab.planning.problem import Demand, HostKind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn

FOREVER = 60.0


def one_resource(
    capacity: int, sizes: dict[int, int], *, available: int | None = None, price: int = 1
) -> Problem:
    """Return a problem of one resource and one kind of host: replicas by size."""
    demands = tuple(Demand(f"d{size}", number, (size,)) for size, number in sizes.items())
    return Problem(("cpus",), demands, (HostKind("host", (capacity,), price, available),))


@st.composite
def tiny_problems(draw: DrawFn, *, limited: bool = False) -> Problem:
    """Draw a problem that brute force solves; each demand fits on some host."""
    dimensions = draw(st.integers(1, 2))
    names = ["a", "b", "c", "d"][: draw(st.integers(1, 4))]
    kinds = ["s", "l"][: draw(st.integers(1, 2))]
    capacity = {kind: tuple(draw(st.integers(6, 12)) for _ in range(dimensions)) for kind in kinds}
    hosts = tuple(
        HostKind(
            kind,
            capacity[kind],
            draw(st.integers(1, 5)),
            draw(st.none() | st.integers(0, 4)) if limited else None,
        )
        for kind in kinds
    )
    demands = tuple(
        Demand(
            name,
            draw(st.integers(0, 3)),
            tuple(draw(st.integers(0, 6)) for _ in range(dimensions)),
            draw(st.none() | st.integers(1, 2)),
            draw(st.frozensets(st.sampled_from(names), max_size=1)),
            draw(st.none() | st.frozensets(st.sampled_from(kinds), min_size=1)),
        )
        for name in names
    )
    return Problem(tuple(f"r{row}" for row in range(dimensions)), demands, hosts)


def cheapest(problem: Problem) -> int | None:
    """Return the lowest cost of all plans, None if there is none."""
    patterns = [list(feasible_sets(problem, host)) for host in problem.hosts]

    @cache
    def least(left: tuple[int, ...], available: tuple[int | None, ...]) -> int | None:
        if not any(left):
            return 0
        first = next(place for place, number in enumerate(left) if number)
        costs = []
        for kind, host in enumerate(problem.hosts):
            if available[kind] == 0:
                continue
            fewer = list(available)
            if host.available is not None:
                fewer[kind] = (available[kind] or 0) - 1
            for counts in patterns[kind]:
                rest = tuple(number - count for number, count in zip(left, counts, strict=True))
                if counts[first] and min(rest) >= 0:
                    cost = least(rest, tuple(fewer))
                    if cost is not None:
                        costs.append(cost + host.price)
        return min(costs, default=None)

    return least(
        tuple(demand.replicas for demand in problem.demands),
        tuple(host.available for host in problem.hosts),
    )


def feasible_sets(problem: Problem, host: HostKind) -> Iterator[tuple[int, ...]]:
    """Yield all sets of replicas that one host of that kind may carry."""
    demands = problem.demands
    for counts in product(*(range(demand.replicas + 1) for demand in demands)):
        held = [(demand, count) for demand, count in zip(demands, counts, strict=True) if count]
        names = {demand.name for demand, _ in held}
        fits = all(
            sum(count * demand.size[row] for demand, count in held) <= room
            for row, room in enumerate(host.capacity)
        )
        apart = all(
            not (demand.apart_from - {demand.name}) & names
            and count <= (demand.per_host or count)
            and (count == 1 or demand.name not in demand.apart_from)
            and (demand.hosts is None or host.name in demand.hosts)
            for demand, count in held
        )
        if fits and apart:
            yield counts
