"""CPU time of a worker, its instances and their helper processes, to stand beside wall time.

Wall time includes other work of the host; CPU time mostly does not. Where the two disagree about a
difference, the difference is noise or waiting.
"""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from lab.host import background_load, process_usage
from runtime.linux import proc

if TYPE_CHECKING:
    from collections.abc import Iterable


_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def used_ns(pids: Iterable[int] = ()) -> int:
    """Return the CPU time so far, in nanoseconds, of this process, its descendants and `pids`.

    The time of their ended children is included: to 10 ms for children of other processes, and not
    at all for children that no process waited for. Only differences are meaningful. (getrusage(2))
    """
    others = (background_load.descendants(os.getpid()) | set(pids)) - {os.getpid()}
    ours = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return (
        int(ours * 1e9)
        + process_usage.activity(others).cpu_ns
        + sum(_of_ended_children_ns(pid) for pid in others)
    )


def _of_ended_children_ns(pid: int) -> int:
    """Return the CPU time of the children that a process waited for. (proc_pid_stat(5): cutime)"""
    try:
        fields = proc.stat(pid)
    except OSError:
        return 0
    ticks = int(fields[proc.CHILDREN_USER_TICKS]) + int(fields[proc.CHILDREN_SYSTEM_TICKS])
    return ticks * _TICK_NS
