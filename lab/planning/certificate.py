"""The check of a solution's document: read into whole numbers, then `exact_check`.

It refuses a document unless its patterns carry all replicas on hosts that are there, and its bound
follows from its prices. Nothing of the solver takes part.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from math import lcm
from typing import TYPE_CHECKING, Any

from lab.errors import InvalidConfig
from lab.planning import exact_check
from lab.planning.exact_check import Hosts, Replicas, Split
from lab.planning.problem import kinds_for, most_replicas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.planning.problem import Demand, Problem

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


def check(problem: Problem, document: Mapping[str, Any]) -> int:
    """Return the proven lower bound of a solution's document (see `solution.to_document`).

    Raise InvalidConfig that names the field if the solution is not feasible, or not proven.
    """
    try:
        demands, kinds, unit = _amounts(problem, document)
        splits = _splits(problem)
        patterns = _patterns(problem, document)
        stated = document["cost"], document["bound"]
    except _MALFORMED as error:
        raise InvalidConfig(f"The solution is incomplete or malformed: {error!r}.") from error
    try:
        cost = exact_check.cost(demands, kinds, splits, patterns)
        bound = exact_check.bound(demands, kinds, splits, unit)
    except ValueError as error:
        raise InvalidConfig(f"{error}.") from error
    _refuse_unless(stated[0] == cost, "cost", f"the patterns cost {cost}")
    _refuse_unless(stated[1] == bound, "bound", f"the prices prove {bound}")
    return bound


def _amounts(
    problem: Problem, document: Mapping[str, Any]
) -> tuple[list[Replicas], list[Hosts], int]:
    """Return demands and kinds of hosts, and the parts of a unit that prices and rents count."""
    prices = [Fraction(document["replica_prices"][each.name]) for each in problem.demands]
    rents = [Fraction(document["host_rents"][each.name]) for each in problem.hosts]
    rows = [list(map(Fraction, document["resource_prices"][each.name])) for each in problem.hosts]
    _refuse_unless(min(prices, default=0) >= 0, "replica_prices", "a price is negative")
    for host, rent, row in zip(problem.hosts, rents, rows, strict=True):
        possible = rent == 0 or (rent > 0 and host.available is not None)
        _refuse_unless(possible, "host_rents", f"{host.name} can't have that rent")
        usable = len(row) == len(host.capacity) and min(row, default=0) >= 0
        _refuse_unless(usable, "resource_prices", f"{host.name} needs one for each resource")
    every = chain(prices, rents, *rows)
    unit = lcm(*(each.denominator for each in every))
    apart = _apart(problem)
    demands = [
        Replicas(
            size=each.size,
            most=_most(each, number),
            apart=apart[place],
            hosts=hosts,
            price=int(price * unit),
        )
        for place, (each, price, number, hosts) in enumerate(
            zip(problem.demands, prices, most_replicas(problem), kinds_for(problem), strict=True)
        )
    ]
    kinds = [
        Hosts(
            host.capacity,
            host.price,
            host.available,
            int(rent * unit),
            [int(price * unit) for price in row],
        )
        for host, rent, row in zip(problem.hosts, rents, rows, strict=True)
    ]
    return demands, kinds, unit


def _splits(problem: Problem) -> list[Split]:
    """Return the splits; a demand that is part of none is one alone."""
    places = {demand.name: place for place, demand in enumerate(problem.demands)}
    numbers = [each.replicas for each in problem.demands]
    splits = [Split((place,), number, 0) for place, number in enumerate(numbers)]
    for split in problem.splits:
        parts = tuple(places[part] for part in split.parts)
        splits = [each for each in splits if each.demands[0] not in parts]
        splits.append(Split(parts, sum(numbers[place] for place in parts), split.max_skew))
    every = sorted(place for split in splits for place in split.demands)
    _refuse_unless(every == list(range(len(places))), "problem", "a part is in two splits")
    return splits


def _most(demand: Demand, number: int) -> int:
    """Return the most replicas on one host, by the demand's rules and their number."""
    if demand.name in demand.apart_from:
        return min(1, number)
    return number if demand.per_host is None else min(demand.per_host, number)


def _apart(problem: Problem) -> list[frozenset[int]]:
    """Return the places of the other demands that share no host with each, both ways."""
    places = {demand.name: place for place, demand in enumerate(problem.demands)}
    apart: list[set[int]] = [set() for _ in problem.demands]
    for place, demand in enumerate(problem.demands):
        for other in demand.apart_from - {demand.name}:
            apart[place].add(places[other])
            apart[places[other]].add(place)
    return [frozenset(each) for each in apart]


def _patterns(
    problem: Problem, document: Mapping[str, Any]
) -> list[tuple[int, int, dict[int, int]]]:
    """Return the place of the kind, the number of hosts, and the counts by demand, of each line."""
    hosts = {host.name: place for place, host in enumerate(problem.hosts)}
    places = {demand.name: place for place, demand in enumerate(problem.demands)}
    patterns = []
    for line, pattern in enumerate(document["patterns"]):
        field, host, counts = f"patterns[{line}]", pattern["host"], pattern["replicas"]
        _refuse_unless(host in hosts, field, f"{host} is no host")
        _refuse_unless(_is_positive(pattern["times"]), field, "times is no positive integer")
        for name, count in counts.items():
            _refuse_unless(name in places, field, f"{name} is no demand")
            _refuse_unless(_is_positive(count), field, f"{name} has no positive count")
        held = {places[name]: count for name, count in counts.items()}
        patterns.append((hosts[host], pattern["times"], held))
    return patterns


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refuse_unless(condition: object, field: str, reason: str) -> None:
    if not condition:
        raise InvalidConfig(f"{field}: {reason}.")
