"""A packing problem as arrays: equal demands are merged into items, and split again afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from lab.errors import InvalidConfig
from lab.planning.problem import most_replicas, price_step
from lab.planning.solution import Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.problem import Demand, HostKind, Problem

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_LARGEST = 2**61  # amounts are added and compared in 64 bits


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of host: `limits` has the most copies of each item on one host, 0 where it is barred.

    `shares` has an item's size as a share of the host's capacity, by resource.
    """

    name: str
    capacity: IntArray
    price: int
    available: int | None
    limits: IntArray
    shares: FloatArray


@dataclass(frozen=True, slots=True)
class Instance:
    """Items (merged demands) with sizes and replicas, and kinds of hosts.

    `apart` says which pairs of items share no host, None if all may. `members` has the places of
    the demands that are merged into an item. Every cost is a multiple of `price_step`. `most` has
    the most replicas of each item, where splits might divide them otherwise.
    """

    sizes: IntArray
    replicas: IntArray
    kinds: tuple[Kind, ...]
    apart: BoolArray | None
    members: tuple[tuple[int, ...], ...]
    price_step: int
    most: IntArray
    splits: tuple[Split, ...]

    def worth(self, values: FloatArray) -> float:
        """Return what all replicas are worth at least, however splits divide them."""
        total = float(values @ self.fixed)
        return total + sum(split.least_worth(values) for split in self.splits)

    @property
    def fixed(self) -> IntArray:
        """The replicas of each item that belong to no split."""
        return self.replicas - sum((split.here for split in self.splits), 0 * self.replicas)

    @property
    def prices(self) -> FloatArray:
        """The price of a host of each kind."""
        return np.array([kind.price for kind in self.kinds], dtype=np.float64)

    @property
    def available(self) -> FloatArray:
        """The number of hosts of each kind; infinite where any number is available."""
        return np.array(
            [np.inf if kind.available is None else kind.available for kind in self.kinds],
            dtype=np.float64,
        )


class Split(NamedTuple):
    """Replicas that are split among items: `items` has the item of each part.

    `here` has the replicas of each item of the instance that are parts of this split.
    """

    items: IntArray
    total: int
    skew: int
    here: IntArray

    def least_worth(self, values: FloatArray) -> float:
        """Return what the replicas are worth at least; see `exact_check.least_worth`."""
        return float(values[self.items] @ self.cheapest(values))

    def cheapest(self, values: FloatArray) -> IntArray:
        """Return the replicas of each part in a split whose worth is least."""
        prices = values[self.items]
        number, order = len(prices), np.argsort(prices, kind="stable")
        places = np.arange(number)
        bends = (self.total - np.arange(number + 1) * self.skew) // number
        fewest = np.maximum(0, np.unique(np.concatenate((bends, bends + 1))))[:, None]
        spare = self.total - number * fewest
        above = np.clip(spare - places * self.skew, 0, self.skew)
        splits = (fewest + above)[above.sum(axis=1) == spare[:, 0]]
        chosen = np.zeros(number, dtype=np.int64)
        chosen[order] = splits[(splits @ prices[order]).argmin()]
        return chosen


class Filled(NamedTuple):
    """`times` hosts of a kind, each with the same copies of each item."""

    kind: int
    counts: IntArray
    times: int


def cost_of(instance: Instance, packing: Sequence[Filled]) -> int:
    """Return the sum of the prices of all hosts."""
    return sum(instance.kinds[filled.kind].price * filled.times for filled in packing)


