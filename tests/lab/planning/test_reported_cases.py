"""Cases that users of schedulers and autoscalers reported, as small plans.

The numbers in the names of the cases are those of the reports.
"""

from __future__ import annotations

from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.plan import make_plan

GIB = 2.0**30


def test_spread_replicas_fill_hosts_autoscaler_8161() -> None:
    hosts = [Host("node", {CPUS: 4.0}, zone=zone) for zone in "abc"]
    plan = make_plan([Service("web", 12, {CPUS: 1.0}, spread="zone")], hosts)
    assert (plan.host_count, plan.is_optimal) == (3, True)


def test_small_replicas_of_one_zone_share_hosts_autoscaler_3721() -> None:
    hosts = [Host("node", {CPUS: 8.0}, zone=zone) for zone in "abc"]
    plan = make_plan([Service("spare", 300, {CPUS: 0.2}, spread="zone")], hosts)
    assert plan.hosts_by_kind() == {"node in a": 3, "node in b": 3, "node in c": 3}


def test_a_larger_skew_serves_a_small_zone_kubernetes_90771() -> None:
    hosts = [
        Host("node", {CPUS: 4.0}, zone="a"),
        Host("node", {CPUS: 1.0}, zone="b", count=1),
        Host("node", {CPUS: 4.0}, zone="c"),
    ]
    plan = make_plan([Service("web", 8, {CPUS: 1.0}, spread="zone", max_skew=3)], hosts)
    placed = {demand.name: demand.replicas for demand in plan.problem.demands}
    assert placed == {"web in a": 4, "web in b": 1, "web in c": 3}


def test_anti_affinity_asks_for_a_host_each_karpenter_3166() -> None:
    hosts = [Host("there", {CPUS: 8.0}, count=11), Host("new", {CPUS: 2.0})]
    plan = make_plan([Service("web", 14, {CPUS: 0.5}, per_host=1)], hosts)
    assert (plan.host_count, plan.is_optimal) == (14, True)


def test_two_small_hosts_may_be_cheaper_than_a_large_one_karpenter_5304() -> None:
    hosts = [
        Host("xlarge", {CPUS: 3.5, MEMORY_BYTES: 14 * GIB}, price=0.1348),
        Host("2xlarge", {CPUS: 7.5, MEMORY_BYTES: 30 * GIB}, price=0.395),
    ]
    services = [Service("web", 6, {CPUS: 1.0, MEMORY_BYTES: 4 * GIB})]
    plan = make_plan(services, hosts, objective="price")
    assert (plan.hosts_by_kind(), plan.cost) == ({"xlarge": 2}, 0.2696)
    assert plan.is_optimal


def test_a_third_more_of_the_cheaper_hosts_karpenter_1149() -> None:
    hosts = [Host("small", {CPUS: 4.0}, price=10.0), Host("large", {CPUS: 16.0}, price=44.0)]
    plan = make_plan([Service("web", 13, {CPUS: 1.0})], hosts, objective="price")
    assert (plan.hosts_by_kind(), plan.cost) == ({"small": 4}, 40.0)


def test_cpus_are_not_rounded_to_whole_ones_heron_2805() -> None:
    plan = make_plan([Service("bolt", 30, {CPUS: 0.1})], [Host("container", {CPUS: 1.5})])
    assert plan.host_count == 2


def test_a_host_is_not_filled_beyond_what_is_allocatable_karpenter_1034() -> None:
    host = Host("micro", {CPUS: 2.0, MEMORY_BYTES: 0.7 * GIB})
    services = [Service("web", 2, {CPUS: 0.1, MEMORY_BYTES: 0.36 * GIB})]
    assert make_plan(services, [host]).host_count == 2
