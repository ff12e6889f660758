"""Limits as settings of version 1. (Documentation/admin-guide/cgroup-v1, cgroups(7))"""

from __future__ import annotations

from runtime.cgroups import limits
from runtime.cgroups.settings import Setting
from runtime.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.cgroups.settings import Reader
    from runtime.spec.config import BlockIo, Cpu, Memory, Network, Resources

_MEMORY_AND_SWAP = "memory.memsw.limit_in_bytes"


def settings(resources: Resources, read: Reader) -> list[Setting]:
    """Return the settings for all limits but the device rules. Raise ContainerError.

    `read` returns the present text of a file of the cgroup.
    """
    limits.check(resources)
    if resources.unified:
        raise Unavailable(
            "linux.resources.unified: these are files of cgroup version 2, and this host has"
            " version 1: use the other fields."
        )
    entries: list[Setting] = []
    if resources.memory is not None:
        entries += _memory(resources.memory)
    if resources.cpu is not None:
        entries += _cpu(resources.cpu)
    if resources.pids is not None and resources.pids.limit is not None:
        entries.append(Setting("pids.limit", "pids", "pids.max", limits.pids(resources.pids.limit)))
    if resources.block_io is not None:
        entries += _block_io(resources.block_io, read)
    for limit in resources.hugepage_limits:
        # On a hybrid host version 2 may have the controller.
        is_v1 = read("hugetlb", f"hugetlb.{limit.page_size}.limit_in_bytes") is not None
        entries += limits.hugepages(limit, "limit_in_bytes" if is_v1 else "max")
    if resources.network is not None:
        entries += _network(resources.network)
    for name, entry in resources.rdma.items():
        value = limits.rdma(name, entry)
        entries.append(Setting(f"rdma.{name}", "rdma", "rdma.max", value, is_entry=True))
    return entries


def _memory(memory: Memory) -> list[Setting]:
    entries = []
    swap = memory.swap
    if memory.limit == -1 and not swap:
        swap = -1  # memory can't be unlimited while the limit of memory and swap remains
    for field, file, value, is_optional in (
        ("limit", "memory.limit_in_bytes", memory.limit, False),
        ("swap", _MEMORY_AND_SWAP, swap, swap == -1),
        ("reservation", "memory.soft_limit_in_bytes", memory.reservation, False),
        # These two limit nothing since Linux 5.16 and 6.13.
        ("kernel", "memory.kmem.limit_in_bytes", memory.kernel, True),
        ("kernelTCP", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp, True),
    ):
        if value:
            entries.append(
                Setting(f"memory.{field}", "memory", file, value, is_optional=is_optional)
            )
    if memory.swappiness is not None:
        entries.append(
            Setting("memory.swappiness", "memory", "memory.swappiness", memory.swappiness)
        )
    if memory.use_hierarchy is not None:
        value = int(memory.use_hierarchy)
        entries.append(Setting("memory.useHierarchy", "memory", "memory.use_hierarchy", value))
    if memory.disable_oom_killer is not None:
        value = int(memory.disable_oom_killer)
        entries.append(Setting(
            "memory.disableOOMKiller", "memory", "memory.oom_control", value, is_entry=True,
        ))  # fmt: skip
    return entries


def _cpu(cpu: Cpu) -> list[Setting]:
    entries = [
        Setting(f"cpu.{field}", "cpu", file, value)
        for field, file, value in (
            ("shares", "cpu.shares", cpu.shares),
            ("period", "cpu.cfs_period_us", cpu.period),
            ("quota", "cpu.cfs_quota_us", cpu.quota),
            ("realtimePeriod", "cpu.rt_period_us", cpu.realtime_period),
            ("realtimeRuntime", "cpu.rt_runtime_us", cpu.realtime_runtime),
        )
        if value
    ]
    if cpu.burst is not None:
        entries.append(Setting(
            "cpu.burst", "cpu", "cpu.cfs_burst_us", cpu.burst, is_optional=cpu.burst == 0,
        ))  # fmt: skip
    if cpu.idle is not None:
        entries.append(Setting("cpu.idle", "cpu", "cpu.idle", cpu.idle, is_optional=cpu.idle == 0))
    if cpu.cpus:
        entries.append(Setting("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus))
    if cpu.mems:
        entries.append(Setting("cpu.mems", "cpuset", "cpuset.mems", cpu.mems))
    return entries


def _block_io(block_io: BlockIo, read: Reader) -> list[Setting]:
    # Weights belong to CFQ in old kernels and to BFQ in new ones.
    weigher = "blkio" if read("blkio", "blkio.weight") is not None else "blkio.bfq"
    entries = []
    if block_io.weight:
        entries.append(
            Setting("blockIO.weight", "blkio", f"{weigher}.weight", block_io.weight, is_entry=True)
        )
    if block_io.leaf_weight:
        entries.append(
            Setting("blockIO.leafWeight", "blkio", "blkio.leaf_weight", block_io.leaf_weight)
        )
    for entry in block_io.weight_device:
        for file, weight in (
            (f"{weigher}.weight_device", entry.weight),
            ("blkio.leaf_weight_device", entry.leaf_weight),
        ):
            if weight is not None:
                value = f"{entry.major}:{entry.minor} {weight}"
                entries.append(Setting("blockIO.weightDevice", "blkio", file, value, is_entry=True))
    for field, file, throttles in (
        ("throttleReadBpsDevice", "read_bps", block_io.throttle_read_bps_device),
        ("throttleWriteBpsDevice", "write_bps", block_io.throttle_write_bps_device),
        ("throttleReadIOPSDevice", "read_iops", block_io.throttle_read_iops_device),
        ("throttleWriteIOPSDevice", "write_iops", block_io.throttle_write_iops_device),
    ):
        for throttle in throttles:
            entries.append(Setting(
                f"blockIO.{field}", "blkio", f"blkio.throttle.{file}_device",
                f"{throttle.major}:{throttle.minor} {throttle.rate}", is_entry=True,
            ))  # fmt: skip
    return entries


def _network(network: Network) -> list[Setting]:
    entries = []
    if network.class_id:
        entries.append(Setting("network.classID", "net_cls", "net_cls.classid", network.class_id))
    for entry in network.priorities:
        value = f"{entry.name} {entry.priority}"
        entries.append(Setting(
            "network.priorities", "net_prio", "net_prio.ifpriomap", value, is_entry=True,
        ))  # fmt: skip
    return entries