def make_instance(problem: Problem) -> Instance:
    """Merge equal demands, and lay sizes and capacities out in arrays.

    Raise InvalidConfig if a demand fits on no host. The figures are usable (`check_figures`).
    """
    apart = _apart(problem)
    most_of = most_replicas(problem)
    demands = [
        replace(demand, replicas=number)
        for demand, number in zip(problem.demands, most_of, strict=True)
    ]
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, demand in enumerate(demands):
        if demand.replicas:
            allowed = _fitting(demand, problem)
            alone = per_host(demand) < _most(demand, allowed, problem)
            key = (demand.size, allowed, frozenset(apart[place]), place if alone else None)
            groups.setdefault(key, []).append(place)
    members = tuple(map(tuple, groups.values()))
    firsts = [demands[places[0]] for places in members]
    shape = (len(members), len(problem.resources))
    sizes = np.array([demand.size for demand in firsts], dtype=np.int64).reshape(shape)
    replicas = np.array(
        [sum(problem.demands[place].replicas for place in places) for places in members],
        dtype=np.int64,
    )
    most = np.array([sum(most_of[place] for place in places) for places in members], np.int64)
    rules = np.array(
        [
            min(per_host(first), int(number)) if len(places) == 1 else int(number)
            for first, places, number in zip(firsts, members, most, strict=True)
        ],
        dtype=np.int64,
    )
    return Instance(
        sizes,
        replicas,
        tuple(_kind(host, firsts, sizes, rules) for host in problem.hosts),
        _apart_matrix(members, apart),
        members,
        price_step(problem),
        most,
        _splits(problem, members),
    )


def _splits(problem: Problem, members: Sequence[Sequence[int]]) -> tuple[Split, ...]:
    """Return the splits of the problem that leave a choice."""
    item_of = {
        problem.demands[place].name: item for item, places in enumerate(members) for place in places
    }
    replicas = {demand.name: demand.replicas for demand in problem.demands}
    splits = []
    for split in problem.splits:
        total = sum(replicas[part] for part in split.parts)
        if total and len(split.parts) > 1:
            items = np.array([item_of[part] for part in split.parts], dtype=np.int64)
            here = np.zeros(len(members), dtype=np.int64)
            np.add.at(here, items, [replicas[part] for part in split.parts])
            splits.append(Split(items, total, split.max_skew, here))
    return tuple(splits)


