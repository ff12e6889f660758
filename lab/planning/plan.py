"""A plan: services on hosts, as a packing problem in integers and its solution.

    services, hosts ── host_groups: hosts that are equal for every service become one kind
                    ── demands: a service is one demand, or one for each failure domain that it is
                       spread over
                    ── quantization: amounts and prices become integers
                    ── solver: patterns, their cost, a lower bound and its certificate

Where a service is spread, its replicas are split over failure domains as evenly as their hosts
allow, or otherwise within the skew if that is cheaper; the bound holds for all splits.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from lab.errors import InvalidConfig
from lab.planning import solver
from lab.planning.demands import make_demands
from lab.planning.exact_check import least_worth
from lab.planning.host_groups import group_hosts
from lab.planning.plan_checks import check_fit, check_hosts, check_services
from lab.planning.problem import HostKind, Problem
from lab.planning.quantization import decimal, step, steps_down, steps_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.planning.host_groups import HostGroup
    from lab.planning.inventory import Host, Service
    from lab.planning.solution import Solution

Objective = Literal["hosts", "price"]
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Services on the fewest hosts, or on the cheapest.

    `services` are those after wrapping. `problem` is what was solved, and `solution` its solution;
    both are in integers: `steps` has the amount of each resource that 1 stands for, and
    `price_step` the price. `groups` has the hosts of each kind of the problem, and `service_of` the
    service of each demand.
    """

    services: tuple[Service, ...]
    hosts: tuple[Host, ...]
    objective: Objective
    problem: Problem
    solution: Solution
    steps: tuple[Fraction, ...]
    price_step: Fraction
    groups: Mapping[str, tuple[Host, ...]]
    service_of: Mapping[str, str]

    @property
    def host_count(self) -> int:
        """The number of hosts that are used."""
        return self.solution.hosts

    @property
    def cost(self) -> float:
        """The number of hosts, or the sum of their prices, as the objective is."""
        return float(self.solution.cost * self.price_step)

    @property
    def bound(self) -> float:
        """The least cost that the certificate proves, rounded up to a cost that can occur."""
        return float(self.solution.bound * self.price_step)

    @property
    def fractional_bound(self) -> float:
        """The cost that the certificate proves before it is rounded up."""
        return float(_certified(self.problem, self.solution) * self.price_step)

    @property
    def is_optimal(self) -> bool:
        """True if no plan costs less."""
        return self.solution.cost == self.solution.bound

    @property
    def price(self) -> float:
        """The sum of the prices of all hosts that are used, whatever the objective is.

        Where hosts of different prices are equal otherwise, the cheapest are used.
        """
        return math.fsum(
            _cheapest(self.groups[kind], number) for kind, number in self.hosts_by_kind().items()
        )

    def hosts_by_kind(self) -> dict[str, int]:
        """Return the number of hosts of each kind that is used."""
        counts: dict[str, int] = {}
        for pattern in self.solution.patterns:
            counts[pattern.host] = counts.get(pattern.host, 0) + pattern.times
        return counts


