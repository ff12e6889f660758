"""Google's cluster trace of 2011 (clusterdata-2011): task_events and machine_events.

The services are the tasks that are pending or running at the end of the files that are there: a
service for each job and size. The hosts are the machines that then exist. All amounts are shares
of the largest machine's.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lab.planning.inventory import Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    CPU_SHARE,
    DISK_SHARE,
    MEMORY_SHARE,
    BrokenLines,
    above_zero,
    amount,
    apply_each,
    inventory,
    offered_only,
    require,
    require_cpu_or_memory,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_TASKS, _MACHINES = "task_events", "machine_events"
_TASK_COLUMNS, _MACHINE_COLUMNS = 13, 6
# Events of a task: submit, schedule, two updates; evict, fail, finish, kill, lost.
_ALIVE, _ENDED = ("0", "1", "7", "8"), ("2", "3", "4", "5", "6")
_ADD, _REMOVE, _UPDATE = "0", "1", "2"  # events of a machine


class _Request(NamedTuple):
    """A task's request; `apart` is true if no two tasks of the job may share a machine."""

    cpu: float
    memory: float
    disk: float
    apart: bool


class _Machine(NamedTuple):
    cpu: float
    memory: float


def read(source: str) -> Inventory:
    """Return the tasks and machines of a folder with both tables, or of one table.

    Raise InvalidConfig for a source that holds neither.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    tasks: dict[tuple[str, str], _Request] = {}
    machines: dict[str, _Machine] = {}
    applied = {_TASKS: partial(_apply_task, tasks), _MACHINES: partial(_apply_machine, machines)}
    for table, file in text_files.tables(source, (_TASKS, _MACHINES)):
        broken.file = file.name if path.is_dir() else ""
        apply_each(text_files.rows(file, broken), broken, applied[table])
    names: dict[str, int] = {}
    jobs = Counter((job, request) for (job, _), request in tasks.items())
    services = [
        Service(
            unique(f"job {job}", names),
            count,
            above_zero(
                {CPU_SHARE: request.cpu, MEMORY_SHARE: request.memory, DISK_SHARE: request.disk}
            ),
            per_host=1 if request.apart else None,
        )
        for (job, request), count in jobs.items()
    ]
    hosts = [
        Host(
            f"machines of CPU {size.cpu:.12g}, memory {size.memory:.12g}",
            above_zero({CPU_SHARE: size.cpu, MEMORY_SHARE: size.memory}),
            count=count,
        )
        for size, count in Counter(machines.values()).items()
    ]
    # Machines have no disk in the trace.
    return inventory(path, "Google's trace of 2011", offered_only(services, hosts), hosts, broken)


def _apply_task(found: dict[tuple[str, str], _Request], row: Sequence[str]) -> None:
    """Apply an event, whose columns are those of task_events in the trace's schema.

    1 time, 3 job, 4 task index, 6 event, 10 CPU, 11 memory, 12 disk, 13 different machines.
    """
    require(row, _TASK_COLUMNS)
    task, event = (row[2].strip(), row[3].strip()), row[5].strip()
    if event in _ENDED:
        found.pop(task, None)
        return
    if event not in _ALIVE:
        raise ValueError(f"its event is {event[:40]!r}, not 0 to 8")
    if not (row[9].strip() or row[10].strip()) and task in found:
        return  # a later event may omit what was requested before
    cpu, memory = amount(row[9], "the CPU request"), amount(row[10], "the memory request")
    require_cpu_or_memory(cpu, memory)
    disk = amount(row[11] or "0", "the disk space request")
    found[task] = _Request(cpu, memory, disk, row[12].strip() == "1")


def _apply_machine(found: dict[str, _Machine], row: Sequence[str]) -> None:
    """Apply an event: time, machine, event, platform, CPUs, memory."""
    require(row, _MACHINE_COLUMNS)
    name, event = row[1].strip(), row[2].strip()
    if event == _REMOVE:
        found.pop(name, None)
    elif event in {_ADD, _UPDATE}:
        cpu, memory = amount(row[4], "the CPU capacity"), amount(row[5], "the memory capacity")
        require_cpu_or_memory(cpu, memory)
        found[name] = _Machine(cpu, memory)
    else:
        raise ValueError(f"its event is {event[:40]!r}, not 0, 1 or 2")
