"""A cluster as `kubectl get pods,nodes -o json` prints it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Inventory, Service
from lab.planning.readers import kubectl

if TYPE_CHECKING:
    from pathlib import Path

MIB, GIB = 2.0**20, 2.0**30
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def pod(
    name: str,
    cpu: str = "500m",
    memory: str = "1Gi",
    *,
    owner: tuple[str, str] | None = None,
    labels: dict[str, str] | None = None,
    phase: str = "Running",
    namespace: str = "shop",
    **spec: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    requests = {"requests": {"cpu": cpu, "memory": memory}} if cpu else {}
    container = {"name": "main", "image": "x", "resources": requests}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": phase},
    }


def node(
    name: str,
    zone: str = "a",
    cpu: str = "3920m",
    memory: str = "16265424Ki",
    *,
    taints: list[dict[str, str]] | None = None,
    **labels: str,
) -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {ZONE: zone, HOSTNAME: name, **labels}},
        "spec": {"taints": taints} if taints else {},
        "status": {
            "capacity": {"cpu": "4", "memory": "99Gi", "pods": "110"},
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
        },
    }


def read(path: Path, *items: object) -> Inventory:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return kubectl.read(str(path))


def names(inventory: Inventory) -> list[tuple[str, int]]:
    return [(service.name, service.replicas) for service in inventory.services]


def test_pods_of_an_owner_are_replicas_and_equal_nodes_a_host(tmp_path: Path) -> None:
    labels = {"pod-template-hash": "5d4f8"}
    web: dict[str, Any] = {"owner": ("ReplicaSet", "web-5d4f8"), "labels": labels}
    found = read(
        tmp_path / "a.json",
        pod("web-5d4f8-a", **web),
        pod("web-5d4f8-b", **web),
        pod("db-0", "1", "2Gi", owner=("StatefulSet", "db")),
        pod("alone", phase="Pending"),
        pod("done", phase="Succeeded", owner=("Job", "job")),
        pod("failed", phase="Failed"),
        node("n1"),
        node("n2", memory="16265428Ki"),
        node("n3", "b"),
    )
    small = {"cpus": 0.5, "memory_bytes": GIB, "pods": 1.0}
    assert found.services == (
        Service("shop/web", 2, small),
        Service("shop/db", 1, {"cpus": 1.0, "memory_bytes": 2 * GIB, "pods": 1.0}),
        Service("shop/alone", 1, small),
    )
    capacity = {"cpus": 3.92, "memory_bytes": 15884 * MIB, "pods": 110.0}
    assert found.hosts == (
        Host("a/n1", capacity, count=2, zone="a"),
        Host("b/n3", capacity, count=1, zone="b"),
    )
    assert found.broken == ()


def test_pods_without_nodes_take_no_place_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", pod("web"))
    assert found == Inventory((Service("shop/web", 1, {"cpus": 0.5, "memory_bytes": GIB}),))


def test_a_rolling_update_with_other_requests_is_a_second_service(tmp_path: Path) -> None:
    old: dict[str, Any] = {"owner": ("ReplicaSet", "web-1"), "labels": {"pod-template-hash": "1"}}
    new: dict[str, Any] = {"owner": ("ReplicaSet", "web-2"), "labels": {"pod-template-hash": "2"}}
    found = read(tmp_path / "a.json", pod("a", **old), pod("b", **new), pod("c", "1", **new))
    assert names(found) == [("shop/web", 2), ("shop/web (2)", 1)]


def test_daemons_and_static_pods_take_room_of_their_nodes(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        pod("log-a", "100m", "64Mi", owner=("DaemonSet", "log"), nodeName="n1"),
        pod("log-b", "100m", "64Mi", owner=("DaemonSet", "log"), nodeName="n2"),
        pod("etcd-n1", "1", "1Gi", owner=("Node", "n1"), nodeName="n1"),
        node("n1", cpu="4", memory="8Gi"),
        node("n2", cpu="4", memory="8Gi"),
    )
    assert found.services == ()
    assert [(host.name, dict(host.capacity), host.count) for host in found.hosts] == [
        ("a/n1", {"cpus": 2.9, "memory_bytes": (8192 - 64 - 1024) * MIB, "pods": 108.0}, 1),
        ("a/n2", {"cpus": 3.9, "memory_bytes": (8192 - 64) * MIB, "pods": 109.0}, 1),
    ]


def test_selectors_and_taints_decide_which_hosts_a_service_may_use(tmp_path: Path) -> None:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    found = read(
        tmp_path / "a.json",
        pod("any"),
        pod("ssd", nodeSelector={"disk": "ssd"}),
        pod("gpu", tolerations=[{"key": "gpu", "operator": "Exists"}]),
        pod("lost", nodeSelector={"disk": "tape"}),
        node("n1", disk="ssd"),
        node("n2", disk="hdd"),
        node("n3", disk="hdd", taints=[taint]),
    )
    assert {service.name: service.hosts for service in found.services} == {
        "shop/any": frozenset({"a/n1", "a/n2"}),
        "shop/ssd": frozenset({"a/n1"}),
        "shop/gpu": None,
    }
    assert found.broken == (
        BrokenLine(
            4,
            "shop/lost: no node has the labels that it asks for and only taints that it tolerates:"
            " it is left out",
        ),
    )


def anti_affinity(key: str, *apps: str) -> dict[str, Any]:
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": list(apps)}]}
    term = {"topologyKey": key, "labelSelector": selector}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_anti_affinity_by_host(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        pod("a", labels={"app": "a"}, affinity=anti_affinity(HOSTNAME, "a", "b", "z")),
        pod("b", labels={"app": "b"}),
        pod("b2", labels={"app": "b"}, namespace="other"),
        pod("z", labels={"app": "z"}, nodeSelector={"disk": "tape"}),
        node("n1"),
    )
    first, second, third = found.services
    assert (first.per_host, first.apart_from) == (1, frozenset({"shop/b"}))
    assert (second.per_host, second.apart_from) == (None, frozenset())
    assert third.name == "other/b2"


@pytest.mark.parametrize(
    ("spec", "zones", "spread", "max_skew"),
    [
        ({"affinity": anti_affinity(ZONE, "a")}, "ab", "zone", 1),
        ({"affinity": anti_affinity(ZONE, "b")}, "ab", None, 1),
        ({"affinity": anti_affinity(ZONE, "a")}, "aa", None, 1),
        (
            {
                "topologySpreadConstraints": [
                    {
                        "topologyKey": ZONE,
                        "maxSkew": 3,
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "a"}},
                    }
                ]
            },
            "ab",
            "zone",
            3,
        ),
        (
            {
                "topologySpreadConstraints": [
                    {
                        "topologyKey": ZONE,
                        "maxSkew": 1,
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "a"}},
                    }
                ]
            },
            "ab",
            None,
            1,
        ),
    ],
)
def test_spread_over_zones(
    tmp_path: Path, spec: dict[str, Any], zones: str, spread: str | None, max_skew: int
) -> None:
    nodes = [node(f"n{place}", zone) for place, zone in enumerate(zones)]
    found = read(tmp_path / "a.json", pod("a", labels={"app": "a"}, **spec), *nodes)
    (service,) = found.services
    assert (service.spread, service.max_skew) == (spread, max_skew)
    assert found.broken == ()


def test_what_a_plan_does_not_keep_is_named(tmp_path: Path) -> None:
    near = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": HOSTNAME}]}
    spread = {"topologyKey": HOSTNAME, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    found = read(
        tmp_path / "a.json",
        pod("a", affinity={"podAffinity": near}, topologySpreadConstraints=[spread]),
    )
    assert found.broken == (
        BrokenLine(1, "shop/a: its required podAffinity is ignored"),
        BrokenLine(1, f"shop/a: its topologySpreadConstraint over {HOSTNAME} is ignored"),
    )


def test_broken_objects_are_named_by_their_place(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        pod("free", ""),
        pod("bad", "1 core"),
        {"kind": "Pod", "metadata": {"name": "empty"}},
        {"kind": "Service", "metadata": {"name": "other"}},
        {"kind": "Node", "metadata": {"name": "n0"}, "status": {}},
        pod("web"),
    )
    assert names(found) == [("shop/web", 1)]
    assert [line.number for line in found.broken] == [1, 2, 3, 5]
    assert [line.reason for line in found.broken] == [
        "shop/free requests neither CPU nor memory: state what it takes",
        "cpu: '1 core' is not a quantity of Kubernetes'",
        "Object missing required field `spec`",
        "n0 states nothing that is allocatable",
    ]


def test_a_list_of_one_kind_and_compressed(tmp_path: Path) -> None:
    item = pod("web")
    del item["kind"]
    path = tmp_path / "pods.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"kind": "PodList", "items": [item]}).encode()))
    assert names(kubectl.read(str(path))) == [("shop/web", 1)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NAME   READY\nweb    1/1\n", "is not the JSON of `kubectl get pods,nodes -o json`"),
        ('{"kind": "Pod"}', "Object missing required field `items`"),
        ('{"items": []}', "has nothing to plan as pods or nodes: it has no such record"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=reason):
        kubectl.read(str(path))


def test_lists_within_the_list_are_counted_through(tmp_path: Path) -> None:
    free = pod("free", "")
    del free["kind"]
    found = read(
        tmp_path / "a.json",
        {"kind": "PodList", "items": [free, pod("web")]},
        {"kind": "List", "items": [{"kind": "List", "items": [node("n1")]}, pod("bad", "1 core")]},
    )
    assert names(found) == [("shop/web", 1)]
    assert [host.name for host in found.hosts] == ["a/n1"]
    assert [line.number for line in found.broken] == [1, 4]


def test_an_object_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    first, second = pod("web"), pod("web")
    first["metadata"]["uid"], second["metadata"]["uid"] = "1", "2"  # of two clusters
    found = read(tmp_path / "a.json", first, second, first, node("n1"), node("n1"))
    assert names(found) == [("shop/web", 2)]
    assert [host.count for host in found.hosts] == [1]
    assert found.broken == (
        BrokenLine(3, "shop/web is object 1 of the list again"),
        BrokenLine(5, "n1 is object 4 of the list again"),
    )


def test_cordoned_nodes_take_only_pods_that_tolerate_it(tmp_path: Path) -> None:
    cordoned, drained = node("n2"), node("n3")
    cordoned["spec"]["unschedulable"] = True
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    drained["spec"] = {"unschedulable": True, "taints": [taint]}
    any_node = [{"operator": "Exists"}]
    found = read(
        tmp_path / "a.json", pod("a"), pod("b", tolerations=any_node), node("n1"), cordoned, drained
    )
    assert [(host.name, host.count) for host in found.hosts] == [("a/n1", 1), ("a/n2", 2)]
    assert [service.hosts for service in found.services] == [frozenset({"a/n1"}), None]


def test_zones_that_a_plan_does_not_keep_apart_are_named(tmp_path: Path) -> None:
    owner, labels = ("StatefulSet", "a"), {"app": "a"}
    apart = anti_affinity(ZONE, "a", "b")
    pods = [
        pod(f"a-{each}", owner=owner, labels=labels, affinity=apart, nodeName=f"n{each}")
        for each in range(3)
    ]
    found = read(
        tmp_path / "a.json", *pods, pod("b", labels={"app": "b"}), node("n1"), node("n2", "b")
    )
    assert found.services[0].spread == "zone"
    assert found.broken == (
        BrokenLine(1, f"shop/a: its podAntiAffinity to shop/b over {ZONE} is ignored"),
        BrokenLine(
            1,
            "shop/a: its podAntiAffinity allows a replica in each of 2 zones, and it has 3: they"
            " are only spread",
        ),
    )


def test_one_replica_in_a_zone_is_one_in_a_rack(tmp_path: Path) -> None:
    rack = "topology.kubernetes.io/rack"
    both = anti_affinity(ZONE, "a")
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    both["podAntiAffinity"][kind] += anti_affinity(rack, "a")["podAntiAffinity"][kind]
    for terms in (both["podAntiAffinity"][kind], both["podAntiAffinity"][kind][::-1]):
        affinity = {"podAntiAffinity": {kind: terms}}
        nodes = [node(f"n{zone}", zone) for zone in "ab"]
        for each in nodes:
            each["metadata"]["labels"][rack] = each["metadata"]["name"]
        found = read(tmp_path / "a.json", pod("a", labels={"app": "a"}, affinity=affinity), *nodes)
        assert found.services[0].spread == "zone"
