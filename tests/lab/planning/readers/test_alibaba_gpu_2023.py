"""Alibaba's GPU trace of 2023: small lists, and the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers import alibaba_gpu_2023
from tests.lab.planning.readers import public_data

if TYPE_CHECKING:
    from pathlib import Path

PODS = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time
openb-pod-0000,12000,16384,1,1000,,LS,Running,0
openb-pod-0001,6000,12288,1,460,V100M16|V100M32,LS,Running,427061
openb-pod-0002,12000,16384,1,1000,,BE,Failed,1558381
openb-pod-0003,-1,12288,0,0,,LS,Running,2690044
openb-pod-0004
openb-pod-0005,88000,327680,8,1000,nan,LS,Running,2758084
"""
NODES = """\
sn,cpu_milli,memory_mib,gpu,model
openb-node-0000,32000,1048576,0,
openb-node-0001,48000,262144,4,V100M32
openb-node-0002,32000,1048576,0,
openb-node-0003,96000,786432,8,G2
"""
GIB = 2.0**30


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "openb_pod_list_default.csv").write_text(PODS)
    (tmp_path / "openb_node_list_all_node.csv").write_text(NODES)
    return tmp_path


def test_equal_pods_are_a_service_and_equal_nodes_a_host(lists: Path) -> None:
    found = alibaba_gpu_2023.read(str(lists))
    assert found.services == (
        Service(
            "12000m CPU, 16384 MiB, 1000m GPU",
            2,
            {"cpus": 12.0, "memory_bytes": 16 * GIB, "gpus": 1.0},
        ),
        Service(
            "6000m CPU, 12288 MiB, 460m GPU of V100M16|V100M32",
            1,
            {"cpus": 6.0, "memory_bytes": 12 * GIB, "gpus": 0.46},
            hosts=frozenset({"48 CPUs, 262144 MiB, 4 × V100M32"}),
        ),
        Service(
            "88000m CPU, 327680 MiB, 8000m GPU",
            1,
            {"cpus": 88.0, "memory_bytes": 320 * GIB, "gpus": 8.0},
        ),
    )
    assert found.hosts == (
        Host("32 CPUs, 1048576 MiB", {"cpus": 32.0, "memory_bytes": 1024 * GIB}, count=2),
        Host(
            "48 CPUs, 262144 MiB, 4 × V100M32",
            {"cpus": 48.0, "memory_bytes": 256 * GIB, "gpus": 4.0},
            count=1,
        ),
        Host(
            "96 CPUs, 786432 MiB, 8 × G2",
            {"cpus": 96.0, "memory_bytes": 768 * GIB, "gpus": 8.0},
            count=1,
        ),
    )
    assert found.broken == (
        BrokenLine(
            5,
            "openb_pod_list_default.csv: cpu_milli is -1, which is not a number of 0 or more",
        ),
        BrokenLine(6, "openb_pod_list_default.csv: cpu_milli is missing"),
    )


def test_a_single_list_has_no_hosts_to_choose_from(lists: Path) -> None:
    found = alibaba_gpu_2023.read(str(lists / "openb_pod_list_default.csv"))
    assert found.hosts == ()
    assert [service.hosts for service in found.services] == [None, None, None]
    nodes = alibaba_gpu_2023.read(str(lists / "openb_node_list_all_node.csv"))
    assert (nodes.services, len(nodes.hosts)) == ((), 3)


def test_two_lists_of_pods_are_refused(lists: Path) -> None:
    (lists / "openb_pod_list_cpu0.csv").write_text(PODS)
    with pytest.raises(InvalidConfig, match=r"several lists of pods, openb_pod_list_cpu0\.csv and"):
        alibaba_gpu_2023.read(str(lists))


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidConfig, match="line 1: its columns are neither those of pods nor"):
        alibaba_gpu_2023.read(str(path))


def test_the_whole_trace_has_8152_pods_and_1523_nodes() -> None:
    found = alibaba_gpu_2023.read(str(public_data.folder("alibaba-gpu-2023")))
    assert sum(service.replicas for service in found.services) == 8152
    assert sum(host.count or 0 for host in found.hosts) == 1523
    assert (len(found.services), len(found.hosts), found.broken) == (151, 27, ())
    gpus = sum(host.capacity.get("gpus", 0.0) * (host.count or 0) for host in found.hosts)
    assert gpus == 6212
