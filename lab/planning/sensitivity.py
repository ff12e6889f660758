"""Sensitivity of a plan to its assumptions: the number of hosts if one of them is 10 % off.

An assumption is what a service requests of a resource, how many replicas it has, or what a kind of
host offers of a resource. The plan is made anew for each, the largest assumptions first. An answer
counts if both plans are proven to be optimal: the others only say how far the search came in time.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.language.message import Message
from lab.planning.amounts import label
from lab.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.planning.inventory import Host, Service
    from lab.planning.plan import Plan

    Changed = tuple[list[Service], list[Host]]

CHANGE = 0.1
_LEAST_SECONDS = 0.2  # of a search
_SEARCHES = 8  # for which there is time at least, however hard each is
_ROUNDING = 1e-12  # keeps 110 % of 10 replicas at 11


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The number of further hosts needed if an assumption is 10 % lower, and 10 % higher.

    A negative number is fewer hosts; None says that no plan was found.
    """

    assumption: str
    lower: int | None
    higher: int | None

    @property
    def matters(self) -> bool:
        """True if either change needs another number of hosts."""
        return self.lower != 0 or self.higher != 0


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """The assumptions that were decided, and how many were not for lack of time."""

    decided: tuple[Sensitivity, ...]
    undecided: int


@dataclass(frozen=True, slots=True)
class _Change:
    """A number of further hosts, None if no plan was found, and True if that is certain."""

    hosts: int | None
    is_decided: bool


@dataclass(frozen=True, slots=True)
class _Assumption:
    """An assumption: its name, its share of all requests, and the plan's input with it scaled."""

    name: str
    weight: float
    scaled: Callable[[float], Changed]


def find_sensitivities(plan: Plan, *, deadline_seconds: float = 60.0) -> Sensitivities:
    """Return how the number of hosts depends on each assumption, the largest ones first."""
    until = time.monotonic() + deadline_seconds
    seconds = max(deadline_seconds / _SEARCHES, _LEAST_SECONDS)
    assumptions = sorted(
        (*_of_hosts(plan), *_of_services(plan)), key=lambda each: each.weight, reverse=True
    )
    decided: list[Sensitivity] = []
    for assumption in assumptions:
        if time.monotonic() >= until or not plan.is_optimal:
            break
        lower, higher = (
            _change(plan, assumption.scaled(1 + change), seconds) for change in (-CHANGE, CHANGE)
        )
        if lower.is_decided and higher.is_decided:
            decided.append(Sensitivity(assumption.name, lower.hosts, higher.hosts))
    return Sensitivities(tuple(decided), len(assumptions) - len(decided))


def _change(plan: Plan, changed: Changed, seconds: float) -> _Change:
    """Return how many more hosts an optimal plan needs with a changed input."""
    services, hosts = changed
    begin = time.monotonic()
    try:
        other = make_plan(services, hosts, objective=plan.objective, deadline_seconds=seconds)
    except InvalidConfig:
        # An impossible plan is refused at once; a search that found none ends with its time.
        return _Change(None, is_decided=time.monotonic() - begin < seconds)
    if other.bound >= plan.cost >= other.cost:
        return _Change(0, is_decided=True)
    return _Change(other.host_count - plan.host_count, is_decided=other.is_optimal)


def _of_hosts(plan: Plan) -> Iterator[_Assumption]:
    """Yield the capacity of each kind of host that is used, in each resource of the plan."""
    used = plan.hosts_by_kind()
    total = sum(used.values())
    for kind, number in used.items():
        for resource in plan.problem.resources:

            def scaled(factor: float, kind: str = kind, resource: str = resource) -> Changed:
                names = {(host.name, host.zone, host.rack) for host in plan.groups[kind]}
                hosts = [
                    _larger_host(host, resource, factor)
                    if (host.name, host.zone, host.rack) in names
                    else host
                    for host in plan.hosts
                ]
                return list(plan.services), hosts

            name = Message("{resource} of {owner}", resource=label(resource), owner=kind)
            yield _Assumption(name, number / total, scaled)


def _of_services(plan: Plan) -> Iterator[_Assumption]:
    """Yield the replicas of each service, and what it requests of each resource."""
    totals = {
        resource: sum(
            service.replicas * service.requests.get(resource, 0.0) for service in plan.services
        )
        for resource in plan.problem.resources
    }
    for service in plan.services:
        shares = {
            resource: service.replicas * amount / totals[resource]
            for resource, amount in service.requests.items()
            if totals.get(resource) and amount and service.replicas
        }
        if not shares:
            continue

        def with_replicas(factor: float, service: Service = service) -> Changed:
            replicas = service.replicas * factor
            up = math.ceil(replicas * (1 - _ROUNDING))
            number = up if factor > 1 else math.floor(replicas * (1 + _ROUNDING))
            return _with(plan.services, replace(service, replicas=number)), list(plan.hosts)

        replicas = Message("replicas of {service}", service=service.name)
        yield _Assumption(replicas, max(shares.values()), with_replicas)
        for resource, share in shares.items():

            def scaled(
                factor: float, service: Service = service, resource: str = resource
            ) -> Changed:
                amount = service.requests[resource] * factor
                requests = {**service.requests, resource: amount}
                return _with(plan.services, replace(service, requests=requests)), list(plan.hosts)

            name = Message("{resource} of {owner}", resource=label(resource), owner=service.name)
            yield _Assumption(name, share, scaled)


def _larger_host(host: Host, resource: str, factor: float) -> Host:
    amount = host.capacity.get(resource, 0.0) * factor
    return replace(host, capacity={**host.capacity, resource: amount})


def _with(services: Sequence[Service], changed: Service) -> list[Service]:
    """Return the services with one of them changed."""
    return [changed if service.name == changed.name else service for service in services]
