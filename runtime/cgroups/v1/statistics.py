"""Usage of a cgroup of version 1, in the format of `runc events --stats`.

Times are nanoseconds, sizes bytes. (Documentation/admin-guide/cgroup-v1)
"""

from __future__ import annotations

import os

from runtime.cgroups import files
from runtime.cgroups.values import number, pairs, rdma, text
from runtime.linux import cpu_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# The files for each key; the first that the kernel has is used.
_BLOCK_IO = {
    "ioServiceBytesRecursive": (
        "bfq.io_service_bytes_recursive", "throttle.io_service_bytes_recursive",
        "throttle.io_service_bytes",
    ),
    "ioServicedRecursive": (
        "bfq.io_serviced_recursive", "throttle.io_serviced_recursive", "throttle.io_serviced",
    ),
    "ioQueueRecursive": ("bfq.io_queued_recursive", "io_queued_recursive"),
    "ioServiceTimeRecursive": ("bfq.io_service_time_recursive", "io_service_time_recursive"),
    "ioWaitTimeRecursive": ("bfq.io_wait_time_recursive", "io_wait_time_recursive"),
    "ioMergedRecursive": ("bfq.io_merged_recursive", "io_merged_recursive"),
    "ioTimeRecursive": ("bfq.time_recursive", "time_recursive"),
    "sectorsRecursive": ("bfq.sectors_recursive", "sectors_recursive"),
}  # fmt: skip
_CPUSET = (
    "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
    "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
)  # fmt: skip


def read(by_controller: dict[str, str]) -> dict[str, Any]:
    """Return the usage, by the directories of the controllers."""
    document: dict[str, Any] = {}
    if "cpu" in by_controller or "cpuacct" in by_controller:
        document["cpu"] = _cpu(by_controller)
    for controller, key, part in (
        ("cpuset", "cpuset", _cpuset),
        ("memory", "memory", _memory),
        ("pids", "pids", _pids),
        ("blkio", "blkio", _block_io),
        ("hugetlb", "hugetlb", _hugepages),
        ("rdma", "rdma", rdma),
    ):
        if controller in by_controller:
            document[key] = part(by_controller[controller])
    return document


def _cpu(by_controller: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if directory := by_controller.get("cpuacct"):
        usage: dict[str, Any] = {
            "total": number(f"{directory}/cpuacct.usage"),
            "percpu": [int(word) for word in text(f"{directory}/cpuacct.usage_percpu").split()],
        }
        table = [line.split() for line in text(f"{directory}/cpuacct.usage_all").splitlines()[1:]]
        usage["percpu_kernel"] = [int(words[2]) for words in table]
        usage["percpu_user"] = [int(words[1]) for words in table]
        ticks = pairs(f"{directory}/cpuacct.stat")
        usage["kernel"] = ticks.get("system", 0) * _TICK_NS
        usage["user"] = ticks.get("user", 0) * _TICK_NS
        document["usage"] = usage
    if directory := by_controller.get("cpu"):
        statistics = pairs(f"{directory}/cpu.stat")
        document["throttling"] = {
            "periods": statistics.get("nr_periods", 0),
            "throttledPeriods": statistics.get("nr_throttled", 0),
            "throttledTime": statistics.get("throttled_time", 0),
        }
    return document


def _cpuset(directory: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "cpus": cpu_list.parse(text(f"{directory}/cpuset.cpus")),
        "mems": cpu_list.parse(text(f"{directory}/cpuset.mems")),
    }
    document.update((name, number(f"{directory}/cpuset.{name}")) for name in _CPUSET)
    return document


def _memory(directory: str) -> dict[str, Any]:
    raw = pairs(f"{directory}/memory.stat")
    return {
        "cache": raw.get("cache", 0),
        "usage": _counter(f"{directory}/memory."),
        "swap": _counter(f"{directory}/memory.memsw."),
        "kernel": _counter(f"{directory}/memory.kmem."),
        "kernelTCP": _counter(f"{directory}/memory.kmem.tcp."),
        "raw": raw,
    }


def _counter(prefix: str) -> dict[str, int]:
    return {
        "limit": number(f"{prefix}limit_in_bytes"),
        "usage": number(f"{prefix}usage_in_bytes"),
        "max": number(f"{prefix}max_usage_in_bytes"),
        "failcnt": number(f"{prefix}failcnt"),
    }


def _pids(directory: str) -> dict[str, int]:
    limit = text(f"{directory}/pids.max")
    document = {"current": number(f"{directory}/pids.current")}
    if limit.isdigit():
        document["limit"] = int(limit)
    return document


def _block_io(directory: str) -> dict[str, Any]:
    document = {}
    for key, names in _BLOCK_IO.items():
        candidates = (files.read_if_there(f"{directory}/blkio.{name}") for name in names)
        entries = next((_entries(entry) for entry in candidates if entry is not None), [])
        if entries:
            document[key] = entries
    return document


def _entries(table: str) -> list[dict[str, Any]]:
    """Return the lines of a table, such as `8:0 Read 1282048`, without the sum of all devices."""
    document = []
    for line in table.splitlines():
        words = line.split()
        if ":" in words[0]:
            major, minor = words[0].split(":")
            entry: dict[str, Any] = {"major": int(major), "minor": int(minor)}
            if len(words) > 2:
                entry["op"] = words[1]
            document.append({**entry, "value": int(words[-1])})
    return document


def _hugepages(directory: str) -> dict[str, Any]:
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries}
    document = {}
    for name in sorted(names):
        words = name.split(".")
        if words[0] == "hugetlb" and words[2:] == ["usage_in_bytes"]:
            reserved = ".rsvd" if f"hugetlb.{words[1]}.rsvd.usage_in_bytes" in names else ""
            prefix = f"{directory}/hugetlb.{words[1]}{reserved}."
            document[words[1]] = {
                "usage": number(f"{prefix}usage_in_bytes"),
                "max": number(f"{prefix}max_usage_in_bytes"),
                "failcnt": number(f"{prefix}failcnt"),
            }
    return document
