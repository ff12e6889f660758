"""Alibaba's cluster trace of 2017: container_event.csv and server_event.csv, without headings.

The services are the containers that exist at the end of the file, the hosts the machines that are
then without an error. Equal ones are counted together. Memory and disk are shares of the largest
machine's. The published file creates some containers twice, the second time with nearly all memory
of a machine: these lines are an error of the collection.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lab.planning.inventory import CPUS, Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    DISK_SHARE,
    MEMORY_SHARE,
    BrokenLines,
    above_zero,
    amount,
    apply_each,
    inventory,
    require,
    require_cpu_or_memory,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTAINERS, _MACHINES = "container_event", "server_event"
_COLUMNS = 7  # of both tables that are used


class _Size(NamedTuple):
    """CPUs, and memory and disk as shares of the largest machine's."""

    cpus: float
    memory: float
    disk: float

    def amounts(self) -> dict[str, float]:
        return above_zero({CPUS: self.cpus, MEMORY_SHARE: self.memory, DISK_SHARE: self.disk})

    def __str__(self) -> str:
        return f"{self.cpus:.12g} CPUs, memory {self.memory:.12g}, disk {self.disk:.12g}"


def read(source: str) -> Inventory:
    """Return the containers and machines of a folder with both tables, or of one table.

    Raise InvalidConfig for a source that holds neither.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    containers: dict[str, _Size] = {}
    machines: dict[str, _Size] = {}
    applied = {
        _CONTAINERS: partial(_apply_container, containers),
        _MACHINES: partial(_apply_machine, machines),
    }
    for table, file in text_files.tables(source, (_CONTAINERS, _MACHINES)):
        broken.file = file.name if path.is_dir() else ""
        apply_each(text_files.rows(file, broken), broken, applied[table])
    services = [
        Service(f"containers of {size}", count, size.amounts())
        for size, count in Counter(containers.values()).items()
    ]
    hosts = [
        Host(f"machines of {size}", size.amounts(), count=count)
        for size, count in Counter(machines.values()).items()
    ]
    return inventory(path, "Alibaba's trace of 2017", services, hosts, broken)


def _apply_container(found: dict[str, _Size], row: Sequence[str]) -> None:
    """Apply an event: time, event, container, machine, plan_cpu, plan_mem, plan_disk, cpuset."""
    require(row, _COLUMNS)
    event, name = row[1].strip(), row[2].strip()
    if event == "Create":
        if name in found:
            raise ValueError(f"container {name[:40]} is created again: the first time counts")
        found[name] = _size(row, ("plan_cpu", "plan_mem", "plan_disk"))
    elif event == "Remove":
        found.pop(name, None)
    else:
        raise ValueError(f"its event is {event[:40]!r}, not Create or Remove")


def _apply_machine(found: dict[str, _Size], row: Sequence[str]) -> None:
    """Apply an event: time, machine, event, detail, and capacities: CPUs, memory, disk."""
    require(row, 3)
    name, event = row[1].strip(), row[2].strip()
    if event == "add":
        require(row, _COLUMNS)
        found[name] = _size(row, ("the number of CPUs", "the memory", "the disk"))
    elif event in {"softerror", "harderror"}:
        found.pop(name, None)
    else:
        raise ValueError(f"its event is {event[:40]!r}, not add, softerror or harderror")


def _size(row: Sequence[str], fields: tuple[str, str, str]) -> _Size:
    cpus, memory, disk = (amount(row[4 + place], field) for place, field in enumerate(fields))
    require_cpu_or_memory(cpus, memory)
    return _Size(cpus, memory, disk)
