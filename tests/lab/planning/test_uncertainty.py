"""Draws of measured figures: shares against probabilities that are known exactly."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lab.planning.inventory import Host, Service
from lab.planning.uncertainty import Draws, Reliability
from tests.lab.planning.placed import RESOURCE, figure, placed, uncertain

if TYPE_CHECKING:
    from lab.planning.measured import MeasuredFigure

WIDTH = 1.959964  # half of a 95 % interval whose standard deviation is 1
NORMAL = NormalDist()
DRAWS = 20_000
ERROR = 0.012  # four standard errors of a share of so many draws


def assess(
    capacity: float,
    *services: tuple[Service, MeasuredFigure],
    hosts: int = 1,
    per_replica: bool = False,
) -> Reliability:
    plan = placed(
        [service for service, _ in services],
        [Host("node", {RESOURCE: capacity})],
        ("node", {service.name: service.replicas // hosts for service, _ in services}, hosts),
    )
    parts = [uncertain(service.name, own) for service, own in services]
    return Draws(parts, draws=DRAWS, seed=1, per_replica=per_replica).assess(plan, plan.services)


def web(replicas: int, size: float = 10.0) -> Service:
    return Service("web", replicas, {RESOURCE: size})


def test_an_interval_is_drawn_as_normal() -> None:
    found = assess(52.0, (web(5), figure(10.0, half_width=WIDTH)))
    assert found.draws == DRAWS
    assert found.share == pytest.approx(NORMAL.cdf(2 / 5), abs=ERROR)


def test_rounds_are_drawn_anew() -> None:
    # The median of five is above 1 if three rounds or more are the large one.
    larger = sum(
        combinations * 0.2**large * 0.8 ** (5 - large)
        for large, combinations in ((3, 10), (4, 5), (5, 1))
    )
    found = assess(10.0, (web(1), figure(10.0, 10.0, 10.0, 10.0, 10.0, 90.0)))
    assert found.share == pytest.approx(1 - larger, abs=ERROR)


def test_few_rounds_scatter_more_than_they_show() -> None:
    draws = Draws([uncertain("web", figure(2.0, 1.0, 2.0, 3.0))], draws=DRAWS, seed=1)
    (highest,) = draws.quantiles(1.0).values()
    assert highest == pytest.approx(1 * (3 / 2) ** 0.5)


def test_replicas_that_share_a_figure_change_together() -> None:
    shared = figure(10.0, half_width=WIDTH)
    other = Service("db", 3, {RESOURCE: 10.0})
    found = assess(52.0, (web(2), shared), (other, shared))
    assert found.share == pytest.approx(NORMAL.cdf(2 / 5), abs=ERROR)
    alone = assess(52.0, (web(2), shared), (other, figure(10.0, half_width=WIDTH, target="vm")))
    assert alone.share == pytest.approx(NORMAL.cdf(2 / 13**0.5), abs=ERROR)


def test_a_figure_contributes_its_share_of_the_variance() -> None:
    first, second = (figure(10.0, half_width=WIDTH, target=name) for name in ("vm", "container"))
    found = assess(100.0, (web(2), first), (Service("db", 4, {RESOURCE: 10.0}), second))
    assert [(each.figure, each.services) for each in found.contributions] == [
        (second, ("db",)),
        (first, ("web",)),
    ]
    assert found.contributions[0].share == pytest.approx(0.8, abs=ERROR)
    assert sum(each.share for each in found.contributions) == pytest.approx(1.0)


def test_a_figure_without_error_is_named_and_not_drawn() -> None:
    once = figure(10.0)
    found = assess(50.0, (web(5), once))
    assert found == Reliability(DRAWS, 1.0, (), (), (once,))


def test_the_host_and_the_resource_that_run_short_are_named() -> None:
    found = assess(52.0, (web(5), figure(10.0, half_width=WIDTH)))
    (shortage,) = found.shortages
    assert (shortage.host, shortage.resource) == ("node", RESOURCE)
    assert shortage.share == pytest.approx(1 - found.share)


def test_every_host_must_hold() -> None:
    services = [web(5), Service("db", 5, {RESOURCE: 10.0})]
    plan = placed(
        services,
        [Host("node", {RESOURCE: 52.0})],
        ("node", {"web": 5}, 1),
        ("node", {"db": 5}, 1),
    )
    parts = [uncertain(name, figure(10.0, half_width=WIDTH, target=name)) for name in ("web", "db")]
    found = Draws(parts, draws=DRAWS, seed=1).assess(plan, services)
    assert found.share == pytest.approx(NORMAL.cdf(2 / 5) ** 2, abs=ERROR)


def test_the_scatter_of_replicas_averages_out_and_the_worst_host_counts() -> None:
    rounds = np.random.default_rng(1).normal(10.0, 1.0, 401)
    rounds += 10.0 - np.median(rounds)
    measured = figure(10.0, *map(float, rounds))
    deviation = 2 * float(np.std(rounds, ddof=1))  # of a sum of four
    assert assess(43.0, (web(12), measured), hosts=3).share == 1.0
    found = assess(43.0, (web(12), measured), hosts=3, per_replica=True)
    assert found.share == pytest.approx(NORMAL.cdf(3 / deviation) ** 3, abs=2 * ERROR)


def test_a_figure_is_never_below_zero() -> None:
    draws = Draws([uncertain("web", figure(1.0, half_width=10.0))], draws=DRAWS, seed=1)
    plan = placed([web(5, 1.0)], [Host("node", {RESOURCE: 5.0})], ("node", {"web": 5}, 1))
    assert draws.assess(plan, plan.services).share == pytest.approx(0.5, abs=ERROR)


def test_a_seed_gives_the_same_draws() -> None:
    parts = [uncertain("web", figure(10.0, 9.0, 10.0, 11.5, 10.2))]
    first, same = (Draws(parts, seed=3).quantiles(0.9) for _ in range(2))
    assert first == same


def test_a_factor_scales_the_deviation() -> None:
    plan = placed([web(1, 20.0)], [Host("node", {RESOURCE: 22.0})], ("node", {"web": 1}, 1))
    parts = [uncertain("web", figure(10.0, half_width=WIDTH), factor=2.0)]
    found = Draws(parts, draws=DRAWS, seed=1).assess(plan, plan.services)
    assert found.share == pytest.approx(NORMAL.cdf(1.0), abs=ERROR)


def test_nothing_measured_always_holds() -> None:
    plan = placed([web(5)], [Host("node", {RESOURCE: 50.0})], ("node", {"web": 5}, 1))
    assert Draws([]).assess(plan, plan.services) == Reliability(1000, 1.0, (), (), ())
    assert Draws([]).quantiles(0.9) == {}
