"""Memory, CPU time and wake-ups of processes, as the kernel accounts them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.linux import proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: RSS counts every page fully, PSS divides shared pages among their users. (proc(5))"""

    rss: int
    pss: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Totals since the processes' start: time on a CPU, and voluntary context switches."""

    cpu_ns: int
    waits: int


def memory(pids: Iterable[int]) -> Memory:
    """Return the memory of all processes together; an ended process counts as zero."""
    fields = [_fields(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    return Memory(*(sum(each.get(name, 0) for each in fields) * 1024 for name in ("Rss", "Pss")))


def activity(pids: Iterable[int]) -> Activity:
    """Return the activity of all threads of the processes. (Linux, scheduler/sched-stats.rst)"""
    cpu_ns = waits = 0
    for thread in _threads(pids):
        with contextlib.suppress(OSError):
            cpu_ns += int((thread / "schedstat").read_text().split()[0])
            waits += _fields(thread / "status").get("voluntary_ctxt_switches", 0)
    return Activity(cpu_ns, waits)


def cgroup_memory_bytes(pid: int) -> int | None:
    """Return the bytes charged to the process's memory cgroup, kernel memory included.

    None if there is no such cgroup, or if this process is in it as well. (cgroups(7))
    """
    theirs, ours = _memory_cgroup(pid), _memory_cgroup("self")
    if theirs is None or theirs == ours:
        return None
    for name in ("memory.current", "memory.usage_in_bytes"):
        with contextlib.suppress(OSError):
            return int((theirs / name).read_text())
    return None


def members_of_cgroup(pid: int) -> list[int]:
    """Return the processes in a process's memory cgroup; only itself if it has none of its own.

    Empty if the process has ended.
    """
    try:
        theirs, ours = _memory_cgroup(pid), _memory_cgroup("self")
        if theirs is None or theirs == ours:
            return [pid]
        return [int(member) for member in (theirs / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _memory_cgroup(pid: int | str) -> Path | None:
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _CGROUPS / "memory" / path.lstrip("/")
        if number == "0" and (_CGROUPS / "cgroup.controllers").exists():
            return _CGROUPS / path.lstrip("/")
    return None


def _threads(pids: Iterable[int]) -> Iterator[Path]:
    for pid in pids:
        with contextlib.suppress(OSError):
            yield from Path(f"/proc/{pid}/task").iterdir()


def _fields(path: Path) -> dict[str, int]:
    """Return the `name: number` lines of a file; none if the process has ended."""
    try:
        words = {name: value.split() for name, value in proc.fields(str(path)).items()}
    except OSError:
        return {}
    return {name: int(value[0]) for name, value in words.items() if value and value[0].isdigit()}
