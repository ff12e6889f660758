"""Virtual CPUs: model, count, topology, and the host CPUs that they run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated
from xml.etree import ElementTree as ET

from vms.description.constraints import Between, Like
from vms.description.xml import element

# The syntax of taskset(1).
CpuList = Annotated[str, Like(r"\d+(-\d+)?(,\d+(-\d+)?)*", "a list of CPUs such as 0-3,6")]
_FeatureName = Annotated[str, Like(r"[A-Za-z0-9_.-]+", "the name of a CPU feature")]


class Accelerator(Enum):
    """The executor of the guest's instructions: the CPU (KVM), or QEMU's translator (emulation)."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Topology:
    """The arrangement of CPUs that the guest sees."""

    sockets: Annotated[int, Between(1)] = 1
    cores: Annotated[int, Between(1)] = 1
    threads: Annotated[int, Between(1)] = 1

    @property
    def cpus(self) -> int:
        """The number of CPUs in this topology."""
        return self.sockets * self.cores * self.threads

    def element(self) -> ET.Element:
        """Return <topology>."""
        return element("topology", sockets=self.sockets, cores=self.cores, threads=self.threads)


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU settings: the host's model under KVM, all that the emulator supports under TCG.

    `maximum` is the number of CPUs that can be plugged in while the machine runs. `pins` maps a
    vCPU to the host CPUs that it runs on; `emulator_pin` does so for QEMU's other threads.
    `without` names features that are hidden from the guest.
    """

    topology: Topology | None = None
    maximum: Annotated[int, Between(1)] | None = None
    pins: dict[Annotated[int, Between(0)], CpuList] = field(default_factory=dict)
    emulator_pin: CpuList | None = None
    without: tuple[_FeatureName, ...] = ()

    def count(self, vcpus: int) -> ET.Element:
        """Return <vcpu>: the present and the maximum number."""
        if not self.maximum:
            return element("vcpu", text=vcpus)
        return element("vcpu", text=self.maximum, current=vcpus)

    def tuning(self) -> ET.Element | None:
        """Return <cputune>, or None if nothing is pinned."""
        if not self.pins and not self.emulator_pin:
            return None
        return element(
            "cputune",
            *(element("vcpupin", vcpu=vcpu, cpuset=cpus) for vcpu, cpus in self.pins.items()),
            element("emulatorpin", cpuset=self.emulator_pin) if self.emulator_pin else None,
        )

    def most(self, vcpus: int) -> int:
        """Return the maximum number of CPUs of a machine that begins with `vcpus`."""
        return self.maximum or vcpus

    def element(
        self, accelerator: Accelerator, broken: Sequence[str], cell: ET.Element | None
    ) -> ET.Element:
        """Return <cpu> with its model and the NUMA cell.

        `broken` are features that this host's KVM offers and then fails on.
        """
        kvm = accelerator is Accelerator.KVM
        without = dict.fromkeys((*self.without, *(broken if kvm else ())))
        return element(
            "cpu",
            self.topology.element() if self.topology else None,
            *(element("feature", policy="disable", name=name) for name in without),
            cell,
            mode="host-passthrough" if kvm else "maximum",
            check="none" if kvm else None,
        )
