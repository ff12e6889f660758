"""Limits in version 2's files, converted from 1's where the specification speaks of those.

What can't be converted is refused, as the specification demands.
(OCI config-linux.md, "Unified"; Documentation/admin-guide/cgroup-v2.rst)
"""

from __future__ import annotations

import math

from runtime.cgroups import limits
from runtime.cgroups.settings import Setting
from runtime.cgroups.v1.limits import hugepages
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from runtime.cgroups.settings import Reader
    from runtime.spec.config import BlockIo, Cpu, Memory, Network, Resources


def settings(resources: Resources, read: Reader) -> list[Setting]:
    """The files and values for what is asked, devices apart. Raises ContainerError.

    `read` gives a file of the cgroup as it is: what is set in part goes with what is there.
    """
    limits.check(resources)
    found: list[Setting] = []
    if resources.memory is not None:
        found += _memory(resources.memory, read)
    if resources.cpu is not None:
        found += _cpu(resources.cpu, read)
    if resources.pids is not None and resources.pids.limit is not None:
        found.append(Setting("pids.limit", "pids", "pids.max", limits.pids(resources.pids.limit)))
    if resources.block_io is not None:
        found += _block_io(resources.block_io, read)
    for limit in resources.hugepage_limits:
        found += hugepages(limit, "max")
    if resources.network is not None:
        _refuse_network(resources.network)
    for name, entry in resources.rdma.items():
        value = limits.rdma(name, entry)
        found.append(Setting(f"rdma.{name}", "rdma", "rdma.max", value, is_entry=True))
    for key, text in resources.unified.items():
        controller = key.partition(".")[0]
        for line in text.splitlines() or [""]:
            found.append(Setting(f"unified.{key}", controller, key, line, is_entry=True))
    return found


def _memory(memory: Memory, read: Reader) -> list[Setting]:
    for field, stands in (
        ("kernel", (memory.kernel or -1) != -1),
        ("kernelTCP", (memory.kernel_tcp or -1) != -1),
        ("swappiness", memory.swappiness is not None),
        ("useHierarchy", memory.use_hierarchy is False),
        ("disableOOMKiller", bool(memory.disable_oom_killer)),
    ):
        if stands:
            _refuse(f"memory.{field}")
    found = []
    swap = _swap(memory, read)
    if swap is not None:
        # A kernel that does not count swap lets it be had by all or, if there is none, by nobody.
        is_optional = swap in {"0", "max"}
        found.append(
            Setting("memory.swap", "memory", "memory.swap.max", swap, is_optional=is_optional)
        )
    if memory.limit:
        found.append(Setting("memory.limit", "memory", "memory.max", _or_max(memory.limit)))
    if memory.reservation:
        value = _or_max(memory.reservation)
        found.append(Setting("memory.reservation", "memory", "memory.low", value))
    return found


def _swap(memory: Memory, read: Reader) -> str | None:
    """Swap alone, where the specification has the sum of memory and swap."""
    if not memory.swap:
        return "max" if memory.limit == -1 else None
    if memory.swap == -1:
        return "max"
    if memory.limit == -1:
        return str(memory.swap)
    limit = memory.limit or _number(read("memory", "memory.max"))
    if limit is None:
        raise ContainerError(
            "linux.resources.memory.swap: it is memory and swap, so memory needs a limit too."
        )
    if limit > memory.swap:
        raise ContainerError(
            f"linux.resources.memory.swap: it is memory and swap, so {memory.swap} can't be"
            f" below the limit of memory, {limit}."
        )
    return str(memory.swap - limit)


def _cpu(cpu: Cpu, read: Reader) -> list[Setting]:
    for field, value in (
        ("realtimeRuntime", cpu.realtime_runtime),
        ("realtimePeriod", cpu.realtime_period),
    ):
        if value:
            _refuse(f"cpu.{field}")
    found = []
    if cpu.shares:
        found.append(Setting("cpu.shares", "cpu", "cpu.weight", weight(cpu.shares)))
    if cpu.idle is not None:
        found.append(Setting("cpu.idle", "cpu", "cpu.idle", cpu.idle, is_optional=cpu.idle == 0))
    if cpu.quota or cpu.period:
        quota = _or_max(cpu.quota) if cpu.quota else _word(read("cpu", "cpu.max"))
        field = "cpu.quota" if cpu.quota else "cpu.period"
        bandwidth = f"{quota} {cpu.period}" if cpu.period else quota
        found.append(Setting(field, "cpu", "cpu.max", bandwidth))
    if cpu.burst is not None:
        found.append(Setting(
            "cpu.burst", "cpu", "cpu.max.burst", cpu.burst, is_optional=cpu.burst == 0,
        ))  # fmt: skip
    if cpu.cpus:
        found.append(Setting("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus))
    if cpu.mems:
        found.append(Setting("cpu.mems", "cpuset", "cpuset.mems", cpu.mems))
    return found


def _block_io(block_io: BlockIo, read: Reader) -> list[Setting]:
    if block_io.leaf_weight:
        _refuse("blockIO.leafWeight")
    # BFQ takes version 1's weights; the cost model that came before it in the file does not.
    has_bfq = read("io", "io.bfq.weight") is not None
    file, converted = ("io.bfq.weight", int) if has_bfq else ("io.weight", io_weight)
    found = []
    if block_io.weight:
        weight = converted(block_io.weight)
        found.append(Setting("blockIO.weight", "io", file, weight, is_entry=True))
    for entry in block_io.weight_device:
        if entry.leaf_weight:
            _refuse("blockIO.weightDevice.leafWeight")
        if entry.weight:
            value = f"{entry.major}:{entry.minor} {converted(entry.weight)}"
            found.append(Setting("blockIO.weightDevice", "io", file, value, is_entry=True))
    for field, word, throttles in (
        ("throttleReadBpsDevice", "rbps", block_io.throttle_read_bps_device),
        ("throttleWriteBpsDevice", "wbps", block_io.throttle_write_bps_device),
        ("throttleReadIOPSDevice", "riops", block_io.throttle_read_iops_device),
        ("throttleWriteIOPSDevice", "wiops", block_io.throttle_write_iops_device),
    ):
        for throttle in throttles:
            value = f"{throttle.major}:{throttle.minor} {word}={throttle.rate or 'max'}"
            found.append(Setting(f"blockIO.{field}", "io", "io.max", value, is_entry=True))
    return found


def _refuse_network(network: Network) -> None:
    if network.class_id:
        _refuse("network.classID")
    if network.priorities:
        _refuse("network.priorities")


def _refuse(field: str) -> NoReturn:
    raise ContainerError(f"linux.resources.{field}: cgroup version 2 has nothing like it.")


def _or_max(limit: int) -> str:
    return "max" if limit < 0 else str(limit)


def _number(text: str | None) -> int | None:
    return int(text) if text and text != "max" else None


def _word(text: str | None) -> str:
    return text.split()[0] if text else "max"


def weight(shares: int) -> int:
    """cpu.weight, 1 to 10000, for version 1's cpu.shares, 2 to 262144.

    A curve through both ends and both defaults, 1024 shares and a weight of 100, as runc and crun
    have it since 2025: 10 to the power of (l² + 125 l) / 612 − 7 / 34, where l = log₂ shares.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """io.weight, 1 to 10000, for version 1's blkio.weight, 10 to 1000."""
    return 1 + (max(weight, 10) - 10) * 9999 // 990
