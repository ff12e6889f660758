"""Whose processes use the CPU: those of this measurement, and everybody else's."""

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


class Used(NamedTuple):
    """CPU seconds so far: a process's own, and those of its children that it has waited for."""

    own: float
    ended: float


Reading = dict[tuple[int, int], Used]  # by pid and start


@dataclass(frozen=True, slots=True)
class _Process:
    """One process at one time; pid and start tell it from a later one of the same pid."""

    pid: int
    parent: int
    start: int
    used: Used


@dataclass
class BackgroundLoad:
    """The processes that are not of this measurement, and the CPU time that they have used.

    Of this measurement are the descendants of `lab` and of whatever names `scratch` in its command
    line: daemons and machines that have left their parents. Kernel threads are nobody's.
    """

    lab: int
    scratch: Path
    _named: dict[tuple[int, int], bool] = field(default_factory=dict)

    def read(self) -> Reading:
        """What each of the others has used so far."""
        found = {process.pid: process for process in _all()}
        self._named = {
            key: self._named.get(key) or self._names_scratch(process.pid)
            for process in found.values()
            if (key := (process.pid, process.start))
        }
        ours = {self.lab} | {pid for (pid, _), named in self._named.items() if named}
        return {
            (process.pid, process.start): process.used
            for process in found.values()
            if not _descends(process, ours | {_KTHREADD}, found)
        }

    def _names_scratch(self, pid: int) -> bool:
        return os.fsencode(self.scratch) in processes.command_line(pid)


def descendants(pid: int) -> set[int]:
    """A process and all that descend from it."""
    found = {process.pid: process for process in _all()}
    return {each.pid for each in found.values() if _descends(each, {pid}, found)}


def used_between(before: Reading, after: Reading) -> float:
    """CPU seconds used between two readings.

    What a process that has ended used before the first reading is not counted again as its
    parent's. One that began and ended in between is seen if its parent waited for it and is still
    there.
    """
    nothing = Used(0.0, 0.0)
    own = sum(used.own - before.get(key, nothing).own for key, used in after.items())
    ended = sum(used.ended - before.get(key, nothing).ended for key, used in after.items())
    known = sum(sum(used) for key, used in before.items() if key not in after)
    return own + max(0.0, ended - known)


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
            fields = proc.stat(pid)
        except OSError:
            continue  # it has ended
        user, system, ended_user, ended_system = (
            int(ticks) for ticks in fields[proc.USER_TICKS : proc.CHILDREN_SYSTEM_TICKS + 1]
        )
        used = Used(
            (user + system) / _TICKS_A_SECOND, (ended_user + ended_system) / _TICKS_A_SECOND
        )
        yield _Process(pid, int(fields[proc.PARENT]), int(fields[proc.START_TICKS]), used)
