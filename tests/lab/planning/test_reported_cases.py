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
    assert plan.hosts_by_kind() == {"node@a": 3, "node@b": 3, "node@c": 3}


def test_a_larger_skew_serves_a_small_zone_kubernetes_90771() -> None:
    hosts = [
        Host("node", {CPUS: 4.0}, zone="a"),
        Host("node", {CPUS: 1.0}, zone="b", count=1),
        Host("node", {CPUS: 4.0}, zone="c"),
    ]
    plan = make_plan([Service("web", 8, {CPUS: 1.0}, spread="zone", max_skew=3)], hosts)
    placed = {demand.name: demand.replicas for demand in plan.problem.demands}
    assert placed == {"web@a": 4, "web@b": 1, "web@c": 3}


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


def test_one_replica_a_host_asks_for_no_more_hosts_than_replicas_autoscaler_5019() -> None:
    plan = make_plan([Service("web", 200, {CPUS: 0.5}, per_host=1)], [Host("t3", {CPUS: 1.93})])
    assert (plan.host_count, plan.is_optimal) == (200, True)


def test_zones_and_hosts_are_spread_over_together_autoscaler_4129() -> None:
    hosts = [Host("node", {CPUS: 8.0}, zone=zone) for zone in "abc"]
    service = Service("web", 20, {CPUS: 1.0}, spread="zone", per_host=1)
    plan = make_plan([service], hosts)
    assert (plan.host_count, plan.is_optimal) == (20, True)
    assert sorted(plan.hosts_by_kind().values()) == [6, 7, 7]


def test_replicas_added_in_bulk_share_hosts_kubernetes_67779() -> None:
    services = [Service("agent", 10, {CPUS: 1.0, MEMORY_BYTES: 2 * GIB})]
    plan = make_plan(services, [Host("node", {CPUS: 3.92, MEMORY_BYTES: 12 * GIB})])
    assert (plan.host_count, plan.is_optimal) == (4, True)


def test_hosts_with_more_memory_replace_pairs_that_lack_it_karpenter_1962() -> None:
    hosts = [
        Host("c5a", {CPUS: 4.0, MEMORY_BYTES: 8 * GIB}, price=0.154),
        Host("m6a", {CPUS: 4.0, MEMORY_BYTES: 16 * GIB}, price=0.1728),
    ]
    services = [Service("web", 8, {CPUS: 0.9, MEMORY_BYTES: 3.5 * GIB})]
    plan = make_plan(services, hosts, objective="price")
    assert (plan.hosts_by_kind(), plan.is_optimal) == ({"m6a": 2}, True)


def test_hosts_of_the_same_price_for_the_same_room_are_a_tie_karpenter_5903() -> None:
    hosts = [
        Host("2xlarge", {CPUS: 8.0}, price=0.3492),
        Host("4xlarge", {CPUS: 16.0}, price=0.6984),
    ]
    plan = make_plan([Service("web", 16, {CPUS: 1.0})], hosts, objective="price")
    assert (plan.cost, plan.is_optimal) == (0.6984, True)


def test_two_middle_hosts_are_cheaper_than_a_large_and_a_tiny_one_karpenter_1442() -> None:
    hosts = [
        Host("micro", {CPUS: 2.0, MEMORY_BYTES: 1 * GIB}, price=0.0094),
        Host("medium", {CPUS: 2.0, MEMORY_BYTES: 4 * GIB}, price=0.0376),
        Host("xlarge", {CPUS: 4.0, MEMORY_BYTES: 16 * GIB}, price=0.1504),
    ]
    services = [Service("web", 7, {CPUS: 0.25, MEMORY_BYTES: 1.1 * GIB})]
    plan = make_plan(services, hosts, objective="price")
    assert (plan.cost, plan.is_optimal) == (0.1128, True)  # not 0.1598
    assert plan.hosts_by_kind() == {"medium": 3}


def test_a_price_apart_from_the_size_keeps_the_bound_below_the_plan_packingsolver_472() -> None:
    hosts = [Host("host", {CPUS: 10.0}, price=100.0)]
    services = [Service(f"s{size}", 2, {CPUS: float(size)}) for size in (3, 4, 5)]
    plan = make_plan(services, hosts, objective="price")
    assert plan.bound <= plan.cost == 300
    assert plan.is_optimal


def test_a_second_kind_of_host_hides_no_plan_packingsolver_454() -> None:
    for kinds in (("a",), ("b",), ("a", "b"), ("b", "a")):
        hosts = [Host(kind, {CPUS: 4.0 if kind == "a" else 7.0}, count=2) for kind in kinds]
        assert make_plan([Service("web", 1, {CPUS: 4.0})], hosts).host_count == 1


def test_what_just_fits_is_placed_nomad_861() -> None:
    # Two tasks of a half and one of the rest: 100 % of CPU and memory.
    services = [
        Service("web", 1, {CPUS: 0.5, MEMORY_BYTES: 256e6}),
        Service("lb", 1, {CPUS: 0.5, MEMORY_BYTES: 256e6}),
        Service("rest", 1, {MEMORY_BYTES: 1488e6}),
    ]
    plan = make_plan(services, [Host("t2.small", {CPUS: 1.0, MEMORY_BYTES: 2e9}, count=1)])
    assert plan.host_count == 1


def test_a_limit_by_host_is_met_exactly_nomad_5965() -> None:
    hosts = [Host("node", {CPUS: 64.0}, count=3)]
    plan = make_plan([Service("dummy", 39, {CPUS: 1.0}, per_host=13)], hosts)
    assert [dict(each.counts)["dummy"] for each in plan.solution.patterns] == [13]
    assert plan.host_count == 3


def test_a_full_zone_takes_no_more_for_the_sake_of_the_spread_descheduler_604() -> None:
    # Domains of 7, 5 and 3 with a skew of 1, where the third has no room for more.
    hosts = [Host("node", {CPUS: 8.0}, zone=zone, count=1) for zone in "abc"]
    other = Service("other", 1, {CPUS: 5.0}, hosts=frozenset({"small"}))
    hosts.append(Host("small", {CPUS: 5.0}, zone="c", count=1))
    for skew in (1, 4):
        web = Service("web", 15, {CPUS: 1.0}, spread="zone", max_skew=skew)
        plan = make_plan([web, other], hosts)
        counts = [demand.replicas for demand in plan.problem.demands[:3]]
        assert sum(counts) == 15
        assert max(counts) - min(counts) <= skew


def test_lengths_of_many_rolls_are_cut_with_proof_ortools_715() -> None:
    lengths = {2490: 4, 3980: 5, 2391: 3, 596: 3, 2456: 2, 3018: 6, 938: 3, 943: 1}
    rolls = [Host(f"{size}", {CPUS: float(size)}, price=size) for size in range(4000, 8001, 1000)]
    services = [Service(f"{size}", count, {CPUS: float(size)}) for size, count in lengths.items()]
    plan = make_plan(services, rolls, objective="price", deadline_seconds=10)
    assert plan.cost == plan.bound
    assert plan.cost >= sum(size * count for size, count in lengths.items())


def test_vectors_share_a_host_by_every_component_binpacking_14() -> None:
    sizes = {"a": (2, 2, 1), "b": (1, 1, 1), "c": (5, 5, 5)}
    services = [
        Service(name, 1, dict(zip("xyz", map(float, size), strict=True)))
        for name, size in sizes.items()
    ]
    plan = make_plan(services, [Host("bin", {"x": 5.0, "y": 5.0, "z": 5.0})])
    assert (plan.host_count, plan.is_optimal) == (2, True)
