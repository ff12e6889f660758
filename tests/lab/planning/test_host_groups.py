"""Groups of hosts that are equal for every service."""

from __future__ import annotations

from lab.planning.host_groups import HostGroup, group_hosts
from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service


def service(name: str = "web", **keys: object) -> Service:
    return Service(name, 1, {CPUS: 1.0}, **keys)  # type: ignore[arg-type]


def groups(
    services: list[Service], hosts: list[Host], *, by_price: bool = False
) -> list[HostGroup]:
    return group_hosts(services, hosts, [CPUS], by_price=by_price)


def test_equal_hosts_are_one_group_whatever_their_names_zones_and_racks_are() -> None:
    hosts = [
        Host("one", {CPUS: 4.0, MEMORY_BYTES: 1.0}, count=1, zone="a", rack="1"),
        Host("two", {CPUS: 4.0, MEMORY_BYTES: 2.0}, count=2, zone="b", price=9.0),
        Host("big", {CPUS: 8.0}),
    ]
    small, big = groups([service()], hosts)
    assert (small.name, small.hosts, small.count) == ("one +1", tuple(hosts[:2]), 3)
    assert (small.zone, small.rack) == ("", "")
    assert (big.name, big.hosts, big.count) == ("big", (hosts[2],), None)


def test_any_number_of_one_is_any_number_of_the_group() -> None:
    hosts = [Host("one", {CPUS: 4.0}, count=1), Host("two", {CPUS: 4.0})]
    assert [group.count for group in groups([service()], hosts)] == [None]


def test_zones_and_racks_count_where_a_service_is_spread_over_them() -> None:
    hosts = [
        Host("node", {CPUS: 4.0}, zone=zone, rack=rack) for zone in "ab" for rack in ("1", "2")
    ]
    by_zone = groups([service(spread="zone")], hosts)
    assert [group.name for group in by_zone] == ["node@a", "node@b"]
    assert [group.domain("zone") for group in by_zone] == [("a", ""), ("b", "")]
    assert [group.domain("rack") for group in by_zone] == [None, None]
    by_rack = groups([service(spread="rack")], hosts)
    names = ["node@a/1", "node@a/2", "node@b/1", "node@b/2"]
    assert [group.name for group in by_rack] == names
    assert by_rack[1].domain("rack") == ("a", "2")


def test_prices_count_where_they_are_the_objective() -> None:
    hosts = [Host("old", {CPUS: 4.0}, price=1.0), Host("new", {CPUS: 4.0}, price=2.0)]
    assert len(groups([service()], hosts)) == 1
    assert [group.price for group in groups([service()], hosts, by_price=True)] == [1.0, 2.0]


def test_a_host_that_a_service_names_is_apart_from_one_that_none_names() -> None:
    hosts = [Host("one", {CPUS: 4.0}), Host("two", {CPUS: 4.0}), Host("three", {CPUS: 4.0})]
    found = groups([service(hosts=frozenset({"two"})), service("db")], hosts)
    assert [group.name for group in found] == ["one +1", "two"]


def test_groups_have_names_of_their_own() -> None:
    hosts = [Host("node", {CPUS: 4.0}, zone="a"), Host("node", {CPUS: 8.0}, zone="b")]
    assert [group.name for group in groups([service()], hosts)] == ["node", "node (2)"]


def test_hosts_of_which_there_are_none_are_in_no_group() -> None:
    assert groups([service()], [Host("gone", {CPUS: 4.0}, count=0)]) == []
