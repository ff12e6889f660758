"""Limits of the host that a filling may reach: how much is used, and how much there is."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import Unavailable
from runtime.linux import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_NEAR = 0.95
_MAX_CGROUPS = (1 << 16) - 1  # linux/memcontrol.h, MEM_CGROUP_ID_MAX
_UNLIMITED_BYTES = 1 << 60  # version 1 reports a little less than 2 ** 63 for "no limit"
_BY_ERRNO = {
    errno.EMFILE: "file descriptors (ulimit -n)",
    errno.ENFILE: "open files (fs.file-max)",
    errno.EAGAIN: "processes (ulimit -u, pids.max or kernel.pid_max)",
    errno.ENOMEM: "memory",
    errno.ENOSPC: "disk, memory cgroups, or namespaces (user.max_*_namespaces)",
    errno.EUSERS: "nested namespaces",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limited resource: the amount in use, and the maximum."""

    name: str
    used: float
    most: float

    @property
    def share(self) -> float:
        """The share that is in use, from 0 to 1."""
        return self.used / self.most if self.most else 0.0


def met(disk: Path, margin: float = _NEAR) -> str:
    """Return the limit that is nearly reached, with its figures; empty if there is none.

    `disk` is a directory on the disk that instances write to.
    """
    nearest = max(_limits(disk), key=lambda limit: limit.share)
    if nearest.share < margin:
        return ""
    return f"{nearest.name}: {nearest.used:,.0f} of {nearest.most:,.0f}"


def memory(floor_bytes: int) -> str:
    """Return the memory limit with its figures if less than the floor is available, or empty."""
    available = available_memory_bytes()
    if available >= floor_bytes:
        return ""
    return f"memory: {available >> 20:,} MiB available, memory floor of {floor_bytes >> 20:,} MiB"


def available_memory_bytes() -> int:
    """Return the host's MemAvailable. Raise Unavailable. (proc_meminfo(5))"""
    available = proc.meminfo().get("MemAvailable")
    if available is None:
        raise Unavailable("/proc/meminfo has no MemAvailable: density needs Linux 3.14 or later.")
    return available


def descriptors(margin: float) -> bool:
    """Return True if more than this share of the process's file descriptors is in use."""
    own = len(list((_PROC / "self/fd").iterdir()))
    return _ulimit("", own, resource.RLIMIT_NOFILE).share > margin


def of_failure(reason: str) -> str:
    """Return the limit that the reason of a failed start points to; else empty. (errno(3))"""
    text = reason.lower()  # some programs write the first letter of strerror(3) in lower case
    return next(
        (limit for code, limit in _BY_ERRNO.items() if os.strerror(code).lower() in text), ""
    )


def _limits(disk: Path) -> Iterator[Limit]:
    """Yield all limits. (proc(5), sysctl(8), namespaces(7), getrlimit(2), statvfs(3))"""
    tasks = float(proc.loadavg()[3].partition(b"/")[2])
    yield Limit("process ids (kernel.pid_max)", tasks, _number("sys/kernel/pid_max"))
    yield Limit("threads (kernel.threads-max)", tasks, _number("sys/kernel/threads-max"))
    in_use, _, most = map(float, _words("/proc/sys/fs/file-nr"))
    yield Limit("open files (fs.file-max)", in_use, most)
    own = len(list((_PROC / "self/fd").iterdir()))
    yield _ulimit("file descriptors (ulimit -n)", own, resource.RLIMIT_NOFILE)
    yield Limit(
        "network namespaces (user.max_net_namespaces)",
        _namespaces("net"),
        _number("sys/user/max_net_namespaces"),
    )
    yield from _memory_cgroups()
    yield from _cgroup_pids()
    yield from _cgroup_memory()
    status = os.statvfs(disk)
    yield Limit("disk (bytes)", (status.f_blocks - status.f_bavail) * status.f_frsize,
                status.f_blocks * status.f_frsize)  # fmt: skip
    if status.f_files:
        yield Limit("disk (inodes)", status.f_files - status.f_favail, status.f_files)


def _ulimit(name: str, used: float, which: int) -> Limit:
    most, _ = resource.getrlimit(which)
    return Limit(name, used, float("inf") if most == resource.RLIM_INFINITY else most)


def _cgroup_pids() -> Iterator[Limit]:
    """Yield the limit of this process's own pids cgroup, if there is one."""
    for line in (_PROC / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        directory = Path("/sys/fs/cgroup", controllers and "pids", path.lstrip("/"))
        if controllers not in {"", "pids"} or not (directory / "pids.max").exists():
            continue
        most = (directory / "pids.max").read_text().strip()
        if most != "max":
            used = float((directory / "pids.current").read_text())
            yield Limit("processes (pids.max of the lab's own cgroup)", used, float(most))


def _memory_cgroups() -> Iterator[Limit]:
    """Yield the host's limit on memory cgroups; removed ones count while pages are charged."""
    for line in (_PROC / "cgroups").read_text().splitlines():
        name, _, number, *_ = line.split()
        if name == "memory":
            yield Limit("memory cgroups, removed ones included", float(number), _MAX_CGROUPS)


def _cgroup_memory() -> Iterator[Limit]:
    """Yield the limit of this process's own memory cgroup; reclaimable file pages don't count."""
    for line in (_PROC / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        named = "memory" in controllers.split(",")
        directory = Path("/sys/fs/cgroup", "memory" if named else "", path.lstrip("/"))
        files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if named
            else ("memory.max", "memory.current", "inactive_file")
        )
        if not (named or not controllers) or not (directory / files[0]).exists():
            continue
        most = (directory / files[0]).read_text().strip()
        if most == "max" or int(most) >= _UNLIMITED_BYTES:
            continue
        stat = dict(each.split() for each in (directory / "memory.stat").read_text().splitlines())
        used = int((directory / files[1]).read_text()) - int(stat.get(files[2], 0))
        yield Limit("memory of the lab's own cgroup (bytes)", used, float(most))


def _namespaces(kind: str) -> int:
    """Return how many different namespaces the host's processes are in."""
    inodes = set()
    for process in _PROC.iterdir():
        if process.name.isdigit():
            try:
                inodes.add(os.stat(process / "ns" / kind).st_ino)  # noqa: PTH116
            except OSError:
                continue
    return len(inodes)


def _number(name: str) -> float:
    return float((_PROC / name).read_text())


def _words(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").split()
