"""Plans that hold in most draws."""

from __future__ import annotations

from statistics import NormalDist

import pytest

from lab.planning.inventory import Host, Service
from lab.planning.plan import make_plan
from lab.planning.safe_plan import SHARE, find_safe_plan
from lab.planning.uncertainty import Draws
from tests.lab.planning.placed import RESOURCE, figure, uncertain


def test_a_full_host_gets_a_second_one() -> None:
    plan = make_plan([Service("web", 10, {RESOURCE: 10.0})], [Host("node", {RESOURCE: 100.0})])
    draws = Draws([uncertain("web", figure(10.0, half_width=1.0))], seed=1)
    reliability = draws.assess(plan, plan.services)
    assert plan.host_count == 1
    assert 0.4 < reliability.share < 0.6
    safe = find_safe_plan(plan, draws)
    assert safe is not None
    assert safe.plan.host_count == 2
    # Nine are on one host: together they may be larger by a ninth of 10.
    most = NormalDist(0, 1 / 1.959964).cdf(10 / 9)
    assert safe.reliability.share == pytest.approx(most, abs=0.015)
    assert safe.reliability.share >= SHARE


def test_a_service_that_may_outgrow_its_host_has_no_safe_plan() -> None:
    plan = make_plan([Service("web", 2, {RESOURCE: 100.0})], [Host("node", {RESOURCE: 100.0})])
    draws = Draws([uncertain("web", figure(100.0, half_width=10.0))], seed=1)
    assert find_safe_plan(plan, draws) is None


def test_too_few_hosts_have_no_safe_plan() -> None:
    host = Host("node", {RESOURCE: 100.0}, count=1)
    plan = make_plan([Service("web", 10, {RESOURCE: 10.0})], [host])
    draws = Draws([uncertain("web", figure(10.0, half_width=1.0))], seed=1)
    assert find_safe_plan(plan, draws) is None
