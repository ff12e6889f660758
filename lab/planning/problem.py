"""The packing problem in integers: demands with replicas, kinds of hosts with prices.

All amounts are integers, so that bounds are checked without rounding. They are steps of
`lab.planning.quantization`: a demand up, a capacity down.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    """Demands to place on kinds of hosts, at the lowest price. `resources` names the dimensions."""

    resources: tuple[str, ...]
    demands: tuple[Demand, ...]
    hosts: tuple[HostKind, ...]