def split_members(
    problem: Problem, instance: Instance, packing: Sequence[Filled]
) -> tuple[Pattern, ...]:
    """Return the patterns by demand: the replicas of an item belong to its members in turn."""
    left = [[problem.demands[place].replicas for place in places] for places in instance.members]
    heads = [0] * len(left)
    times: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
    for filled in packing:
        items = [(int(item), int(filled.counts[item])) for item in np.flatnonzero(filled.counts)]
        rest = filled.times
        while rest:
            # So many hosts in a row take all copies of each item from one member, or a single one.
            run = max(1, min([rest, *(left[item][heads[item]] // count for item, count in items)]))
            taken: list[tuple[int, int]] = []
            for item, count in items:
                taken += _take(left[item], heads, item, count, run, instance.members[item])
            key = (filled.kind, tuple(sorted(taken)))
            times[key] = times.get(key, 0) + run
            rest -= run
    return tuple(
        Pattern(
            problem.hosts[kind].name,
            tuple((problem.demands[place].name, count) for place, count in counts),
            number,
        )
        for (kind, counts), number in times.items()
    )


def _take(
    left: list[int], heads: list[int], item: int, count: int, run: int, members: Sequence[int]
) -> list[tuple[int, int]]:
    """Take the item's copies for `run` hosts from its members; return places and copies a host."""
    if left[heads[item]] >= count * run:
        left[heads[item]] -= count * run
        taken = [(members[heads[item]], count)]
    else:  # a single host, on which one member ends and others begin
        taken = []
        while count:
            part = min(count, left[heads[item]])
            if part:
                taken.append((members[heads[item]], part))
                left[heads[item]] -= part
                count -= part
            if count:
                heads[item] += 1
    while heads[item] + 1 < len(left) and not left[heads[item]]:
        heads[item] += 1
    return taken


def _kind(host: HostKind, firsts: Sequence[Demand], sizes: IntArray, most: IntArray) -> Kind:
    capacity = np.array(host.capacity, dtype=np.int64)
    limits = most.copy()
    for room, column in zip(capacity, sizes.T, strict=True):
        needed = column > 0
        limits[needed] = np.minimum(limits[needed], room // column[needed])
    allowed = [demand.hosts is None or host.name in demand.hosts for demand in firsts]
    limits[~np.array(allowed, dtype=np.bool_)] = 0
    if host.available == 0:
        limits[:] = 0
    shares = sizes / np.maximum(capacity, 1)
    return Kind(host.name, capacity, host.price, host.available, limits, shares)


def per_host(demand: Demand) -> int:
    """Return the most replicas of the demand that may share a host."""
    if demand.name in demand.apart_from:
        return 1
    return demand.replicas if demand.per_host is None else min(demand.per_host, demand.replicas)


def _most(demand: Demand, allowed: Sequence[int], problem: Problem) -> int:
    """Return the most replicas of the demand on one host, by size and number."""
    rooms = [
        [room // size for room, size in zip(host.capacity, demand.size, strict=True) if size]
        for host in (problem.hosts[place] for place in allowed)
    ]
    return max(min([*room, demand.replicas]) for room in rooms)


def _fitting(demand: Demand, problem: Problem) -> tuple[int, ...]:
    """Return the places of the kinds that may carry the demand; raise InvalidConfig for none."""
    kinds = [
        place
        for place, host in enumerate(problem.hosts)
        if host.available != 0 and (demand.hosts is None or host.name in demand.hosts)
    ]
    if not kinds:
        raise InvalidConfig(
            f"{demand.name} may run on no host: no host of a kind that may carry it is available."
        )
    fitting = tuple(
        place
        for place in kinds
        if all(
            size <= room
            for size, room in zip(demand.size, problem.hosts[place].capacity, strict=True)
        )
    )
    if not fitting:
        lacking = [
            resource
            for resource, size, *rooms in zip(
                problem.resources,
                demand.size,
                *(problem.hosts[place].capacity for place in kinds),
                strict=True,
            )
            if size > min(rooms)
        ]
        raise InvalidConfig(
            f"{demand.name} fits on no host: each that may carry it has too little"
            f" {' or '.join(lacking)}."
        )
    return fitting


def _apart(problem: Problem) -> list[set[int]]:
    """Return the places of the other demands that share no host with each, in both directions."""
    places = {demand.name: place for place, demand in enumerate(problem.demands)}
    apart: list[set[int]] = [set() for _ in problem.demands]
    for place, demand in enumerate(problem.demands):
        for name in demand.apart_from - {demand.name}:
            if name not in places:
                raise InvalidConfig(
                    f"{demand.name} is to be apart from {name}, which is no demand."
                )
            apart[place].add(places[name])
            apart[places[name]].add(place)
    return apart


def _apart_matrix(members: Sequence[Sequence[int]], apart: Sequence[set[int]]) -> BoolArray | None:
    if not any(apart):
        return None
    matrix = np.zeros((len(members), len(members)), dtype=np.bool_)
    for row, places in enumerate(members):
        for column, others in enumerate(members):
            matrix[row, column] = others[0] in apart[places[0]]
    return matrix


def check_figures(problem: Problem) -> None:
    """Raise InvalidConfig for a name that is given twice, or an amount that is none."""
    for what, names in (
        ("demand", [demand.name for demand in problem.demands]),
        ("kind of host", [host.name for host in problem.hosts]),
    ):
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidConfig(f"The {what} {twice} is given twice: give each a name of its own.")
    dimensions = len(problem.resources)
    for demand in problem.demands:
        _check_amounts(demand.name, demand.size, dimensions)
        if demand.replicas < 0:
            raise InvalidConfig(f"{demand.name}: {demand.replicas} replicas can't be placed.")
        if demand.per_host is not None and demand.per_host < 1:
            raise InvalidConfig(f"{demand.name}: per_host is {demand.per_host}: give at least 1.")
        if unknown := sorted((demand.hosts or frozenset()) - {host.name for host in problem.hosts}):
            raise InvalidConfig(f"{demand.name} is to run on {unknown[0]}, which is no host.")
    for host in problem.hosts:
        _check_amounts(host.name, host.capacity, dimensions)
        if host.price < 0 or (host.available or 0) < 0:
            raise InvalidConfig(f"{host.name}: neither price nor number can be negative.")


def _check_amounts(name: str, amounts: Sequence[int], dimensions: int) -> None:
    if len(amounts) != dimensions:
        raise InvalidConfig(f"{name} has {len(amounts)} amounts for {dimensions} resources.")
    if any(not 0 <= amount < _LARGEST for amount in amounts):
        raise InvalidConfig(f"{name}: an amount is negative or above 2^61: use a larger unit.")
