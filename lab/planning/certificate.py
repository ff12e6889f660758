"""The check of a solution and of its lower bound, in exact arithmetic, by nothing of the solver.

`check` refuses a document unless its patterns carry all replicas on hosts that are there, and its
bound follows from its prices: on a host of any kind no feasible set of replicas is worth more than
the host's price plus its rent. Then any plan pays at least the worth of all replicas, less the
rents of all hosts that are available; and no less than the next multiple of what all hosts' prices
have in common.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import accumulate
from math import ceil, gcd, lcm
from typing import TYPE_CHECKING, Any

from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab.planning.problem import Demand, HostKind, Problem

    # One item of a knapsack: worth, size, most copies, its name and the names that exclude it.
    Item = tuple[int, tuple[int, ...], int, str | None, frozenset[str]]

_STEPS = 20_000_000
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


def check(problem: Problem, document: Mapping[str, Any]) -> int:
    """Return the proven lower bound of a solution's document (see `solution.to_document`).

    Raise InvalidConfig that names the field if the solution is not feasible, or not proven.
    """
    try:
        _check_patterns(problem, document)
        return _check_bound(problem, document)
    except _MALFORMED as error:
        raise InvalidConfig(f"The solution is incomplete or malformed: {error!r}.") from error


def _check_patterns(problem: Problem, document: Mapping[str, Any]) -> None:
    """Raise InvalidConfig unless the patterns carry all replicas, and cost what is stated."""
    demands = {demand.name: demand for demand in problem.demands}
    hosts = {host.name: host for host in problem.hosts}
    placed = dict.fromkeys(demands, 0)
    used = dict.fromkeys(hosts, 0)
    for place, pattern in enumerate(document["patterns"]):
        field = f"patterns[{place}]"
        host, times, counts = pattern["host"], pattern["times"], pattern["replicas"]
        _refuse_unless(host in hosts, field, f"{host} is no host")
        _refuse_unless(_is_positive(times), field, "times is no positive integer")
        for name, count in counts.items():
            _refuse_unless(name in demands, field, f"{name} is no demand")
            _refuse_unless(_is_positive(count), field, f"{name} has no positive count")
            allowed = _may_share(demands[name], count, host, counts)
            _refuse_unless(allowed, field, f"{name} may not run there")
            placed[name] += count * times
        for row, room in enumerate(hosts[host].capacity):
            taken = sum(count * demands[name].size[row] for name, count in counts.items())
            _refuse_unless(taken <= room, field, f"{problem.resources[row]} exceeds the capacity")
        used[host] += times
    for name, demand in demands.items():
        _refuse_unless(placed[name] == demand.replicas, "patterns", f"{name} is not placed in full")
    for name, kind in hosts.items():
        enough = kind.available is None or used[name] <= kind.available
        _refuse_unless(enough, "patterns", f"more hosts of {name} than are available")
    cost = sum(kind.price * used[name] for name, kind in hosts.items())
    _refuse_unless(document["cost"] == cost, "cost", f"the patterns cost {cost}")


def _check_bound(problem: Problem, document: Mapping[str, Any]) -> int:
    """Return the bound; raise InvalidConfig unless prices and rents prove it."""
    stated_prices, stated_rents = document["replica_prices"], document["host_rents"]
    prices = {each.name: Fraction(stated_prices[each.name]) for each in problem.demands}
    rents = {each.name: Fraction(stated_rents[each.name]) for each in problem.hosts}
    signs = all(price >= 0 for price in prices.values())
    _refuse_unless(signs, "replica_prices", "a price is negative")
    unit = lcm(*(each.denominator for each in (*prices.values(), *rents.values())))
    for host in problem.hosts:
        rent, weights = rents[host.name], document["weights"][host.name]
        possible = rent == 0 or (rent > 0 and host.available is not None)
        _refuse_unless(possible, "host_rents", f"{host.name} can't have that rent")
        natural = all(isinstance(weight, int) and weight >= 0 for weight in weights)
        usable = natural and len(weights) == len(host.capacity)
        _refuse_unless(usable, "weights", f"{host.name} needs one for each resource")
        if host.available != 0:
            items = items_on(problem, host, prices, unit)
            limit = int((host.price + rent) * unit)
            proven = is_worth_at_most(limit, items, host.capacity, weights)
            _refuse_unless(proven, "replica_prices", f"a set is worth more than {host.name} costs")
    worth = sum((each.replicas * prices[each.name] for each in problem.demands), Fraction(0))
    paid = sum((rents[each.name] * (each.available or 0) for each in problem.hosts), Fraction(0))
    step = gcd(*(host.price for host in problem.hosts)) or 1
    bound = max(0, ceil((worth - paid) / step) * step)
    _refuse_unless(document["bound"] == bound, "bound", f"the prices prove {bound}")
    return bound


def items_on(
    problem: Problem, host: HostKind, prices: Mapping[str, Fraction], unit: int
) -> list[Item]:
    """Return the knapsack's items on a kind of host, worth in units; equal ones are one item."""
    apart: dict[str, set[str]] = {demand.name: set() for demand in problem.demands}
    for demand in problem.demands:
        for other in demand.apart_from:
            apart[demand.name].add(other)
            apart[other].add(demand.name)
    limits: dict[tuple[int, tuple[int, ...], str | None], int] = {}
    for demand in problem.demands:
        if demand.hosts is None or host.name in demand.hosts:
            alone = demand.per_host is not None or apart[demand.name]
            worth = int(prices[demand.name] * unit)
            key = (worth, demand.size, demand.name if alone else None)
            most = 1 if demand.name in apart[demand.name] else demand.per_host or demand.replicas
            limits[key] = limits.get(key, 0) + min(most, demand.replicas)
    return [
        (worth, size, limit, name, frozenset() if name is None else frozenset(apart[name]))
        for (worth, size, name), limit in limits.items()
        if worth and limit
    ]


