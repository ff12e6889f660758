"""Usage of hosts: what is full, what binds, what is stranded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.plan import make_plan
from lab.planning.problem import Demand
from lab.planning.solution import Pattern
from lab.planning.usage import (
    FreeAmounts,
    ResourceUse,
    binding,
    content,
    free_amounts,
    resource_use,
)
from tests.lab.planning.planned import GIB, PROBLEM, SERVICES, plan


def test_what_no_further_replica_can_use_is_stranded() -> None:
    # On the first host one more web server uses 1 CPU and 1 GiB of 1 CPU and 5 GiB. On the second
    # there is no memory, which strands the CPU.
    assert free_amounts(plan()) == (
        FreeAmounts((1.0, 5.0 * GIB), (0.0, 4.0 * GIB)),
        FreeAmounts((1.0, 0.0), (1.0, 0.0)),
    )


def test_the_use_of_all_hosts_counts_each_host_of_a_pattern() -> None:
    made = plan((Pattern("node", (("web", 3),), 10), Pattern("node", (("web", 2), ("db", 1)), 1)))
    cpus, memory = resource_use(made, free_amounts(made))
    assert cpus == ResourceUse(CPUS, 44.0, 33.0, 1.0)
    assert memory == ResourceUse(MEMORY_BYTES, 88.0 * GIB, 38.0 * GIB, 40.0 * GIB)
    assert cpus.used_share == 0.75
    assert memory.stranded_share == pytest.approx(40 / 88)


@pytest.mark.parametrize(
    "web",
    [
        Demand("web", 5, (1, 1), per_host=3),
        Demand("web", 5, (1, 1), hosts=frozenset({"another"})),
        Demand("web", 3, (1, 1)),
    ],
)
def test_a_rule_against_another_replica_strands_what_is_free(web: Demand) -> None:
    problem = replace(PROBLEM, demands=(web, replace(PROBLEM.demands[1], size=(2, 6))))
    made = plan((Pattern("node", (("web", 3),), 1),), problem=problem)
    assert free_amounts(made)[0].stranded == (1.0, 5.0 * GIB)


def test_a_service_that_must_be_apart_uses_nothing() -> None:
    db = Demand("db", 2, (1, 5), apart_from=frozenset({"web"}))
    made = plan(
        (Pattern("node", (("web", 3),), 1),),
        problem=replace(PROBLEM, demands=(Demand("web", 3, (1, 1), per_host=3), db)),
    )
    assert free_amounts(made)[0].stranded == (1.0, 5.0 * GIB)


def test_a_demand_without_a_size_uses_nothing() -> None:
    free = replace(PROBLEM, demands=(Demand("web", 9, (1, 1), per_host=3), Demand("db", 5, (0, 0))))
    made = plan((Pattern("node", (("web", 3),), 1),), problem=free)
    assert free_amounts(made)[0].stranded == (1.0, 5.0 * GIB)


def test_the_fullest_resource_binds() -> None:
    made = plan()
    uses = resource_use(made, free_amounts(made))
    assert binding(made, uses) == "CPU binds: 75 % of it is used, of memory 68.8 %."
    emptier = (replace(uses[0], used=1.0), uses[1])
    assert binding(made, emptier) == "Memory binds: 68.8 % of it is used, of CPU 12.5 %."


def test_anti_affinity_binds_where_it_alone_takes_as_many_hosts() -> None:
    made = plan(services=(replace(SERVICES[0], per_host=3), SERVICES[1]))
    uses = resource_use(made, free_amounts(made))
    assert binding(made, uses) == "Anti-affinity binds: web has 5 replicas, at most 3 on a host."


def test_a_rule_that_all_replicas_keep_on_one_host_binds_nothing() -> None:
    made = make_plan([Service("web", 1, {CPUS: 1.0}, per_host=1)], [Host("node", {CPUS: 4.0})])
    assert binding(made, resource_use(made, free_amounts(made))) == "CPU binds: 25 % of it is used."


def test_rules_bind_where_fewer_hosts_could_hold_all_that_is_used() -> None:
    web = replace(SERVICES[0], spread="zone", apart_from=frozenset({"db"}))
    patterns = (Pattern("node", (("web", 1),), 5), Pattern("node", (("db", 1),), 1))
    made = plan(patterns, services=(web, SERVICES[1]))
    assert binding(made, resource_use(made, free_amounts(made))) == (
        "Rules bind: web (spread over zones, apart from db). Of CPU 25 % is used."
    )


def test_what_a_capacity_loses_as_an_integer_is_free() -> None:
    made = make_plan([Service("web", 2, {CPUS: 1.5})], [Host("node", {CPUS: 4.0})])
    assert free_amounts(made) == (FreeAmounts((1.0,), (1.0,)),)
    assert resource_use(made, free_amounts(made)) == (ResourceUse(CPUS, 4.0, 3.0, 1.0),)


def test_the_content_of_a_pattern_is_by_service() -> None:
    pattern = Pattern("node", (("web@a", 1), ("db", 2), ("web@b", 2), ("api", 2)), 1)
    services = {"web@a": "web", "web@b": "web", "db": "db", "api": "api"}
    assert content(pattern, services) == [("web", 3), ("api", 2), ("db", 2)]
