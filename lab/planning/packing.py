"""First-fit decreasing: the largest first, each onto the first host that has room.

With one resource it takes at most 11/9 of the fewest hosts possible, and one more (Dósa, 2007).
With several, an instance's size is the largest share of a host that it takes of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Host:
    """What one host has to give: memory that is free once it is up, CPUs, process ids."""

    memory_bytes: float
    cpus: float
    processes: float


@dataclass(frozen=True, slots=True)
class Instance:
    """What one instance takes of each."""

    name: str
    memory_bytes: float
    cpus: float
    processes: float = 1


@dataclass(slots=True)
class _Load:
    memory_bytes: float = 0.0
    cpus: float = 0.0
    processes: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How many instances each host carries, and what most often had no more room: its name."""

    counts: tuple[int, ...]
    bound: str

    @property
    def hosts(self) -> int:
        """How many hosts it takes."""
        return len(self.counts)


def pack(instances: Iterable[Instance], host: Host) -> Plan:
    """Place every instance on hosts of one kind.

    Raises LabError for an instance that fits on no host.
    """
    loads: list[_Load] = []
    first: dict[Instance, int] = {}  # the first host that may have room for another one like it
    bounds: dict[str, int] = {}
    for instance in sorted(instances, key=lambda each: -_share(each, host)):
        if missing := _missing(instance, _Load(), host):
            raise LabError(f"{instance.name} takes more {missing} than a host has.")
        place = first.get(instance, 0)
        while place < len(loads) and (missing := _missing(instance, loads[place], host)):
            bounds[missing] = bounds.get(missing, 0) + 1
            place += 1
        first[instance] = place
        if place == len(loads):
            loads.append(_Load())
        _add(instance, loads[place])
    return Plan(
        tuple(load.count for load in loads), max(bounds, key=bounds.__getitem__, default="")
    )


def _share(instance: Instance, host: Host) -> float:
    return max(
        instance.memory_bytes / host.memory_bytes,
        instance.cpus / host.cpus,
        instance.processes / host.processes,
    )


def _missing(instance: Instance, load: _Load, host: Host) -> str:
    """What the host has too little of for one more; empty if it has room."""
    if load.memory_bytes + instance.memory_bytes > host.memory_bytes:
        return "memory"
    if load.cpus + instance.cpus > host.cpus:
        return "CPU"
    return "process ids" if load.processes + instance.processes > host.processes else ""


def _add(instance: Instance, load: _Load) -> None:
    load.memory_bytes += instance.memory_bytes
    load.cpus += instance.cpus
    load.processes += instance.processes
    load.count += 1
