"""Losses of hosts, racks and zones."""

from __future__ import annotations

from lab.planning.failures import Loss, hosts_to_survive, losses
from lab.planning.inventory import Host, Service
from lab.planning.plan import make_plan
from tests.lab.planning.placed import RESOURCE, placed


def service(name: str, replicas: int, size: float = 10.0) -> Service:
    return Service(name, replicas, {RESOURCE: size})


def host(name: str = "node", size: float = 40.0, **keys: str) -> Host:
    return Host(name, {RESOURCE: size}, **keys)  # type: ignore[arg-type]


def loss(level: str, name: str, *numbers: int | None, exact: bool = True) -> Loss:
    alike, hosts, replicas, extra = numbers
    return Loss(level, name, alike, hosts, replicas, extra, exact, None)  # type: ignore[arg-type]


def test_half_empty_hosts_survive_the_loss_of_any_one() -> None:
    plan = placed([service("web", 6)], [host()], ("node", {"web": 2}, 3))
    assert losses(plan) == (loss("host", "node", 3, 1, 2, 0),)
    assert losses(plan)[0].survives


def test_full_hosts_need_one_more() -> None:
    plan = placed([service("web", 9)], [host()], ("node", {"web": 4}, 2), ("node", {"web": 1}, 1))
    found = losses(plan)
    assert found == (loss("host", "node", 2, 1, 4, 1), loss("host", "node", 1, 1, 1, 1))
    assert hosts_to_survive("host", found) == 1
    assert hosts_to_survive("zone", found) is None


def test_the_free_part_of_a_host_is_used() -> None:
    plan = placed([service("web", 5)], [host()], ("node", {"web": 4}, 1), ("node", {"web": 1}, 1))
    assert losses(plan) == (loss("host", "node", 1, 1, 4, 1), loss("host", "node", 1, 1, 1, 1))
    wider = placed(
        [service("web", 5)], [host(size=50)], ("node", {"web": 4}, 1), ("node", {"web": 1}, 1)
    )
    assert losses(wider) == (loss("host", "node", 1, 1, 4, 0), loss("host", "node", 1, 1, 1, 0))


def test_the_loss_of_a_zone_or_rack_moves_its_replicas_to_the_others() -> None:
    hosts = [host("a", zone="a", rack="1"), host("b", zone="b", rack="2")]
    plan = placed([service("web", 8)], hosts, ("a", {"web": 2}, 2), ("b", {"web": 2}, 2))
    assert losses(plan) == (
        loss("host", "a", 2, 1, 2, 0),
        loss("host", "b", 2, 1, 2, 0),
        loss("rack", "a/1", 1, 2, 4, 0),
        loss("rack", "b/2", 1, 2, 4, 0),
        loss("zone", "a", 1, 2, 4, 0),
        loss("zone", "b", 1, 2, 4, 0),
    )


def test_further_hosts_are_lost_with_their_zone() -> None:
    hosts = [host(zone, zone=zone) for zone in "abc"]
    plan = placed([service("web", 12)], hosts, *((zone, {"web": 4}, 1) for zone in "abc"))
    zones = [each for each in losses(plan) if each.level == "zone"]
    assert zones == [loss("zone", zone, 1, 1, 4, 1) for zone in "abc"]
    assert hosts_to_survive("zone", zones) == 2  # with one, its own zone can't be lost


def test_a_service_bound_to_the_lost_zone_has_no_place_to_go() -> None:
    hosts = [host(zone, zone=zone) for zone in "ab"]
    web = Service("web", 1, {RESOURCE: 10.0}, hosts=frozenset({"a"}))
    plan = placed([web, service("db", 1)], hosts, ("a", {"web": 1}, 1), ("b", {"db": 1}, 1))
    zones = [each for each in losses(plan) if each.level == "zone"]
    assert zones == [loss("zone", "a", 1, 1, 1, None), loss("zone", "b", 1, 1, 1, 0)]
    assert hosts_to_survive("zone", zones) is None


def test_a_limited_number_of_hosts_is_all_there_is() -> None:
    full = Host("node", {RESOURCE: 40.0}, count=2)
    plan = placed([service("web", 8)], [full], ("node", {"web": 4}, 2))
    assert losses(plan) == (loss("host", "node", 2, 1, 4, None),)
    spare = Host("node", {RESOURCE: 40.0}, count=3)
    plan = placed([service("web", 8)], [spare], ("node", {"web": 4}, 2))
    assert losses(plan) == (loss("host", "node", 2, 1, 4, 1),)


def test_hosts_whose_zones_are_open_are_shared_out_evenly() -> None:
    both = (host("old", zone="a"), host("new", zone="b"))
    plan = placed([service("web", 8)], both, ("node", {"web": 2}, 4), groups={"node": both})
    zones = [each for each in losses(plan) if each.level == "zone"]
    assert zones == [loss("zone", "a", 1, 2, 4, 0), loss("zone", "b", 1, 2, 4, 0)]


def test_a_spread_service_survives_by_its_other_zones() -> None:
    hosts = [host("node", 40.0, zone=zone) for zone in "abc"]
    web = Service("web", 6, {RESOURCE: 10.0}, spread="zone")
    plan = make_plan([web], hosts)
    found = losses(plan)
    assert {each.name: each.extra_hosts for each in found if each.level == "zone"} == {
        "a": 0,
        "b": 0,
        "c": 0,
    }
    # While its zone is there, a part of the service stays in it.
    assert [each.extra_hosts for each in found if each.level == "host"] == [1, 1, 1]


def test_recovery_is_that_of_the_host_that_starts_most() -> None:
    plan = placed([service("web", 6)], [host()], ("node", {"web": 2}, 3))
    (found,) = losses(plan, {"web": {1: 2.0, 2: 3.0}})
    assert found.recovery_seconds == 3.0
    (unknown,) = losses(plan, {"db": {1: 2.0}})
    assert unknown.recovery_seconds is None
