"""Which limits of the host are near: what a filling uses up, and how much of it there is."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from runtime.linux import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_NEAR = 0.95
_MOST_CGROUPS = (1 << 16) - 1  # linux/memcontrol.h, MEM_CGROUP_ID_MAX
_UNLIMITED_BYTES = 1 << 60  # version 1 says a little less than 2 ** 63
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
    """Something of which there is so much, and of which so much is in use."""

    name: str
    used: float
    most: float

    @property
    def share(self) -> float:
        """How much of it is used, from 0 to 1."""
        return self.used / self.most if self.most else 0.0


def met(disk: Path, margin: float = _NEAR) -> str:
    """The limit of which hardly anything is left, by name and figures; empty if there is none.

    `disk` is where instances write.
    """
    nearest = max(_limits(disk), key=lambda limit: limit.share)
    if nearest.share < margin:
        return ""
    return f"{nearest.name}: {nearest.used:,.0f} of {nearest.most:,.0f}"


def memory(floor_bytes: int) -> str:
    """The host's memory by figures if no more than the floor is available; empty if there is."""
    available = available_memory_bytes()
    if available >= floor_bytes:
        return ""
    return f"memory: {available >> 20:,} MiB available, memory floor of {floor_bytes >> 20:,} MiB"


def available_memory_bytes() -> int:
    """Return the host's MemAvailable. Raise LabError. (proc_meminfo(5))"""
    available = proc.meminfo().get("MemAvailable")
    if available is None:
        raise LabError("/proc/meminfo has no MemAvailable: this kernel is too old to measure on.")
    return available


def descriptors(margin: float) -> bool:
    """Return True if more than that share of this process's descriptors is in use."""
    own = len(list((_PROC / "self/fd").iterdir()))
    return _ulimit("", own, resource.RLIMIT_NOFILE).share > margin


def of_failure(reason: str) -> str:
    """The limit that the reason of a failed start names; empty if it names none. (errno(3))"""
    said = reason.lower()  # within a sentence, some begin it in lower case
    return next(
        (limit for code, limit in _BY_ERRNO.items() if os.strerror(code).lower() in said), ""
    )


def _limits(disk: Path) -> Iterator[Limit]:
    """proc(5), sysctl(8), namespaces(7), getrlimit(2), statvfs(3)"""
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
    """What this process's own pids cgroup allows, where one is."""
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
    """Those of the whole host; one that was removed counts while pages are charged to it."""
    for line in (_PROC / "cgroups").read_text().splitlines():
        name, _, number, *_ = line.split()
        if name == "memory":
            yield Limit("memory cgroups, removed ones included", float(number), _MOST_CGROUPS)


def _cgroup_memory() -> Iterator[Limit]:
    """What this process's own memory cgroup allows; files that it can drop don't count."""
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
    """How many different ones the host's processes are in."""
    found = set()
    for process in _PROC.iterdir():
        if process.name.isdigit():
            try:
                found.add(os.stat(process / "ns" / kind).st_ino)  # noqa: PTH116 - thousands of them
            except OSError:
                continue
    return len(found)


def _number(name: str) -> float:
    return float((_PROC / name).read_text())


def _words(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").split()
