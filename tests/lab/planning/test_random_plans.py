"""Random small plans, each checked against the services and hosts as they were stated."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lab.errors import InvalidConfig
from lab.planning import certificate
from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.plan import Plan, make_plan
from lab.planning.solution import to_document
from lab.planning.usage import content, free_amounts, resource_use

SEEDS = range(20)
TOLERANCE = 1e-9


def random_input(chance: random.Random) -> tuple[list[Service], list[Host]]:
    names = [f"s{number}" for number in range(chance.randint(1, 5))]
    services = [
        Service(
            name,
            chance.randint(0, 12),
            {
                CPUS: round(chance.uniform(0.1, 3.0), 2),
                MEMORY_BYTES: float(chance.randint(1, 4_000_000_000)),
            },
            per_host=chance.choice([None, None, 1, 3]),
            apart_from=frozenset(chance.sample(names[: names.index(name)], k=1))
            if names.index(name) and chance.random() < 0.3
            else frozenset(),
            spread=chance.choice([None, None, "zone", "rack"]),
            hosts=chance.choice([None, None, frozenset({"small", "large"})]),
        )
        for name in names
    ]
    hosts = [
        Host(
            kind,
            {CPUS: cpus, MEMORY_BYTES: memory},
            price=price,
            count=chance.choice([None, None, 9]),
            zone=zone,
            rack=rack,
        )
        for kind, cpus, memory, price in (
            ("small", 4.1, 8e9, 1.25),
            ("large", 15.9, 64e9, 4.0),
            ("other", 8.0, 16e9, 1.99),
        )
        for zone, rack in (("a", "1"), ("a", "2"), ("b", "1"))
    ]
    return services, hosts


def check(plan: Plan) -> None:
    """Check a plan against its services and hosts, not against the problem in integers."""
    services = {service.name: service for service in plan.services}
    placed: Counter[str] = Counter()
    by_domain: dict[str, Counter[tuple[str, str]]] = {}
    used: Counter[str] = Counter()
    for pattern in plan.solution.patterns:
        host = plan.groups[pattern.host][0]
        used[pattern.host] += pattern.times
        counts = dict(content(pattern, plan.service_of))
        for resource in (CPUS, MEMORY_BYTES):
            taken = sum(n * services[name].requests[resource] for name, n in counts.items())
            assert taken <= host.capacity[resource] * (1 + TOLERANCE)
        for name, count in counts.items():
            service = services[name]
            assert service.per_host is None or count <= service.per_host
            assert service.hosts is None or host.name in service.hosts
            assert not service.apart_from & counts.keys()
            placed[name] += count * pattern.times
            domain = (host.zone, host.rack if service.spread == "rack" else "")
            by_domain.setdefault(name, Counter())[domain] += count * pattern.times
    assert placed == Counter({name: each.replicas for name, each in services.items()})
    for name, service in services.items():
        if service.spread and service.replicas:
            numbers = [by_domain[name][domain] for domain in _domains(plan, service.spread)]
            assert max(numbers) - min(numbers) <= service.max_skew
    for kind, number in used.items():
        counted = [host.count for host in plan.groups[kind]]
        assert None in counted or number <= sum(count or 0 for count in counted)


def _domains(plan: Plan, spread: str) -> set[tuple[str, str]]:
    return {(host.zone, host.rack if spread == "rack" else "") for host in plan.hosts}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("objective", ["hosts", "price"])
def test_a_random_plan_keeps_every_rule(seed: int, objective: str) -> None:
    services, hosts = random_input(random.Random(seed))
    try:
        plan = make_plan(services, hosts, objective=objective, deadline_seconds=1.0)  # type: ignore[arg-type]
    except InvalidConfig as error:
        assert "no service has a replica" in str(error)
        return
    check(plan)
    proven = certificate.check(plan.problem, to_document(plan.problem, plan.solution))
    assert proven == plan.solution.bound <= plan.solution.cost
    assert plan.fractional_bound <= plan.bound + TOLERANCE
    for use in resource_use(plan, free_amounts(plan)):
        assert 0 <= use.used_share <= 1
        assert -TOLERANCE <= use.stranded_share <= 1 - use.used_share + TOLERANCE
