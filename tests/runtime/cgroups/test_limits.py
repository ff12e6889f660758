"""Limits of a configuration as files and values of both versions."""

from __future__ import annotations

import pytest

from runtime import ContainerError
from runtime.cgroups.v1 import limits as limits_v1
from runtime.cgroups.v2 import limits as limits_v2
from runtime.spec.config import (
    BlockIo,
    Cpu,
    HugepageLimit,
    InterfacePriority,
    Memory,
    Network,
    Pids,
    Rdma,
    Resources,
    ThrottleDevice,
    WeightDevice,
)


def v1(resources: Resources, **there: str) -> dict[str, str]:
    """Return {file: value}; `there` has the present files, with underscores for dots."""
    settings = limits_v1.settings(resources, lambda _, file: there.get(file.replace(".", "_")))
    return {each.file: each.value for each in settings}


def v2(resources: Resources, **there: str) -> dict[str, str]:
    settings = limits_v2.settings(resources, lambda _, file: there.get(file.replace(".", "_")))
    return {each.file: each.value for each in settings}


def lines(resources: Resources, file: str) -> tuple[list[str], list[str]]:
    """Return the values written to a file by version 1 and by version 2, in order."""
    both = (module.settings(resources, lambda *_: None) for module in (limits_v1, limits_v2))
    first, second = ([each.value for each in settings if file in each.file] for settings in both)
    return first, second


def test_memory_in_version_1() -> None:
    memory = Memory(
        limit=1, reservation=2, swap=3, kernel=4, kernel_tcp=5, swappiness=60,
        disable_oom_killer=True, use_hierarchy=True,
    )  # fmt: skip
    assert v1(Resources(memory=memory)) == {
        "memory.limit_in_bytes": "1",
        "memory.memsw.limit_in_bytes": "3",
        "memory.soft_limit_in_bytes": "2",
        "memory.kmem.limit_in_bytes": "4",
        "memory.kmem.tcp.limit_in_bytes": "5",
        "memory.swappiness": "60",
        "memory.use_hierarchy": "1",
        "memory.oom_control": "1",
    }


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Memory(limit=10, swap=30), {"memory.max": "10", "memory.swap.max": "20"}),
        (Memory(limit=10, swap=10), {"memory.max": "10", "memory.swap.max": "0"}),
        (Memory(limit=10, swap=-1), {"memory.max": "10", "memory.swap.max": "max"}),
        (Memory(limit=10), {"memory.max": "10"}),
        (Memory(limit=-1), {"memory.max": "max", "memory.swap.max": "max"}),
        (Memory(limit=-1, swap=30), {"memory.max": "max", "memory.swap.max": "30"}),
        (Memory(reservation=5), {"memory.low": "5"}),
        (Memory(reservation=-1), {"memory.low": "max"}),
        (Memory(limit=0, swap=0, reservation=0), {}),
        (Memory(kernel=-1, kernel_tcp=-1, use_hierarchy=True, disable_oom_killer=False), {}),
    ],
)
def test_memory_in_version_2(memory: Memory, expected: dict[str, str]) -> None:
    assert v2(Resources(memory=memory)) == expected


def test_swap_alone_goes_with_the_limit_that_is_there() -> None:
    assert v2(Resources(memory=Memory(swap=30)), memory_max="10") == {"memory.swap.max": "20"}
    with pytest.raises(ContainerError, match=r"set memory\.limit too"):
        v2(Resources(memory=Memory(swap=30)), memory_max="max")
    with pytest.raises(ContainerError, match=r"is less than memory\.limit"):
        v2(Resources(memory=Memory(swap=30)), memory_max="31")


@pytest.mark.parametrize("memory", [Memory(limit=-1), Memory(limit=-1, swap=-1)])
def test_memory_without_limit_is_without_one_on_swap(memory: Memory) -> None:
    assert v1(Resources(memory=memory)) == {
        "memory.limit_in_bytes": "-1",
        "memory.memsw.limit_in_bytes": "-1",
    }


