"""Whose processes use the CPU: those of this measurement, and everybody else's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.targets import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_KTHREADD = 2  # the parent of all kernel threads


@dataclass(frozen=True, slots=True)
class _Process:
    """One process at one time; pid and start tell it from a later one of the same pid."""

    pid: int
    parent: int
    start: int
    cpu_seconds: float


@dataclass
class Tenants:
    """The processes that are not of this measurement, and the CPU time that they have used.

    Of this measurement are the descendants of `lab` and of whatever names `scratch` in its command
    line: daemons and machines that have left their parents. Kernel threads are nobody's.
    """

    lab: int
    scratch: Path
    _named: dict[tuple[int, int], bool] = field(default_factory=dict)

    def cpu_seconds(self) -> dict[tuple[int, int], float]:
        """CPU seconds so far of each of the others, with those of its children that have ended."""
        found = {process.pid: process for process in _all()}
        self._named = {
            key: self._named.get(key) or self._names_scratch(process.pid)
            for process in found.values()
            if (key := (process.pid, process.start))
        }
        ours = {self.lab} | {pid for (pid, _), named in self._named.items() if named}
        return {
            (process.pid, process.start): process.cpu_seconds
            for process in found.values()
            if not _descends(process, ours | {_KTHREADD}, found)
        }

    def _names_scratch(self, pid: int) -> bool:
        return os.fsencode(self.scratch) in processes.command_line(pid)


def descendants(pid: int) -> set[int]:
    """A process and all that descend from it."""
    found = {process.pid: process for process in _all()}
    return {each.pid for each in found.values() if _descends(each, {pid}, found)}


def used_between(
    before: dict[tuple[int, int], float], after: dict[tuple[int, int], float]
) -> float:
    """CPU seconds used between two readings.

    What began and ended in between is seen if its parent waited for it and is still there.
    """
    return sum(seconds - before.get(key, 0.0) for key, seconds in after.items())


def _descends(process: _Process, roots: set[int], found: dict[int, _Process]) -> bool:
    """Whether a process is one of the roots or a descendant of one."""
    pid = process.pid
    while pid not in roots:
        if pid not in found:
            return False
        pid = found[pid].parent
    return True


def _all() -> Iterator[_Process]:
    for pid in processes.all_pids():
        try:
            # Not pathlib: there may be thousands.
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended
        # Fields 4, 14 to 17 and 22 of proc_pid_stat(5); the third is the first after the name.
        ticks = sum(map(int, fields[11:15]))
        yield _Process(pid, int(fields[1]), int(fields[19]), ticks / _TICKS_A_SECOND)
