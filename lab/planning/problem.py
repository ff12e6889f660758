"""The packing problem in integers: demands with replicas, kinds of hosts with prices.

All amounts are integers, so that bounds are checked without rounding. They are steps of
`lab.planning.quantization`: a demand up, a capacity down.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd


@dataclass(frozen=True, slots=True)
class Demand:
    """A number of equal replicas: the amount of each resource that one of them takes.

    `per_host` is the most replicas on one host (anti-affinity); None is no limit. No replica shares
    a host with a demand named in `apart_from`. `hosts` names the kinds of hosts that may carry it;
    None is all.
    """

    name: str
    replicas: int
    size: tuple[int, ...]
    per_host: int | None = None
    apart_from: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Demands among which replicas are split: the parts of a service that is spread over domains.

    Any split of the sum of their replicas is allowed whose parts differ by `max_skew` at most.
    """

    parts: tuple[str, ...]
    max_skew: int


@dataclass(frozen=True, slots=True)
class HostKind:
    """Equal hosts: the capacity of one, its price in whole units, and how many there are.

    `available` None is any number. All prices are 1 where the fewest hosts are asked for.
    """

    name: str
    capacity: tuple[int, ...]
    price: int = 1
    available: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Demands to place on kinds of hosts, at the lowest price. `resources` names the dimensions.

    The replicas of a part of a split are those of one split that is allowed.
    """

    resources: tuple[str, ...]
    demands: tuple[Demand, ...]
    hosts: tuple[HostKind, ...]
    splits: tuple[Split, ...] = ()


def most_replicas(problem: Problem) -> tuple[int, ...]:
    """Return the most replicas of each demand, of a part in any split."""
    replicas = {demand.name: demand.replicas for demand in problem.demands}
    most = dict(replicas)
    for split in problem.splits:
        number, total = len(split.parts), sum(replicas[part] for part in split.parts)
        # The others have at least as many less the skew.
        largest = min(total, (total + (number - 1) * split.max_skew) // number)
        most |= dict.fromkeys(split.parts, largest)
    return tuple(most[demand.name] for demand in problem.demands)


def kinds_for(problem: Problem) -> tuple[frozenset[int], ...]:
    """Return the places of the kinds of hosts that may carry a replica of each demand, if any."""
    return tuple(
        frozenset(
            place
            for place, host in enumerate(problem.hosts)
            if number
            and host.available != 0
            and (demand.hosts is None or host.name in demand.hosts)
            and all(size <= room for size, room in zip(demand.size, host.capacity, strict=True))
        )
        for demand, number in zip(problem.demands, most_replicas(problem), strict=True)
    )


def price_step(problem: Problem) -> int:
    """Return the greatest number of which the prices of all hosts in use are multiples."""
    used = frozenset().union(*kinds_for(problem))
    return gcd(*(problem.hosts[place].price for place in used)) or 1
