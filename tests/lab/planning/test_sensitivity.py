"""Sensitivity of a plan to each of its assumptions."""

from __future__ import annotations

from lab.planning.inventory import Host, Service
from lab.planning.plan import make_plan
from lab.planning.sensitivity import Sensitivities, Sensitivity, find_sensitivities

MEMORY, CPUS = "memory_bytes", "cpus"


def test_a_full_host_is_sensitive_to_all_that_fills_it() -> None:
    plan = make_plan([Service("web", 10, {MEMORY: 10.0})], [Host("node", {MEMORY: 100.0})])
    found = find_sensitivities(plan)
    assert found.undecided == 0
    assert {each.assumption: (each.lower, each.higher) for each in found.decided} == {
        "memory of node": (1, 0),
        "replicas of web": (0, 1),
        "memory of web": (0, 1),
    }
    assert all(each.matters for each in found.decided)


def test_a_resource_that_is_not_scarce_does_not_matter() -> None:
    web = Service("web", 10, {MEMORY: 10.0, CPUS: 1.0})
    plan = make_plan([web], [Host("node", {MEMORY: 100.0, CPUS: 64.0})])
    found = {each.assumption: each.matters for each in find_sensitivities(plan).decided}
    assert found == {
        "memory of node": True,
        "CPU of node": False,
        "replicas of web": True,
        "memory of web": True,
        "CPU of web": False,
    }


def test_a_service_as_large_as_its_host_leaves_no_plan() -> None:
    plan = make_plan([Service("web", 2, {MEMORY: 100.0})], [Host("node", {MEMORY: 100.0})])
    found = {each.assumption: each for each in find_sensitivities(plan).decided}
    assert found["memory of web"] == Sensitivity("memory of web", 0, None)
    assert found["memory of node"] == Sensitivity("memory of node", None, 0)


def test_the_deadline_leaves_assumptions_untried() -> None:
    plan = make_plan([Service("web", 10, {MEMORY: 10.0})], [Host("node", {MEMORY: 100.0})])
    assert find_sensitivities(plan, deadline_seconds=0.0) == Sensitivities((), 3)
