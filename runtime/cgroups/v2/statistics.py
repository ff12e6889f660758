"""What a cgroup uses, from version 2's files, as `runc events --stats` tells it.

Times are nanoseconds, sizes bytes; swap is told with memory, as version 1 counts it.
(Documentation/admin-guide/cgroup-v2.rst)
"""

from __future__ import annotations

import os

from runtime.cgroups import files
from runtime.cgroups.v1.statistics import listed, number, pairs, rdma

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
    """The document, by the files that the cgroup has."""
    with os.scandir(directory) as entries:
        names = {entry.name for entry in entries}
    found = {"cpu": _cpu(directory), "pids": _pids(directory, names)}
    for file, key, part in (
        ("cpuset.cpus.effective", "cpuset", _cpuset),
        ("memory.current", "memory", _memory),
        ("io.stat", "blkio", _block_io),
        ("rdma.current", "rdma", rdma),
    ):
        if file in names:
            found[key] = part(directory)
    if any(name.startswith("hugetlb.") for name in names):
        found["hugetlb"] = _hugepages(directory, names)
    for key, file in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"),
                      ("blkio", "io.pressure")):  # fmt: skip
        if key in found and (told := _pressure(f"{directory}/{file}")):
            found[key]["psi"] = told
    return found


def _cpu(directory: str) -> dict[str, Any]:
    told = pairs(f"{directory}/cpu.stat")
    return {
        "usage": {
            "total": told.get("usage_usec", 0) * _US,
            "kernel": told.get("system_usec", 0) * _US,
            "user": told.get("user_usec", 0) * _US,
        },
        "throttling": {
            "periods": told.get("nr_periods", 0),
            "throttledPeriods": told.get("nr_throttled", 0),
            "throttledTime": told.get("throttled_usec", 0) * _US,
        },
    }


def _pids(directory: str, names: set[str]) -> dict[str, int]:
    """Tasks; where no controller counts them, processes."""
    if "pids.current" not in names:
        return {"current": len(files.read(f"{directory}/cgroup.procs").split())}
    found = {"current": number(f"{directory}/pids.current")}
    limit = number(f"{directory}/pids.max")
    if limit != _MOST:
        found["limit"] = limit
    return found


def _cpuset(directory: str) -> dict[str, Any]:
    return {
        key: listed(files.read(f"{directory}/cpuset.{key}.effective")) for key in ("cpus", "mems")
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
    found: dict[str, Any] = {}
    for line in files.read(f"{directory}/io.stat").splitlines():
        device, *words = line.split()
        numbers = device.split(":")
        for word in words:
            name, _, value = word.partition("=")
            if name in _BLOCK_IO and len(numbers) == 2:
                key, operation = _BLOCK_IO[name]
                found.setdefault(key, []).append({
                    "major": int(numbers[0]), "minor": int(numbers[1]),
                    "op": operation, "value": int(value),
                })  # fmt: skip
    return found


def _hugepages(directory: str, names: set[str]) -> dict[str, Any]:
    found = {}
    for name in sorted(names):
        words = name.split(".")
        if words[0] == "hugetlb" and words[2:] == ["current"]:
            reserved = ".rsvd" if f"hugetlb.{words[1]}.rsvd.current" in names else ""
            found[words[1]] = {
                "usage": number(f"{directory}/hugetlb.{words[1]}{reserved}.current"),
                "failcnt": pairs(f"{directory}/hugetlb.{words[1]}.events").get("max", 0),
            }
    return found


def _pressure(path: str) -> dict[str, Any] | None:
    """Pressure stall information, where the kernel keeps it. (Documentation/accounting/psi.rst)"""
    try:
        lines = files.read(path).splitlines()
    except OSError:
        return None  # no such file, or it was switched off at boot
    found = {}
    for line in lines:
        kind, *words = line.split()
        told = dict(word.split("=") for word in words)
        total = int(told.pop("total"))
        found[kind] = {**{name: float(value) for name, value in told.items()}, "total": total}
    return found
