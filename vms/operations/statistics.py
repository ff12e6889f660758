"""Statistics of all machines, in one call. (virConnectGetAllDomainStats)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libvirt

from vms.domain.states import STATES, State
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain

# CPU_TOTAL is left out: for it, libvirt first probes every emulator of the host for seconds.
_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """A disk since its machine's start; `allocated_bytes` is of its image on the host."""

    target: str
    path: str
    read_bytes: int
    written_bytes: int
    reads: int
    writes: int
    capacity_bytes: int
    allocated_bytes: int


@dataclass(frozen=True, slots=True)
class CardStatistics:
    """A network card since its machine's start, from the machine's point of view."""

    name: str
    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int


@dataclass(frozen=True, slots=True)
class MachineStatistics:
    """A machine: `cpu_ns` is the time of its vCPUs, `resident_bytes` the memory of its QEMU.

    Values that libvirt does not report are 0, such as the reads and writes of a microvm's disks.
    """

    name: str
    state: State
    cpu_ns: int
    vcpus: int
    memory_bytes: int
    maximum_memory_bytes: int
    resident_bytes: int
    disks: tuple[DiskStatistics, ...]
    cards: tuple[CardStatistics, ...]


def all_machines(connection: Connection) -> list[MachineStatistics]:
    """Return the statistics of all machines, sorted by name, without waiting for busy ones.

    Raises MachineError.
    """
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    with translate_errors("Can't read the statistics of the machines"):
        records = connection.handle.getAllDomainStats(_GROUPS, flags)
        machines = [_machine(handle.name(), values) for handle, values in records]
    return sorted(machines, key=lambda machine: machine.name)


def of(domain: Domain) -> list[MachineStatistics]:
    """Return the statistics of one machine; none if it has gone. Raises MachineError."""
    with translate_errors(f"Can't read the statistics of {domain.name}"):
        records = domain.handle.connect().domainListGetStats([domain.handle], _GROUPS)
        return [_machine(domain.name, values) for _, values in records]


def _machine(name: str, values: Mapping[str, Any]) -> MachineStatistics:
    return MachineStatistics(
        name=name,
        state=STATES.get(values.get("state.state", -1), "unknown"),
        cpu_ns=sum(values.get(f"vcpu.{n}.time", 0) for n in range(values.get("vcpu.maximum", 0))),
        vcpus=values.get("vcpu.current", 0),
        memory_bytes=values.get("balloon.current", 0) << 10,
        maximum_memory_bytes=values.get("balloon.maximum", 0) << 10,
        resident_bytes=values.get("balloon.rss", 0) << 10,
        disks=tuple(_disk(each) for each in _each("block", values)),
        cards=tuple(_card(each) for each in _each("net", values)),
    )


def _each(group: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the members of a group (`block.0.name`, `block.0.rd.bytes`, …) as dictionaries."""
    for number in range(values.get(f"{group}.count", 0)):
        prefix = f"{group}.{number}."
        yield {
            key.removeprefix(prefix): value
            for key, value in values.items()
            if key.startswith(prefix)
        }


def _disk(values: Mapping[str, Any]) -> DiskStatistics:
    return DiskStatistics(
        target=values.get("name", ""),
        path=values.get("path", ""),
        read_bytes=values.get("rd.bytes", 0),
        written_bytes=values.get("wr.bytes", 0),
        reads=values.get("rd.reqs", 0),
        writes=values.get("wr.reqs", 0),
        capacity_bytes=values.get("capacity", 0),
        allocated_bytes=values.get("physical", 0),
    )


def _card(values: Mapping[str, Any]) -> CardStatistics:
    return CardStatistics(
        name=values.get("name", ""),
        received_bytes=values.get("rx.bytes", 0),
        sent_bytes=values.get("tx.bytes", 0),
        received_packets=values.get("rx.pkts", 0),
        sent_packets=values.get("tx.pkts", 0),
    )
