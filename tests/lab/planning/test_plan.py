"""Plans: from services and hosts to a problem in integers, and its solution."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES, Host, Service
from lab.planning.plan import make_plan, resources_of
from lab.planning.problem import Demand, HostKind

GIB = 2.0**30


def service(name: str = "web", replicas: int = 7, **keys: object) -> Service:
    requests = {CPUS: 1.0, MEMORY_BYTES: 2 * GIB}
    return Service(name, replicas, requests, **keys)  # type: ignore[arg-type]


def host(name: str = "node", cpus: float = 4.0, **keys: object) -> Host:
    return Host(name, {CPUS: cpus, MEMORY_BYTES: 6 * GIB}, **keys)  # type: ignore[arg-type]


def test_the_fewest_hosts_are_found_and_proven() -> None:
    plan = make_plan([service()], [host()])
    assert plan.host_count == 3  # three fit by memory
    assert plan.is_optimal
    assert plan.bound == 3.0
    assert 2.0 < plan.fractional_bound <= 3.0
    assert plan.cost == plan.price == 3.0
    assert plan.hosts_by_kind() == {"node": 3}
    assert plan.service_of == {"web": "web"}
    assert not plan.solution.timed_out


def test_the_problem_is_in_the_smallest_integers_that_are_exact() -> None:
    plan = make_plan([service(), Service("db", 1, {CPUS: 0.5})], [host(cpus=3.9)])
    assert plan.problem.resources == (CPUS, MEMORY_BYTES)
    assert plan.problem.demands == (Demand("web", 7, (2, 1)), Demand("db", 1, (1, 0)))
    assert plan.problem.hosts == (HostKind("node", (7, 3)),)
    assert plan.steps == (Fraction(1, 2), Fraction(2 * 2**30))


def test_tenths_of_a_cpu_fill_a_host_exactly() -> None:
    plan = make_plan([Service("web", 10, {CPUS: 0.1})], [Host("node", {CPUS: 1.0})])
    assert plan.host_count == 1


def test_resources_that_nothing_requests_are_left_out() -> None:
    services = [Service("web", 1, {CPUS: 1.0, DISK_BYTES: 0.0})]
    assert resources_of(services, [Host("node", {DISK_BYTES: 1.0, CPUS: 1.0})]) == (CPUS,)
    services.append(Service("db", 1, {DISK_BYTES: 1.0}))
    assert resources_of(services, [Host("node", {DISK_BYTES: 1.0})]) == (DISK_BYTES, CPUS)


def test_the_cheapest_hosts_are_not_the_fewest() -> None:
    hosts = [host("small", price=1.0), host("large", cpus=8.0, price=2.5)]
    big = Service("web", 8, {CPUS: 1.0})
    fewest = make_plan([big], hosts)
    assert (fewest.host_count, fewest.price) == (1, 2.5)
    cheapest = make_plan([big], hosts, objective="price")
    assert (cheapest.host_count, cheapest.cost, cheapest.price) == (2, 2.0, 2.0)
    assert cheapest.bound == 2.0
    assert cheapest.price_step == Fraction(1, 2)
    assert [kind.price for kind in cheapest.problem.hosts] == [2, 5]


def test_of_equal_hosts_the_cheapest_are_paid() -> None:
    hosts = [host("new", price=3.0, count=2), host("old", price=1.0, count=2)]
    plan = make_plan([service()], hosts)
    assert plan.hosts_by_kind() == {"new +1": 3}
    assert plan.price == 5.0


def test_replicas_are_spread_evenly_over_zones() -> None:
    hosts = [host(zone=zone) for zone in "abc"]
    plan = make_plan([service(spread="zone", per_host=1)], hosts)
    assert plan.hosts_by_kind() == {"node@a": 3, "node@b": 2, "node@c": 2}
    assert plan.is_optimal
    assert set(plan.service_of.values()) == {"web"}


def test_services_that_are_apart_share_no_host() -> None:
    services = [service("a", 1), service("b", 1, apart_from=frozenset({"a"}))]
    plan = make_plan(services, [host()])
    assert plan.host_count == 2
    assert all(len(pattern.counts) == 1 for pattern in plan.solution.patterns)


def test_services_without_replicas_take_nothing() -> None:
    idle = service("idle", 0, apart_from=frozenset({"web"}))
    plan = make_plan([service(replicas=1, apart_from=frozenset({"idle"})), idle], [host()])
    assert [demand.name for demand in plan.problem.demands] == ["web"]
    assert len(plan.services) == 2


@pytest.mark.parametrize(
    ("services", "hosts", "sentence"),
    [
        ([], [host()], "There is nothing to plan: no service has a replica."),
        ([service(replicas=0)], [host()], "There is nothing to plan: no service has a replica."),
        ([service()], [], "There is nothing to plan with: no host is given."),
        ([service()], [host(count=0)], "There is nothing to plan with: no host is given."),
        ([Service("web", 1, {})], [host()], "No service requests any resource: a plan needs"),
        ([service(), service()], [host()], "The service web is given twice: give each a name"),
        ([service(" ")], [host()], "A service has an empty name"),
        ([service(replicas=-1)], [host()], "web: replicas is -1: it must be from 0 to"),
        ([service(replicas=10**10)], [host()], "web: replicas is 10000000000: it must be from 0"),
        ([service(per_host=0)], [host()], "web: per-host is 0: it must be at least 1."),
        ([service(max_skew=0)], [host()], "web: max-skew is 0: it must be at least 1."),
        ([service(spread="shelf")], [host()], "web: spread is 'shelf': use zone or rack."),
        ([service(apart_from=frozenset({"web"}))], [host()], "web is to be apart from itself"),
        ([service(apart_from=frozenset({"db"}))], [host()], "web is to be apart from db, which"),
        ([service(hosts=frozenset({"gpu"}))], [host()], "web is to run on gpu, which is no host."),
        ([service(hosts=frozenset())], [host()], "web may run on no host: name one that exists"),
        ([Service("web", 1, {CPUS: -1.0})], [host()], "web: CPU is -1: it must be from 0 to"),
        ([Service("web", 1, {CPUS: math.nan})], [host()], "web: CPU is nan: it must be from 0"),
        ([service()], [host(cpus=math.inf)], "node: CPU is inf: it must be from 0 to"),
        ([service()], [host(), host()], "The host node is given twice for the same zone and rack"),
        ([service()], [host("")], "A host has an empty name"),
        ([service()], [host(count=-1)], "node: count is -1: it must be from 0 to"),
        ([service()], [host(price=0.0)], "node: price is 0: it must be above zero, and at"),
        ([service()], [host(price=1e308)], "node: price is 1e+308: it must be above zero, and"),
        ([service()], [host(cpus=1e308)], "node: CPU is 1e+308: it must be from 0 to 1e+100."),
        ([service()], [host(price=math.nan)], "node: price is nan: it must be above zero"),
        ([service()], [host(cpus=0.5)], "web requests 1 CPU, more than any of its hosts has"
         " (0.50 CPUs)."),
        ([Service("web", 1, {MEMORY_BYTES: 7 * GIB})], [host()], "web requests 7 GiB of memory,"
         " more than any of its hosts has (6 GiB)."),
        ([Service("web", 1, {"licences": 1.0})], [host()], "web requests 1 licences, more than any"
         " of its hosts has (0)."),
        ([Service("web", 1, {CPUS: 3.0, MEMORY_BYTES: 8 * GIB})],
         [host(), Host("wide", {CPUS: 1.0, MEMORY_BYTES: 9 * GIB})],
         "web is larger than any of its hosts: none has 3 CPUs, 8 GiB of memory."),
        ([service(per_host=2)], [host(count=3)], "web has 7 replicas, at most 2 on a host: its"
         " hosts have room for 6."),
        ([service(spread="zone")], [host()], "web is to be spread over zones, but its hosts are"
         " in 0: give"),
    ],
)  # fmt: skip
def test_an_impossible_plan_is_one_sentence(
    services: list[Service], hosts: list[Host], sentence: str
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        make_plan(services, hosts)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


def test_too_few_hosts_are_one_sentence() -> None:
    with pytest.raises(InvalidConfig):
        make_plan([service()], [host(count=2)])


def test_what_just_fits_is_placed_beside_a_service_of_a_third() -> None:
    # Three of the second fill a host; with the third rounded up they would not.
    services = [Service("third", 1, {CPUS: 1 / 3}), Service("web", 9, {CPUS: 1.1})]
    plan = make_plan(services, [Host("node", {CPUS: 3.3}, count=4)])
    assert (plan.host_count, plan.is_optimal) == (4, True)


def test_prices_of_many_digits_keep_no_search_busy() -> None:
    services = [
        Service(f"s{size}", number, {CPUS: size}) for size, number in ((3.3, 6), (0.3, 2), (0.2, 3))
    ]
    hosts = [Host("cheap", {CPUS: 3.3}, price=1 / 3), Host("dear", {CPUS: 2.0}, price=1.95)]
    plan = make_plan(services, hosts, objective="price", deadline_seconds=20)
    assert plan.hosts_by_kind() == {"cheap": 7}
    assert plan.bound <= plan.cost
    assert not plan.solution.timed_out
