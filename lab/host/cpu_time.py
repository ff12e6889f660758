"""CPU time beside wall time: what a worker, its instances and all who help them have used.

Wall time holds what the host did besides; CPU time mostly does not. Where the two disagree about a
difference, the wall was noise or the difference is waiting.
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
    """CPU time so far, in nanoseconds, of this process, its descendants and those given.

    With what their ended children used, which is known to 10 ms outside of this process, and of
    those that nobody waited for not at all. Only differences mean something. (getrusage(2))
    """
    found = (background_load.descendants(os.getpid()) | set(pids)) - {os.getpid()}
    ours = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return (
        int(ours * 1e9)
        + process_usage.activity(found).cpu_ns
        + sum(_of_ended_children_ns(pid) for pid in found)
    )


def _of_ended_children_ns(pid: int) -> int:
    """What the children used that the process waited for. (proc_pid_stat(5), cutime and cstime)"""
    try:
        fields = proc.stat(pid)
    except OSError:
        return 0
    ticks = int(fields[proc.CHILDREN_USER_TICKS]) + int(fields[proc.CHILDREN_SYSTEM_TICKS])
    return ticks * _TICK_NS
