"""What all machines use, asked in one call. (virConnectGetAllDomainStats)"""

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

# Not CPU_TOTAL: for that libvirt looks at every emulator of the host first, which takes seconds.
_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """One disk since its machine's start; `allocated_bytes` of its image on the host."""

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
    """One network card since its machine's start, seen from the machine."""

    name: str
    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int


@dataclass(frozen=True, slots=True)
class MachineStatistics:
    """One machine: `cpu_ns` is its vCPUs' time, `resident_bytes` is its QEMU's memory.

    What libvirt does not tell is 0, as what a microvm's disks read and wrote.
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
    """Every machine that libvirt has, by name. A machine that is busy is not waited for.

    Raises MachineError.
    """
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    with translate_errors("The machines' statistics can't be had"):
        found = connection.handle.getAllDomainStats(_GROUPS, flags)
        told = [_machine(handle.name(), values) for handle, values in found]
    return sorted(told, key=lambda machine: machine.name)


def of(domain: Domain) -> list[MachineStatistics]:
    """The same of one machine. Raises MachineError."""
    with translate_errors(f"The statistics of {domain.name} can't be had"):
        found = domain.handle.connect().domainListGetStats([domain.handle], _GROUPS)
        return [_machine(domain.name, values) for _, values in found]


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
    """The members of a group: `block.0.name`, `block.0.rd.bytes`, … as a dictionary each."""
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
