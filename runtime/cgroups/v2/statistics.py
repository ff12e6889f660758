"""Usage of a cgroup of version 2, in the format of `runc events --stats`.

Times are nanoseconds, sizes bytes; swap includes memory, as in version 1.
(Documentation/admin-guide/cgroup-v2.rst)
"""

from __future__ import annotations

import os

from runtime.cgroups import files
from runtime.cgroups.values import number, pairs, rdma
from runtime.linux import cpu_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_US = 1000
_MOST = (1 << 64) - 1
_BLOCK_IO = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
}


def read(directory: str) -> dict[str, Any]:
    """Return the usage, by the files that the cgroup has."""
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries}
    usage = {"cpu": _cpu(directory), "pids": _pids(directory, names)}
    for file, key, part in (
        ("cpuset.cpus.effective", "cpuset", _cpuset),
        ("memory.current", "memory", _memory),
        ("io.stat", "blkio", _block_io),
        ("rdma.current", "rdma", rdma),
    ):
        if file in names:
            usage[key] = part(directory)
    if any(name.startswith("hugetlb.") for name in names):
        usage["hugetlb"] = _hugepages(directory, names)
    for key, file in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"),
                      ("blkio", "io.pressure")):  # fmt: skip
        if key in usage and (fields := _pressure(f"{directory}/{file}")):
            usage[key]["psi"] = fields
    return usage


def _cpu(directory: str) -> dict[str, Any]:
    fields = pairs(f"{directory}/cpu.stat")
    return {
        "usage": {
            "total": fields.get("usage_usec", 0) * _US,
            "kernel": fields.get("system_usec", 0) * _US,
            "user": fields.get("user_usec", 0) * _US,
        },
        "throttling": {
            "periods": fields.get("nr_periods", 0),
            "throttledPeriods": fields.get("nr_throttled", 0),
            "throttledTime": fields.get("throttled_usec", 0) * _US,
        },
    }


def _pids(directory: str, names: set[str]) -> dict[str, int]:
    """Return the number of tasks, or of processes if no controller counts tasks."""
    if "pids.current" not in names:
        return {"current": len(files.read(f"{directory}/cgroup.procs").split())}
    usage = {"current": number(f"{directory}/pids.current")}
    limit = number(f"{directory}/pids.max")
    if limit != _MOST:
        usage["limit"] = limit
    return usage


def _cpuset(directory: str) -> dict[str, Any]:
    return {
        key: cpu_list.parse(files.read(f"{directory}/cpuset.{key}.effective"))
        for key in ("cpus", "mems")
    }


def _memory(directory: str) -> dict[str, Any]:
    raw = pairs(f"{directory}/memory.stat")
    events = pairs(f"{directory}/memory.events")
    usage = {
        "limit": number(f"{directory}/memory.max"),
        "usage": number(f"{directory}/memory.current"),
        "max": number(f"{directory}/memory.peak"),
        "failcnt": events.get("max", 0),
    }
    swap = number(f"{directory}/memory.swap.max")
    return {
        "cache": raw.get("file", 0),
        "usage": usage,
        "swap": {
            "limit": min(swap + usage["limit"], _MOST),
            "usage": number(f"{directory}/memory.swap.current") + usage["usage"],
            "failcnt": pairs(f"{directory}/memory.swap.events").get("max", 0),
        },
        "raw": raw,
    }


def _block_io(directory: str) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    for line in files.read(f"{directory}/io.stat").splitlines():
        device, *words = line.split()
        numbers = device.split(":")
        for word in words:
            name, _, value = word.partition("=")
            if name in _BLOCK_IO and len(numbers) == 2:
                key, operation = _BLOCK_IO[name]
                usage.setdefault(key, []).append({
                    "major": int(numbers[0]), "minor": int(numbers[1]),
                    "op": operation, "value": int(value),
                })  # fmt: skip
    return usage


def _hugepages(directory: str, names: set[str]) -> dict[str, Any]:
    usage = {}
    for name in sorted(names):
        words = name.split(".")
        if words[0] == "hugetlb" and words[2:] == ["current"]:
            reserved = ".rsvd" if f"hugetlb.{words[1]}.rsvd.current" in names else ""
            usage[words[1]] = {
                "usage": number(f"{directory}/hugetlb.{words[1]}{reserved}.current"),
                "failcnt": pairs(f"{directory}/hugetlb.{words[1]}.events").get("max", 0),
            }
    return usage


def _pressure(path: str) -> dict[str, Any] | None:
    """Return pressure stall information, or None. (Documentation/accounting/psi.rst)"""
    try:
        lines = files.read(path).splitlines()
    except OSError:
        return None  # the kernel has no such file, or it was disabled at boot
    usage = {}
    for line in lines:
        kind, *words = line.split()
        fields = dict(word.split("=") for word in words)
        total = int(fields.pop("total"))
        usage[kind] = {**{name: float(value) for name, value in fields.items()}, "total": total}
    return usage
