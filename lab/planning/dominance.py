"""Kinds of hosts that no cheapest plan needs: another is no dearer and carries all that they carry.

A kind whose number limits nobody – any number, or one for each replica – dominates another if its
price is no higher, no resource is less, and each demand that may run on the other may run on it.
Every host of the other can then be replaced. Of equal kinds the first stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.planning.problem import most_replicas
from lab.planning.solution import Certificate

if TYPE_CHECKING:
    from lab.planning.instance import BoolArray
    from lab.planning.problem import Problem


class Reduced(NamedTuple):
    """A problem without dominated kinds; `stands_in` has the place of each kind's substitute."""

    problem: Problem
    stands_in: tuple[int, ...]

    def restore(self, certificate: Certificate) -> Certificate:
        """Return the certificate of the problem with all kinds.

        What proves that no set is worth more than a host's price proves it for a dominated host.
        """
        rents = [certificate.host_rents[place] for place in self.stands_in]
        prices = [certificate.resource_prices[place] for place in self.stands_in]
        return Certificate(certificate.replica_prices, tuple(rents), tuple(prices))


def without_dominated(problem: Problem) -> Reduced:
    """Return the problem without dominated kinds, and without limits that limit nobody."""
    replicas = sum(most_replicas(problem))
    hosts = [
        host
        if host.available is None or host.available < replicas
        else replace(host, available=None)
        for host in problem.hosts
    ]
    allowed = _allowed(problem)
    shape = (len(hosts), len(problem.resources))
    capacity = np.array([host.capacity for host in hosts], dtype=np.int64).reshape(shape)
    prices = np.array([host.price for host in hosts], dtype=object)  # of any size
    unlimited = np.array([host.available is None for host in hosts])
    places = np.arange(len(hosts))
    substitute = places.copy()
    for place in places.tolist():
        better = unlimited & (prices <= prices[place]).astype(np.bool_)
        better &= (capacity >= capacity[place]).all(axis=1)
        for other in np.flatnonzero(better).tolist():
            no_worse = (allowed[other] >= allowed[place]).all()
            equal = prices[other] == prices[place] and unlimited[place]
            equal &= (capacity[other] == capacity[place]).all()
            equal &= (allowed[other] == allowed[place]).all()
            if no_worse and (not equal or other < place):
                substitute[place] = other
                break
    while (substitute != substitute[substitute]).any():
        substitute = substitute[substitute]
    kept = np.flatnonzero(substitute == places)
    names = frozenset(hosts[place].name for place in kept.tolist())
    demands = tuple(
        demand if demand.hosts is None else replace(demand, hosts=demand.hosts & names)
        for demand in problem.demands
    )
    fewer = replace(problem, demands=demands, hosts=tuple(hosts[place] for place in kept.tolist()))
    return Reduced(fewer, tuple(np.searchsorted(kept, substitute).tolist()))


def _allowed(problem: Problem) -> BoolArray:
    """Return which demands may run on each kind."""
    allowed = [
        [
            number > 0 and (demand.hosts is None or host.name in demand.hosts)
            for demand, number in zip(problem.demands, most_replicas(problem), strict=True)
        ]
        for host in problem.hosts
    ]
    return np.array(allowed, dtype=np.bool_)
