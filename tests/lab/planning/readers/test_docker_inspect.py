"""Containers as `docker inspect` and `podman inspect` describe them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Inventory, Service
from lab.planning.readers import docker_inspect

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
ONE_CPU = {"NanoCpus": 10**9, "Memory": MIB}


def container(
    name: str,
    limits: dict[str, int],
    status: str = "running",
    labels: dict[str, str] | None = None,
) -> dict[str, object]:
    unlimited = {"NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0, "Memory": 0}
    return {
        "Id": f"3f4e{name.encode().hex()}",
        "Name": name,
        "State": {"Status": status, "Running": status == "running", "Pid": 1},
        "HostConfig": {**unlimited, **limits},
        "Config": {"Labels": labels},
    }


def read(path: Path, containers: object) -> Inventory:
    path.write_text(json.dumps(containers))
    return docker_inspect.read(str(path))


def test_limits_are_what_a_container_takes(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        [
            container("/web", {"NanoCpus": 1_500_000_000, "Memory": 512 * MIB}),
            container("db", {"CpuQuota": 50_000, "Memory": MIB}),
            container("/cache", {"CpuQuota": 50_000, "CpuPeriod": 25_000, "Memory": MIB}, "paused"),
            container("/old", ONE_CPU, "exited"),
        ],
    )
    assert found.services == (
        Service("web", 1, {"cpus": 1.5, "memory_bytes": 512.0 * MIB}),
        Service("db", 1, {"cpus": 0.5, "memory_bytes": 1.0 * MIB}),
        Service("cache", 1, {"cpus": 2.0, "memory_bytes": 1.0 * MIB}),
    )
    assert (found.hosts, found.broken) == ((), ())


def test_a_container_without_a_limit_is_named(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        [
            container("/free", {}),
            container("/all-cpus", {"Memory": MIB, "CpuQuota": -1}),
            container("/all-memory", {"NanoCpus": 10**9, "Memory": -1}),
            {"Name": "an image"},
            container("/web", ONE_CPU),
        ],
    )
    assert [service.name for service in found.services] == ["web"]
    assert found.broken[:3] == (
        BrokenLine(1, "free has no limit of CPU and memory: state what it takes"),
        BrokenLine(2, "all-cpus has no limit of CPU: state what it takes"),
        BrokenLine(3, "all-memory has no limit of memory: state what it takes"),
    )
    assert found.broken[3].number == 4
    assert "State" in found.broken[3].reason


def test_containers_of_a_service_are_its_replicas(tmp_path: Path) -> None:
    compose = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    found = read(
        tmp_path / "a.json",
        [
            container("/shop-web-1", ONE_CPU, labels=compose),
            container("/shop-web-2", ONE_CPU, labels=compose),
            container("/shop-web-3", {"NanoCpus": 2 * 10**9, "Memory": MIB}, labels=compose),
            container("/s.1.x", ONE_CPU, labels={"com.docker.swarm.service.name": "s"}),
        ],
    )
    one, two = ({"cpus": cpus, "memory_bytes": 1.0 * MIB} for cpus in (1.0, 2.0))
    assert found.services == (
        Service("shop/web", 2, one),
        Service("shop/web (2)", 1, two),
        Service("s", 1, one),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"Name": "web"}, "is not the list that `docker inspect` prints"),
        ([], "has nothing to plan as running containers: it has no such record"),
        ([container("/free", {})], "line 1: free has no limit"),
    ],
)
def test_what_has_no_containers_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(InvalidConfig, match=reason):
        read(tmp_path / "a.json", content)


def test_a_container_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    web = container("/web", ONE_CPU)
    found = read(tmp_path / "a.json", [web, container("/db", ONE_CPU), web])
    assert [(each.name, each.replicas) for each in found.services] == [("web", 1), ("db", 1)]
    assert found.broken == (BrokenLine(3, "/web is container 1 again"),)


def test_amounts_that_no_container_has_are_no_limits(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.json",
        [
            container("/all-pages", {"NanoCpus": 10**9, "Memory": 9223372036854771712}),
            container("/more", {"NanoCpus": 10**9, "Memory": 10**400}),
            container("/web", ONE_CPU),
        ],
    )
    assert [each.name for each in found.services] == ["web"]
    assert found.broken[0] == BrokenLine(1, "all-pages has no limit of memory: state what it takes")
    assert "Expected `int` <= 9223372036854775807" in found.broken[1].reason
