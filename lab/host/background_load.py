"""The CPU time of all processes that do not belong to this measurement."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.host import processes
from runtime.linux import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_KTHREADD = 2  # the parent of all kernel threads


class CpuSeconds(NamedTuple):
    """CPU time of a process since its start, and of the ended children that it waited for."""

    own: float
    ended: float


Reading = dict[tuple[int, int], CpuSeconds]  # by pid and start time


@dataclass(frozen=True, slots=True)
class _Process:
    """One process at one instant; pids are reused, but a pid and a start time are unique."""

    pid: int
    parent: int
    start: int
    used: CpuSeconds


@dataclass
class BackgroundLoad:
    """The processes that do not belong to this measurement, and their CPU time.

    The measurement's own processes are the descendants of `lab`, and of every process with
    `scratch` in its command line: daemons and machines that have left their parents. Kernel threads
    count as neither.
    """

    lab: int
    scratch: Path
    _named: dict[tuple[int, int], bool] = field(default_factory=dict)

    def read(self) -> Reading:
        """Return the CPU time of each foreign process so far."""
        by_pid = {process.pid: process for process in _all()}
        self._named = {
            key: self._named.get(key) or self._names_scratch(process.pid)
            for process in by_pid.values()
            if (key := (process.pid, process.start))
        }
        ours = {self.lab} | {pid for (pid, _), named in self._named.items() if named}
        return {
            (process.pid, process.start): process.used
            for process in by_pid.values()
            if not _descends(process, ours | {_KTHREADD}, by_pid)
        }

    def _names_scratch(self, pid: int) -> bool:
        return os.fsencode(self.scratch) in processes.command_line(pid)


def descendants(pid: int) -> set[int]:
    """Return the pids of a process and of all its descendants."""
    by_pid = {process.pid: process for process in _all()}
    return {each.pid for each in by_pid.values() if _descends(each, {pid}, by_pid)}


def used_between(before: Reading, after: Reading) -> float:
    """Return the CPU seconds used between two readings.

    The time that an ended process used before the first reading is not counted again as its
    parent's. A process that started and ended in between is counted if its parent waited for it and
    still runs.
    """
    nothing = CpuSeconds(0.0, 0.0)
    own = sum(used.own - before.get(key, nothing).own for key, used in after.items())
    ended = sum(used.ended - before.get(key, nothing).ended for key, used in after.items())
    known = sum(sum(used) for key, used in before.items() if key not in after)
    return own + max(0.0, ended - known)


def _descends(process: _Process, roots: set[int], by_pid: dict[int, _Process]) -> bool:
    """Return True if a process is a root or a descendant of a root."""
    pid = process.pid
    while pid not in roots:
        if pid not in by_pid:
            return False
        pid = by_pid[pid].parent
    return True


def _all() -> Iterator[_Process]:
    for pid in processes.all_pids():
        try:
            fields = proc.stat(pid)
        except OSError:
            continue  # it has ended
        user, system, ended_user, ended_system = (
            int(ticks) for ticks in fields[proc.USER_TICKS : proc.CHILDREN_SYSTEM_TICKS + 1]
        )
        used = CpuSeconds(
            (user + system) / _TICKS_A_SECOND, (ended_user + ended_system) / _TICKS_A_SECOND
        )
        yield _Process(pid, int(fields[proc.PARENT]), int(fields[proc.START_TICKS]), used)
