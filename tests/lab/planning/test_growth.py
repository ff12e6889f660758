"""Growth until a plan's hosts are too few."""

from __future__ import annotations

import pytest

from lab.planning.growth import Growth, find_end, grown
from lab.planning.inventory import Host, Service
from lab.planning.plan import make_plan
from tests.lab.planning.placed import RESOURCE


def web(replicas: int = 10) -> Service:
    return Service("web", replicas, {RESOURCE: 10.0})


def test_replicas_grow_by_their_share_rounded_up() -> None:
    services = [web(100), Service("db", 3, {})]
    later = grown(services, {"web": 0.1}, 2)
    assert [each.replicas for each in later] == [121, 3]
    assert [each.replicas for each in grown(services, {"db": 0.01}, 1)] == [100, 4]


@pytest.mark.parametrize(
    ("size", "growth", "month"),
    [(100.0, 0.1, 1), (130.0, 0.1, 3), (1000.0, 0.1, 25), (1000.0, 0.01, None)],
)
def test_the_first_month_that_is_too_much(size: float, growth: float, month: int | None) -> None:
    plan = make_plan([web()], [Host("node", {RESOURCE: size})])
    found = find_end(plan, {"web": growth}, months=60)
    assert found == Growth(month, 2 if month else None, 60)


def test_no_growth_has_no_end() -> None:
    plan = make_plan([web()], [Host("node", {RESOURCE: 100.0})])
    assert find_end(plan, {"web": 0.0}) == Growth(None, None, 120)
    assert find_end(plan, {}) == Growth(None, None, 120)


def test_hosts_that_are_not_there_can_not_be_planned() -> None:
    plan = make_plan([web()], [Host("node", {RESOURCE: 100.0}, count=1)])
    assert find_end(plan, {"web": 0.1}) == Growth(1, None, 120)


def test_a_rule_may_end_it_before_the_sums_do() -> None:
    alone = Service("web", 1, {RESOURCE: 60.0})
    plan = make_plan([alone], [Host("node", {RESOURCE: 300.0})])
    apart = Service("web", 2, {RESOURCE: 60.0}, per_host=2)
    limited = make_plan([apart], [Host("node", {RESOURCE: 300.0})])
    assert find_end(plan, {"web": 1.0}) == Growth(3, 2, 120)
    assert find_end(limited, {"web": 1.0}) == Growth(1, 2, 120)