@pytest.mark.parametrize(
    "memory",
    [
        Memory(kernel=1),
        Memory(kernel_tcp=1),
        Memory(swappiness=1),
        Memory(use_hierarchy=False),
        Memory(disable_oom_killer=True),
    ],
)
def test_version_2_refuses_what_it_has_nothing_like(memory: Memory) -> None:
    with pytest.raises(ContainerError, match=r"linux\.resources\.memory\..*no such limit"):
        v2(Resources(memory=memory))


def test_cpu_in_version_1() -> None:
    cpu = Cpu(
        shares=512, quota=50, burst=20, period=100, realtime_runtime=7, realtime_period=9,
        cpus="0-1", mems="0", idle=1,
    )  # fmt: skip
    assert v1(Resources(cpu=cpu)) == {
        "cpu.shares": "512",
        "cpu.cfs_period_us": "100",
        "cpu.cfs_quota_us": "50",
        "cpu.cfs_burst_us": "20",
        "cpu.rt_period_us": "9",
        "cpu.rt_runtime_us": "7",
        "cpu.idle": "1",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
    }


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (Cpu(quota=50, period=100), {"cpu.max": "50 100"}),
        (Cpu(quota=50), {"cpu.max": "50"}),
        (Cpu(quota=-1), {"cpu.max": "max"}),
        (Cpu(period=100), {"cpu.max": "70 100"}),
        (Cpu(quota=50, burst=20), {"cpu.max": "50", "cpu.max.burst": "20"}),
        (Cpu(idle=1), {"cpu.idle": "1"}),
        (Cpu(cpus="0", mems="1"), {"cpuset.cpus": "0", "cpuset.mems": "1"}),
        (Cpu(shares=0, quota=0, period=0), {}),
    ],
)
def test_cpu_in_version_2(cpu: Cpu, expected: dict[str, str]) -> None:
    assert v2(Resources(cpu=cpu), cpu_max="70 100000") == expected


def test_version_2_has_no_realtime() -> None:
    with pytest.raises(ContainerError, match=r"cpu\.realtimeRuntime"):
        v2(Resources(cpu=Cpu(realtime_runtime=1)))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [(1, 1), (2, 1), (3, 2), (1024, 100), (262143, 10000), (262144, 10000), (1 << 40, 10000)],
)
def test_shares_become_weight(shares: int, expected: int) -> None:
    assert limits_v2.weight(shares) == expected


