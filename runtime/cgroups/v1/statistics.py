"""What a cgroup uses, from version 1's files, as `runc events --stats` tells it.

Times are nanoseconds, sizes bytes. (Documentation/admin-guide/cgroup-v1)
"""

from __future__ import annotations

import os

from runtime.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# In the order in which they are tried: the first of each that a kernel has.
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
    """The document, by the directories of the controllers."""
    found: dict[str, Any] = {}
    if "cpu" in by_controller or "cpuacct" in by_controller:
        found["cpu"] = _cpu(by_controller)
    for controller, key, part in (
        ("cpuset", "cpuset", _cpuset),
        ("memory", "memory", _memory),
        ("pids", "pids", _pids),
        ("blkio", "blkio", _block_io),
        ("hugetlb", "hugetlb", _hugepages),
        ("rdma", "rdma", rdma),
    ):
        if controller in by_controller:
            found[key] = part(by_controller[controller])
    return found


def _cpu(by_controller: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if directory := by_controller.get("cpuacct"):
        usage: dict[str, Any] = {
            "total": number(f"{directory}/cpuacct.usage"),
            "percpu": [int(word) for word in _text(f"{directory}/cpuacct.usage_percpu").split()],
        }
        table = [line.split() for line in _text(f"{directory}/cpuacct.usage_all").splitlines()[1:]]
        usage["percpu_kernel"] = [int(words[2]) for words in table]
        usage["percpu_user"] = [int(words[1]) for words in table]
        ticks = pairs(f"{directory}/cpuacct.stat")
        usage["kernel"] = ticks.get("system", 0) * _TICK_NS
        usage["user"] = ticks.get("user", 0) * _TICK_NS
        found["usage"] = usage
    if directory := by_controller.get("cpu"):
        told = pairs(f"{directory}/cpu.stat")
        found["throttling"] = {
            "periods": told.get("nr_periods", 0),
            "throttledPeriods": told.get("nr_throttled", 0),
            "throttledTime": told.get("throttled_time", 0),
        }
    return found


def _cpuset(directory: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cpus": listed(_text(f"{directory}/cpuset.cpus")),
        "mems": listed(_text(f"{directory}/cpuset.mems")),
    }
    found.update((name, number(f"{directory}/cpuset.{name}")) for name in _CPUSET)
    return found


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
    limit = _text(f"{directory}/pids.max")
    found = {"current": number(f"{directory}/pids.current")}
    if limit.isdigit():
        found["limit"] = int(limit)
    return found


def _block_io(directory: str) -> dict[str, Any]:
    found = {}
    for key, names in _BLOCK_IO.items():
        texts = (files.read_if_there(f"{directory}/blkio.{name}") for name in names)
        entries = next((_entries(text) for text in texts if text is not None), [])
        if entries:
            found[key] = entries
    return found


def _entries(text: str) -> list[dict[str, Any]]:
    """Lines such as `8:0 Read 1282048`, without the sum of all devices."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if ":" in words[0]:
            major, minor = words[0].split(":")
            entry: dict[str, Any] = {"major": int(major), "minor": int(minor)}
            if len(words) > 2:
                entry["op"] = words[1]
            found.append({**entry, "value": int(words[-1])})
    return found


def _hugepages(directory: str) -> dict[str, Any]:
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries}
    found = {}
    for name in sorted(names):
        words = name.split(".")
        if words[0] == "hugetlb" and words[2:] == ["usage_in_bytes"]:
            reserved = ".rsvd" if f"hugetlb.{words[1]}.rsvd.usage_in_bytes" in names else ""
            prefix = f"{directory}/hugetlb.{words[1]}{reserved}."
            found[words[1]] = {
                "usage": number(f"{prefix}usage_in_bytes"),
                "max": number(f"{prefix}max_usage_in_bytes"),
                "failcnt": number(f"{prefix}failcnt"),
            }
    return found


def rdma(directory: str) -> dict[str, Any]:
    """What both versions tell of RDMA devices: {"current", "limit": [an entry a device]}."""
    found = {}
    for key, file in (("current", "rdma.current"), ("limit", "rdma.max")):
        entries = []
        for line in _text(f"{directory}/{file}").splitlines():
            device, *words = line.split()
            told = dict(word.split("=") for word in words)
            entries.append({
                "device": device,
                "hcaHandles": _or_most(told.get("hca_handle", "0"), 32),
                "hcaObjects": _or_most(told.get("hca_object", "0"), 32),
            })  # fmt: skip
        found[key] = entries
    return found


def number(path: str) -> int:
    """A file's number; 0 if there is no such file, and the largest if there is no limit."""
    return _or_most(_text(path) or "0", 64)


def pairs(path: str) -> dict[str, int]:
    """A file of names and numbers, a line each; empty if there is none."""
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}


def listed(text: str) -> list[int]:
    """The numbers of a list such as 0-3,7. (cpuset(7), "List format")"""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _or_most(text: str, bits: int) -> int:
    return (1 << bits) - 1 if text == "max" else int(text)


def _text(path: str) -> str:
    return files.read_if_there(path) or ""
