"""Limits as settings of version 2, converted from version 1 where the specification uses those.

Limits that can't be converted are refused, as the specification demands. (OCI config-linux.md,
"Unified"; Documentation/admin-guide/cgroup-v2.rst)
"""

from __future__ import annotations

import math

from runtime.cgroups import limits
from runtime.cgroups.settings import Setting
from runtime.errors import InvalidConfig, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from runtime.cgroups.settings import Reader
    from runtime.spec.config import BlockIo, Cpu, Memory, Network, Resources


def settings(resources: Resources, read: Reader) -> list[Setting]:
    """Return the settings for all limits but the device rules. Raise ContainerError.

    `read` returns the present text of a file of the cgroup, which completes a limit that is given
    in part.
    """
    limits.check(resources)
    entries: list[Setting] = []
    if resources.memory is not None:
        entries += _memory(resources.memory, read)
    if resources.cpu is not None:
        entries += _cpu(resources.cpu, read)
    if resources.pids is not None and resources.pids.limit is not None:
        entries.append(Setting("pids.limit", "pids", "pids.max", limits.pids(resources.pids.limit)))
    if resources.block_io is not None:
        entries += _block_io(resources.block_io, read)
    for limit in resources.hugepage_limits:
        entries += limits.hugepages(limit, "max")
    if resources.network is not None:
        _refuse_network(resources.network)
    for name, entry in resources.rdma.items():
        value = limits.rdma(name, entry)
        entries.append(Setting(f"rdma.{name}", "rdma", "rdma.max", value, is_entry=True))
    for key, text in resources.unified.items():
        controller = key.partition(".")[0]
        for line in text.splitlines() or [""]:
            entries.append(Setting(f"unified.{key}", controller, key, line, is_entry=True))
    return entries


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
    entries = []
    swap = _swap(memory, read)
    if swap is not None:
        # Without swap accounting in the kernel there is no such file: then swap is unlimited or, if
        # the host has none, zero anyway.
        is_optional = swap in {"0", "max"}
        entries.append(
            Setting("memory.swap", "memory", "memory.swap.max", swap, is_optional=is_optional)
        )
    if memory.limit:
        entries.append(Setting("memory.limit", "memory", "memory.max", _or_max(memory.limit)))
    if memory.reservation:
        value = _or_max(memory.reservation)
        entries.append(Setting("memory.reservation", "memory", "memory.low", value))
    return entries


def _swap(memory: Memory, read: Reader) -> str | None:
    """Return the limit of swap alone; the specification has the sum of memory and swap."""
    if not memory.swap:
        return "max" if memory.limit == -1 else None
    if memory.swap == -1:
        return "max"
    if memory.limit == -1:
        return str(memory.swap)
    limit = memory.limit or _number(read("memory", "memory.max"))
    if limit is None:
        raise InvalidConfig(
            "linux.resources.memory.swap is the sum of memory and swap: set memory.limit too."
        )
    if limit > memory.swap:
        raise InvalidConfig(
            f"linux.resources.memory.swap: {memory.swap} is less than memory.limit, {limit}, but"
            " must include it."
        )
    return str(memory.swap - limit)


def _cpu(cpu: Cpu, read: Reader) -> list[Setting]:
    for field, value in (
        ("realtimeRuntime", cpu.realtime_runtime),
        ("realtimePeriod", cpu.realtime_period),
    ):
        if value:
            _refuse(f"cpu.{field}")
    entries = []
    if cpu.shares:
        entries.append(Setting("cpu.shares", "cpu", "cpu.weight", weight(cpu.shares)))
    if cpu.idle is not None:
        entries.append(Setting("cpu.idle", "cpu", "cpu.idle", cpu.idle, is_optional=cpu.idle == 0))
    if cpu.quota or cpu.period:
        quota = _or_max(cpu.quota) if cpu.quota else _word(read("cpu", "cpu.max"))
        field = "cpu.quota" if cpu.quota else "cpu.period"
        bandwidth = f"{quota} {cpu.period}" if cpu.period else quota
        entries.append(Setting(field, "cpu", "cpu.max", bandwidth))
    if cpu.burst is not None:
        entries.append(Setting(
            "cpu.burst", "cpu", "cpu.max.burst", cpu.burst, is_optional=cpu.burst == 0,
        ))  # fmt: skip
    if cpu.cpus:
        entries.append(Setting("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus))
    if cpu.mems:
        entries.append(Setting("cpu.mems", "cpuset", "cpuset.mems", cpu.mems))
    return entries


def _block_io(block_io: BlockIo, read: Reader) -> list[Setting]:
    if block_io.leaf_weight:
        _refuse("blockIO.leafWeight")
    # BFQ takes the weights of version 1; io.weight, of the older cost model, has its own range.
    has_bfq = read("io", "io.bfq.weight") is not None
    file, converted = ("io.bfq.weight", int) if has_bfq else ("io.weight", io_weight)
    entries = []
    if block_io.weight:
        weight = converted(block_io.weight)
        entries.append(Setting("blockIO.weight", "io", file, weight, is_entry=True))
    for entry in block_io.weight_device:
        if entry.leaf_weight:
            _refuse("blockIO.weightDevice.leafWeight")
        if entry.weight:
            value = f"{entry.major}:{entry.minor} {converted(entry.weight)}"
            entries.append(Setting("blockIO.weightDevice", "io", file, value, is_entry=True))
    for field, word, throttles in (
        ("throttleReadBpsDevice", "rbps", block_io.throttle_read_bps_device),
        ("throttleWriteBpsDevice", "wbps", block_io.throttle_write_bps_device),
        ("throttleReadIOPSDevice", "riops", block_io.throttle_read_iops_device),
        ("throttleWriteIOPSDevice", "wiops", block_io.throttle_write_iops_device),
    ):
        for throttle in throttles:
            value = f"{throttle.major}:{throttle.minor} {word}={throttle.rate or 'max'}"
            entries.append(Setting(f"blockIO.{field}", "io", "io.max", value, is_entry=True))
    return entries


def _refuse_network(network: Network) -> None:
    if network.class_id:
        _refuse("network.classID")
    if network.priorities:
        _refuse("network.priorities")


def _refuse(field: str) -> NoReturn:
    raise Unavailable(f"linux.resources.{field}: cgroup version 2 has no such limit: remove it.")


def _or_max(limit: int) -> str:
    return "max" if limit < 0 else str(limit)


def _number(text: str | None) -> int | None:
    return int(text) if text and text != "max" else None


def _word(text: str | None) -> str:
    return text.split()[0] if text else "max"


def weight(shares: int) -> int:
    """Return cpu.weight, 1 to 10000, for version 1's cpu.shares, 2 to 262144.

    The curve goes through both ends and both defaults, 1024 shares and a weight of 100. runc and
    crun use it since 2025: 10 to the power of (l² + 125 l) / 612 − 7 / 34, where l = log₂ shares.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def io_weight(weight: int) -> int:
    """Return io.weight, 1 to 10000, for version 1's blkio.weight, 10 to 1000."""
    return 1 + (max(weight, 10) - 10) * 9999 // 990