def is_worth_at_most(
    limit: int, items: Sequence[Item], capacity: tuple[int, ...], weights: Sequence[int]
) -> bool:
    """Return True if no feasible set is worth more: branch and bound with Dantzig's bound.

    Raise InvalidConfig if that takes too long, which depends on the weights.
    """

    def weigh(amounts: Sequence[int]) -> int:
        return sum(weight * amount for weight, amount in zip(weights, amounts, strict=True))

    order = _by_density((weigh(item[1]), item) for item in items)
    most_worth = _dantzig_bound(order)
    by_resource = [
        _dantzig_bound(_by_density((item[1][row], item) for item in items))
        for row in range(len(capacity))
    ]
    nobody: frozenset[str | None] = frozenset()
    stack = [(0, 0, weigh(capacity), capacity, nobody)]
    for _ in range(_STEPS):
        if not stack:
            return True
        first, worth, left, room, names = stack.pop()
        if worth > limit:
            return False
        alone = zip(by_resource, room, strict=True)
        if any(worth + bound(0, free) <= limit for bound, free in alone):
            continue  # one resource alone leaves too little
        for place in range(first, len(order)):
            if worth + most_worth(place, left) <= limit:
                break
            width, (each, size, most, name, apart) = order[place]
            if apart & names:
                continue
            fits = [free // amount for free, amount in zip(room, size, strict=True) if amount]
            for count in range(min([most, *fits]), 0, -1):
                total, rest = worth + count * each, left - count * width
                if total + most_worth(place + 1, rest) <= limit:
                    break
                after = tuple(
                    free - count * amount for free, amount in zip(room, size, strict=True)
                )
                stack.append((place + 1, total, rest, after, names | {name}))
    raise InvalidConfig("weights: the proof takes too long to check with them.")


def _by_density(items: Iterable[tuple[int, Item]]) -> list[tuple[int, Item]]:
    """Return widths and items by worth per width; those without width come first."""
    return sorted(items, key=lambda each: (each[0] > 0, -Fraction(each[1][0], each[0] or 1)))


def _dantzig_bound(order: Sequence[tuple[int, Item]]) -> Callable[[int, int], int]:
    """Return a function: the most that items from a place on are worth in so much width."""
    worths = [0, *accumulate(worth * most for _, (worth, _, most, _, _) in order)]
    widths = [0, *accumulate(width * most for width, (_, _, most, _, _) in order)]

    def most_worth(place: int, left: int) -> int:
        reach = widths[place] + left
        end = bisect_right(widths, reach) - 1
        whole = worths[end] - worths[place]
        if end == len(order):
            return whole
        width, item = order[end]
        return whole + (reach - widths[end]) * item[0] // width

    return most_worth


def _may_share(demand: Demand, count: int, host: str, counts: Mapping[str, int]) -> bool:
    """Return True if so many replicas may be on that kind of host, with the others."""
    most = 1 if demand.name in demand.apart_from else demand.per_host or count
    others = demand.apart_from - {demand.name}
    return count <= most and not others & set(counts) and host in (demand.hosts or {host})


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refuse_unless(condition: object, field: str, reason: str) -> None:
    if not condition:
        raise InvalidConfig(f"{field}: {reason}.")