def test_more_shares_are_never_less_weight() -> None:
    weights = [limits_v2.weight(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)


@pytest.mark.parametrize(("weight", "expected"), [(10, 1), (1000, 10000), (500, 4950)])
def test_block_weight_becomes_io_weight(weight: int, expected: int) -> None:
    assert limits_v2.io_weight(weight) == expected


@pytest.mark.parametrize(("limit", "expected"), [(10, "10"), (-1, "max"), (0, "1"), (None, None)])
def test_pids_in_both(limit: int | None, expected: str | None) -> None:
    expected_file = {} if expected is None else {"pids.max": expected}
    assert v1(Resources(pids=Pids(limit=limit))) == expected_file
    assert v2(Resources(pids=Pids(limit=limit))) == expected_file


THROTTLE = ThrottleDevice(major=8, minor=0, rate=600)


def test_throttles_in_both() -> None:
    block_io = BlockIo(
        throttle_read_bps_device=(THROTTLE,),
        throttle_write_bps_device=(ThrottleDevice(major=8, minor=16, rate=0),),
        throttle_read_iops_device=(THROTTLE,),
        throttle_write_iops_device=(THROTTLE,),
    )
    assert v1(Resources(block_io=block_io)) == {
        "blkio.throttle.read_bps_device": "8:0 600",
        "blkio.throttle.write_bps_device": "8:16 0",
        "blkio.throttle.read_iops_device": "8:0 600",
        "blkio.throttle.write_iops_device": "8:0 600",
    }
    _, second = lines(Resources(block_io=block_io), "io.max")
    assert second == ["8:0 rbps=600", "8:16 wbps=max", "8:0 riops=600", "8:0 wiops=600"]


def test_weights_go_to_the_scheduler_that_is_there() -> None:
    device = WeightDevice(major=8, minor=0, weight=500)
    resources = Resources(block_io=BlockIo(weight=10, weight_device=(device,)))
    assert v1(resources) == {"blkio.bfq.weight": "10", "blkio.bfq.weight_device": "8:0 500"}
    assert v1(resources, blkio_weight="500") == {
        "blkio.weight": "10",
        "blkio.weight_device": "8:0 500",
    }
    assert lines(resources, "io.weight")[1] == ["1", "8:0 4950"]
    assert v2(resources, io_bfq_weight="100") == {"io.bfq.weight": "8:0 500"}


def test_leaf_weights_are_version_1s() -> None:
    device = WeightDevice(major=8, minor=0, leaf_weight=300)
    resources = Resources(block_io=BlockIo(leaf_weight=20, weight_device=(device,)))
    assert v1(resources) == {"blkio.leaf_weight": "20", "blkio.leaf_weight_device": "8:0 300"}
    with pytest.raises(ContainerError, match="leafWeight"):
        v2(resources)


def test_hugepages_in_both() -> None:
    resources = Resources(hugepage_limits=(HugepageLimit(page_size="2MB", limit=9),))
    assert v1(resources, hugetlb_2MB_limit_in_bytes="0") == {
        "hugetlb.2MB.limit_in_bytes": "9",
        "hugetlb.2MB.rsvd.limit_in_bytes": "9",
    }
    assert v2(resources) == {"hugetlb.2MB.max": "9", "hugetlb.2MB.rsvd.max": "9"}


def test_rdma_in_both() -> None:
    resources = Resources(
        rdma={"mlx5_1": Rdma(hca_handles=3, hca_objects=10000), "rxe3": Rdma(hca_objects=0)}
    )
    expected = ["mlx5_1 hca_handle=3 hca_object=10000", "rxe3 hca_object=0"]
    assert lines(resources, "rdma.max") == (expected, expected)


def test_network_is_version_1s() -> None:
    network = Network(class_id=7, priorities=(InterfacePriority(name="eth0", priority=500),))
    assert v1(Resources(network=network)) == {
        "net_cls.classid": "7",
        "net_prio.ifpriomap": "eth0 500",
    }
    with pytest.raises(ContainerError, match=r"network\.classID"):
        v2(Resources(network=network))


def test_unified_is_version_2s_and_is_written_line_by_line() -> None:
    resources = Resources(unified={"io.max": "8:0 rbps=1\n8:16 rbps=2", "strange.file": "x"})
    settings = limits_v2.settings(resources, lambda *_: None)
    assert [(each.controller, each.file, each.value) for each in settings] == [
        ("io", "io.max", "8:0 rbps=1"),
        ("io", "io.max", "8:16 rbps=2"),
        ("strange", "strange.file", "x"),
    ]
    with pytest.raises(ContainerError, match=r"unified.*version 1"):
        v1(resources)


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        (Resources(memory=Memory(limit=-2)), r"memory\.limit: -2"),
        (Resources(memory=Memory(limit=20, swap=10)), r"memory\.swap"),
        (Resources(memory=Memory(swappiness=101)), r"memory\.swappiness"),
        (Resources(cpu=Cpu(quota=-2)), r"cpu\.quota"),
        (Resources(cpu=Cpu(quota=10, burst=11)), r"cpu\.burst"),
        (Resources(cpu=Cpu(idle=2)), r"cpu\.idle"),
        (Resources(pids=Pids(limit=-2)), r"pids\.limit"),
        (
            Resources(block_io=BlockIo(weight_device=(WeightDevice(major=8, minor=0),))),
            "weightDevice",
        ),
        (Resources(hugepage_limits=(HugepageLimit(page_size="../2MB", limit=1),)), "pageSize"),
        (Resources(hugepage_limits=(HugepageLimit(page_size="MB", limit=1),)), "pageSize"),
        (Resources(rdma={"mlx5_1": Rdma()}), r"rdma\.mlx5_1"),
        (Resources(rdma={"a b": Rdma(hca_objects=1)}), "rdma"),
        (Resources(unified={"../memory.max": "1"}), "unified"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(resources: Resources, reason: str) -> None:
    for version in (v1, v2):
        with pytest.raises(ContainerError, match=rf"linux\.resources\..*{reason}|{reason}"):
            version(resources)
