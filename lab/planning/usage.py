"""Usage of a plan's hosts: how full they are, what binds, and what is stranded.

An amount that is free on a host is stranded if no service of the plan can use it there, since the
host has too little of another resource, or since a rule forbids another replica. The amount that
further replicas of a single service could take is not stranded. (Verma, Korupolu and Wilkes,
"Evaluating job packing in warehouse-scale computing", CLUSTER 2014)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab import units
from lab.language.message import Message, capitalized, joined
from lab.language.punctuation import COMMA, SEMICOLON
from lab.planning.amounts import label
from lab.planning.inventory import level_name
from lab.planning.quantization import decimal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from numpy.typing import NDArray

    from lab.planning.inventory import Service
    from lab.planning.plan import Plan
    from lab.planning.problem import Problem
    from lab.planning.solution import Pattern

    Integers = NDArray[np.int64]

_ANY = np.iinfo(np.int64).max
_MOST_RULES = 3


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """A resource of all hosts that are used: what they have, what replicas take, what is stranded.

    The amounts are in the resource's unit.
    """

    resource: str
    capacity: float
    used: float
    stranded: float

    @property
    def used_share(self) -> float:
        """The share of the capacity that replicas take."""
        return self.used / self.capacity if self.capacity else 0.0

    @property
    def stranded_share(self) -> float:
        """The share of the capacity that is stranded."""
        return self.stranded / self.capacity if self.capacity else 0.0


@dataclass(frozen=True, slots=True)
class FreeAmounts:
    """The amounts that are free on one host of a pattern, and those that are stranded."""

    free: tuple[float, ...]
    stranded: tuple[float, ...]


def resource_use(plan: Plan, frees: tuple[FreeAmounts, ...]) -> tuple[ResourceUse, ...]:
    """Return the use of each resource of the problem; `frees` are the plan's `free_amounts`."""
    result = []
    for place, resource in enumerate(plan.problem.resources):
        capacity = used = stranded = 0.0
        for pattern, free in zip(plan.solution.patterns, frees, strict=True):
            size = plan.groups[pattern.host][0].capacity.get(resource, 0.0)
            capacity += pattern.times * size
            used += pattern.times * (size - free.free[place])
            stranded += pattern.times * free.stranded[place]
        result.append(ResourceUse(resource, capacity, used, stranded))
    return tuple(result)


def free_amounts(plan: Plan) -> tuple[FreeAmounts, ...]:
    """Return what is free on a host of each of the solution's patterns."""
    rules = _Rules(plan.problem)
    kinds = {kind.name: kind.capacity for kind in plan.problem.hosts}
    result = []
    for pattern in plan.solution.patterns:
        used = np.zeros(len(plan.steps), dtype=np.int64)
        for name, count in pattern.counts:
            used += count * rules.sizes[rules.place[name]]
        further = rules.further(pattern, np.array(kinds[pattern.host], dtype=np.int64) - used)
        usable = (further[:, None] * rules.sizes).max(axis=0)
        capacity = plan.groups[pattern.host][0].capacity
        sizes = [decimal(capacity.get(resource, 0.0)) for resource in plan.problem.resources]
        result.append(
            FreeAmounts(
                tuple(map(_left, sizes, used.tolist(), plan.steps)),
                tuple(map(_left, sizes, (used + usable).tolist(), plan.steps)),
            )
        )
    return tuple(result)


def binding(plan: Plan, uses: tuple[ResourceUse, ...]) -> str:
    """Return a sentence on what keeps the number of hosts from being smaller.

    A resource does if fewer hosts could not hold what is used of it.
    """
    for service in plan.services:
        most = service.per_host or service.replicas
        if service.replicas > most and -(-service.replicas // most) >= plan.host_count:
            return Message(
                "Anti-affinity binds: {service} has {replicas:,} replicas, at most {most:,} on a"
                " host.",
                service=service.name,
                replicas=service.replicas,
                most=most,
            )
    fullest, *others = sorted(uses, key=lambda use: -use.used_share)
    used = units.share(fullest.used_share)
    ruled = [rules for service in plan.services if (rules := _rules_of(service))]
    if fullest.used_share * plan.host_count <= plan.host_count - 1 and ruled:
        named = joined(SEMICOLON, [*ruled[:_MOST_RULES], *(["…"] if ruled[_MOST_RULES:] else [])])
        return Message(
            "Rules bind: {rules}. Of {resource} {used} is used.",
            rules=named,
            resource=label(fullest.resource),
            used=used,
        )
    rest = [
        Message(
            ", of {resource} {used}",
            resource=label(use.resource),
            used=units.share(use.used_share),
        )
        for use in others
    ]
    return Message(
        "{resource} binds: {used} of it is used{rest}.",
        resource=capitalized(label(fullest.resource)),
        used=used,
        rest=joined("", rest),
    )


def _rules_of(service: Service) -> str:
    """Return the rules on where a service runs, after its name; empty if it has none."""
    rules = []
    if service.per_host:
        rules.append(Message("at most {most:,} on a host", most=service.per_host))
    if service.spread:
        rules.append(Message("spread over {domain}s", domain=level_name(service.spread)))
    if service.apart_from:
        others = joined(COMMA, sorted(service.apart_from))
        rules.append(Message("apart from {services}", services=others))
    if service.hosts:
        rules.append(Message("only on {hosts}", hosts=joined(COMMA, sorted(service.hosts))))
    if not rules or not service.replicas:
        return ""
    return Message("{service} ({rules})", service=service.name, rules=joined(COMMA, rules))


class _Rules:
    """The demands of a problem as arrays: sizes, and how many replicas may be on a host."""

    def __init__(self, problem: Problem) -> None:
        demands = problem.demands
        self.place = {demand.name: place for place, demand in enumerate(demands)}
        self.sizes: Integers = np.array([demand.size for demand in demands], dtype=np.int64)
        self._most: Integers = np.array(
            [
                demand.replicas
                if demand.per_host is None
                else min(demand.replicas, demand.per_host)
                for demand in demands
            ],
            dtype=np.int64,
        )
        self._choosy = [
            (place, demand.hosts)
            for place, demand in enumerate(demands)
            if demand.hosts is not None
        ]
        self._apart = [
            (place, demand.apart_from) for place, demand in enumerate(demands) if demand.apart_from
        ]

    def further(self, pattern: Pattern, free: Integers) -> Integers:
        """Return how many more replicas of each demand may join a host with that much free.

        A demand without a size counts as none: it takes nothing, however often it fits.
        """
        fits = np.where(self.sizes > 0, free // np.maximum(self.sizes, 1), _ANY).min(axis=1)
        most = self._most.copy()
        counts = dict(pattern.counts)
        for name, count in counts.items():
            most[self.place[name]] -= count
        for place, hosts in self._choosy:
            if pattern.host not in hosts:
                most[place] = 0
        for place, others in self._apart:
            if not others.isdisjoint(counts):
                most[place] = 0
        result: Integers = np.where(self.sizes.any(axis=1), np.minimum(fits, most), 0)
        return result


def content(pattern: Pattern, service_of: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return the services on a host of the pattern and their replicas, the most first."""
    counts: dict[str, int] = {}
    for name, count in pattern.counts:
        service = service_of[name]
        counts[service] = counts.get(service, 0) + count
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _left(size: Fraction, steps: int, step: Fraction) -> float:
    """Return what so many steps leave of a host."""
    return float(size - steps * step)
