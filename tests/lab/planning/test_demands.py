"""Demands: services, and their parts in failure domains."""

from __future__ import annotations

import pytest

from lab.errors import InvalidConfig
from lab.planning.demands import make_demands, quotas, replicas_on
from lab.planning.host_groups import group_hosts
from lab.planning.inventory import CPUS, Host, Service
from lab.planning.problem import Demand, HostKind


def demands(services: list[Service], hosts: list[Host]) -> tuple[Demand, ...]:
    """Return the demands of services whose replicas take a CPU each."""
    groups = group_hosts(services, hosts, [CPUS], by_price=False)
    kinds = [HostKind(group.name, (int(group.capacity[CPUS]),), 1, group.count) for group in groups]
    return make_demands(services, groups, {each.name: (1,) for each in services}, kinds)[0]


def zones(*counts: int | None) -> list[Host]:
    return [
        Host("node", {CPUS: 4.0}, count=count, zone=zone)
        for zone, count in zip("abcdef", counts, strict=False)
    ]


def spread(replicas: int, **keys: object) -> Service:
    return Service("web", replicas, {CPUS: 1.0}, spread="zone", **keys)  # type: ignore[arg-type]


def test_a_service_is_one_demand() -> None:
    service = Service("web", 7, {CPUS: 1.0}, per_host=2)
    assert demands([service], zones(None)) == (Demand("web", 7, (1,), per_host=2),)


@pytest.mark.parametrize(
    ("replicas", "room", "expected"),
    [
        (7, [None, None, None], [3, 2, 2]),
        (2, [None, None, None], [1, 1, 0]),
        (6, [None, 1, None], [3, 1, 2]),
        (6, [2, 2, 2], [2, 2, 2]),
        (10, [1, 2, None], [1, 2, 7]),
        (0, [None, None], [0, 0]),
        (7, [2, 2, 2], None),
        (1, [], None),
    ],
)
def test_quotas_are_as_even_as_room_allows(
    replicas: int, room: list[int | None], expected: list[int] | None
) -> None:
    assert quotas(replicas, room) == expected


def test_odd_replicas_go_to_the_places_from_the_shift_on() -> None:
    assert quotas(4, [None, None, None], 1) == [1, 2, 1]
    assert quotas(5, [None, None, None], 2) == [2, 1, 2]


def test_a_service_that_is_spread_is_a_demand_for_each_zone() -> None:
    assert demands([spread(5, per_host=1)], zones(None, None)) == (
        Demand("web@a", 3, (1,), per_host=1, hosts=frozenset({"node@a"})),
        Demand("web@b", 2, (1,), per_host=1, hosts=frozenset({"node@b"})),
    )


def test_the_odd_replicas_of_services_go_to_zones_in_turn() -> None:
    services = [spread(4), Service("api", 4, {CPUS: 1.0}, spread="zone")]
    found = {each.name: each.replicas for each in demands(services, zones(None, None, None))}
    assert [found[f"web@{zone}"] for zone in "abc"] == [2, 1, 1]
    assert [found[f"api@{zone}"] for zone in "abc"] == [1, 2, 1]


def test_a_zone_without_a_replica_may_get_one_from_the_solver() -> None:
    found = demands([spread(2)], zones(None, None, None))
    assert [each.replicas for each in found] == [1, 1, 0]


def test_apart_from_holds_in_both_directions_and_for_every_part() -> None:
    services = [spread(2), Service("db", 1, {CPUS: 1.0}, apart_from=frozenset({"web"}))]
    found = {each.name: each.apart_from for each in demands(services, zones(None, None))}
    assert found == {
        "web@a": frozenset({"db"}),
        "web@b": frozenset({"db"}),
        "db": frozenset({"web@a", "web@b"}),
    }


def test_a_part_takes_no_name_of_another_service() -> None:
    services = [spread(2), Service("web@a", 1, {CPUS: 1.0})]
    names = [each.name for each in demands(services, zones(None, None))]
    assert names == ["web@a'", "web@b", "web@a"]


def test_hosts_without_a_zone_carry_nothing_that_is_spread_over_zones() -> None:
    hosts = [*zones(None, None), Host("other", {CPUS: 4.0})]
    allowed = [each.hosts for each in demands([spread(2)], hosts)]
    assert allowed == [frozenset({"node@a"}), frozenset({"node@b"})]


@pytest.mark.parametrize(
    ("service", "hosts", "sentence"),
    [
        (spread(4), zones(None), "web is to be spread over zones, but its hosts are in 1: give"),
        (spread(9), zones(1, 1), "web has 9 replicas, more than its hosts in all zones have room"),
        (spread(8), zones(1, 1, 1, None), ""),
        (spread(16), zones(1, None), "web can't be spread over 2 zones with max-skew 1: the hosts"
         " of the smallest leave a skew of 8."),
        (spread(16, max_skew=8), zones(1, None), ""),
    ],
)  # fmt: skip
def test_a_spread_that_hosts_do_not_allow_is_refused(
    service: Service, hosts: list[Host], sentence: str
) -> None:
    if not sentence:
        assert sum(each.replicas for each in demands([service], hosts)) == service.replicas
        return
    with pytest.raises(InvalidConfig) as raised:
        demands([service], hosts)
    assert str(raised.value).startswith(sentence)


def test_replicas_on_a_host_are_limited_by_size_number_and_rule() -> None:
    assert replicas_on((10, 7), (3, 0), None, 100) == 3
    assert replicas_on((10, 7), (3, 4), None, 100) == 1
    assert replicas_on((10, 7), (3, 0), 2, 100) == 2
    assert replicas_on((10, 7), (3, 0), None, 1) == 1
    assert replicas_on((2, 7), (3, 0), None, 100) == 0