def make_plan(
    services: Sequence[Service],
    hosts: Sequence[Host],
    *,
    objective: Objective = "hosts",
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Plan:
    """Place all replicas on the fewest hosts, or on the cheapest.

    After the deadline, the best plan so far is returned with its gap. Raise InvalidConfig if a
    figure is unusable, or if no plan is possible.
    """
    check_services(services, hosts)
    check_hosts(hosts)
    placed = [service for service in services if service.replicas]
    if not placed:
        raise InvalidConfig("There is nothing to plan: no service has a replica.")
    if not any(host.count != 0 for host in hosts):
        raise InvalidConfig("There is nothing to plan with: no host is given.")
    resources = resources_of(placed, hosts)
    if not resources:
        raise InvalidConfig("No service requests any resource: a plan needs at least one amount.")
    groups = group_hosts(placed, hosts, resources, by_price=objective == "price")
    problem, steps, price_step, service_of = _problem(placed, groups, resources, objective)
    solution = solver.solve(problem, deadline_seconds=deadline_seconds)
    return Plan(
        services=tuple(services),
        hosts=tuple(hosts),
        objective=objective,
        problem=_as_split(problem, solution),
        solution=solution,
        steps=steps,
        price_step=price_step,
        groups={group.name: group.hosts for group in groups},
        service_of=service_of,
    )


def resources_of(services: Iterable[Service], hosts: Iterable[Host]) -> tuple[str, ...]:
    """Return the resources that a service requests, in the order in which hosts offer them."""
    requested = {
        resource: None
        for service in services
        for resource, amount in service.requests.items()
        if amount > 0
    }
    offered = {resource: None for host in hosts for resource in host.capacity}
    return tuple(each for each in {**offered, **requested} if each in requested)


def _problem(
    services: Sequence[Service],
    groups: Sequence[HostGroup],
    resources: tuple[str, ...],
    objective: Objective,
) -> tuple[Problem, tuple[Fraction, ...], Fraction, dict[str, str]]:
    """Return the problem, the amount of one step of each resource and of the price, and services.

    The services are those of the demands, by the demand's name.
    """
    capacities = [
        [decimal(group.capacity.get(resource, 0.0)) for resource in resources] for group in groups
    ]
    requests = [
        [decimal(service.requests.get(resource, 0.0)) for resource in resources]
        for service in services
    ]
    steps = tuple(
        step([row[place] for row in requests], [row[place] for row in capacities])
        for place in range(len(resources))
    )
    prices = [decimal(group.price) if objective == "price" else Fraction(1) for group in groups]
    price_step = step(prices, prices)
    kinds = tuple(
        HostKind(
            group.name,
            tuple(map(steps_down, row, steps)),
            steps_up(price, price_step),
            group.count,
        )
        for group, row, price in zip(groups, capacities, prices, strict=True)
    )
    sizes = {
        service.name: tuple(map(steps_up, row, steps))
        for service, row in zip(services, requests, strict=True)
    }
    for service in services:
        check_fit(service, sizes[service.name], resources, groups, kinds)
    demands, splits, service_of = make_demands(services, groups, sizes, kinds)
    return Problem(resources, demands, kinds, splits), steps, price_step, service_of


def _as_split(problem: Problem, solution: Solution) -> Problem:
    """Return the problem with the replicas of each demand that the solution places."""
    placed: Counter[str] = Counter()
    for pattern in solution.patterns:
        for name, count in pattern.counts:
            placed[name] += count * pattern.times
    demands = (replace(demand, replicas=placed[demand.name]) for demand in problem.demands)
    return replace(problem, demands=tuple(demands))


def _certified(problem: Problem, solution: Solution) -> Fraction:
    """Return the cost that the certificate's prices and rents prove."""
    certificate = solution.certificate
    names = [demand.name for demand in problem.demands]
    prices = dict(zip(names, certificate.replica_prices, strict=True))
    replicas = {demand.name: demand.replicas for demand in problem.demands}
    unit = math.lcm(*(price.denominator for price in prices.values()))
    parts = {part for split in problem.splits for part in split.parts}
    worth = sum((prices[name] * replicas[name] for name in names if name not in parts), Fraction(0))
    for split in problem.splits:
        own = [int(prices[part] * unit) for part in split.parts]
        total = sum(replicas[part] for part in split.parts)
        worth += Fraction(least_worth(own, total, split.max_skew), unit)
    rent = sum(
        (
            rent * (kind.available or 0)
            for rent, kind in zip(certificate.host_rents, problem.hosts, strict=True)
        ),
        Fraction(0),
    )
    return worth - rent


def _cheapest(hosts: Sequence[Host], number: int) -> float:
    """Return the price of that many of the hosts, the cheapest first."""
    total = 0.0
    for host in sorted(hosts, key=lambda each: each.price):
        taken = number if host.count is None else min(number, host.count)
        total += taken * host.price
        number -= taken
    return total
