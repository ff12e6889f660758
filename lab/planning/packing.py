"""First-fit decreasing: place the largest instance first, on the first host with enough room.

With a single resource it needs at most 11/9 of the smallest possible number of hosts, plus one
(Dósa, 2007). With several, an instance's size is its largest share of any resource of a host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class HostCapacity:
    """The resources of a host: memory that is free after boot, CPUs, process ids."""

    memory_bytes: float
    cpus: float
    processes: float


@dataclass(frozen=True, slots=True)
class InstanceRequests:
    """The resources that an instance requests."""

    name: str
    memory_bytes: float
    cpus: float
    processes: float = 1


@dataclass(slots=True)
class _Load:
    """The resources that are taken on a host, and the number of its instances."""

    memory_bytes: float = 0.0
    cpus: float = 0.0
    processes: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The number of instances on each host, and the resource that most often ran out."""

    counts: tuple[int, ...]
    bound: str

    @property
    def hosts(self) -> int:
        """The number of hosts."""
        return len(self.counts)


def pack(instances: Iterable[InstanceRequests], host: HostCapacity) -> Plan:
    """Place every instance on hosts of the same capacity.

    Raise InvalidConfig for an instance that is larger than a host.
    """
    loads: list[_Load] = []
    first: dict[InstanceRequests, int] = {}  # the first host that may fit another equal instance
    bounds: dict[str, int] = {}
    for instance in sorted(instances, key=lambda each: -_share(each, host)):
        if missing := _missing(instance, _Load(), host):
            raise InvalidConfig(f"{instance.name} requests more {missing} than a host has.")
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


def _share(instance: InstanceRequests, host: HostCapacity) -> float:
    return max(
        instance.memory_bytes / host.memory_bytes,
        instance.cpus / host.cpus,
        instance.processes / host.processes,
    )


def _missing(instance: InstanceRequests, load: _Load, host: HostCapacity) -> str:
    """Return the resource that the host lacks for the instance; empty if it fits."""
    if load.memory_bytes + instance.memory_bytes > host.memory_bytes:
        return "memory"
    if load.cpus + instance.cpus > host.cpus:
        return "CPU"
    return "process ids" if load.processes + instance.processes > host.processes else ""


def _add(instance: InstanceRequests, load: _Load) -> None:
    load.memory_bytes += instance.memory_bytes
    load.cpus += instance.cpus
    load.processes += instance.processes
    load.count += 1
