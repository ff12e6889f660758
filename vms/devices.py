"""A machine as a typed description, and as libvirt's domain XML.

(libvirt, "Domain XML format"; held against its RNG schema in tests/vms)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
Chipset = Literal["q35", "i440fx", "microvm"]
# What libvirt calls them on x86-64.
_MACHINES = {"q35": "q35", "i440fx": "pc", "microvm": "microvm"}


class Accelerator(Enum):
    """What runs the guest's instructions: the CPU itself, or QEMU's translator (emulation)."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class DirectKernel:
    """A kernel that QEMU loads itself: no boot loader, and on `microvm` no firmware to speak of."""

    kernel: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk image; the first is the guest's /dev/vda."""

    path: Path
    format: Literal["qcow2", "raw"] = "qcow2"
    cache: Literal["none", "writeback", "unsafe"] = "writeback"


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A NIC by QEMU's own user-mode network; `forwards` maps loopback ports here to ports there."""

    forwards: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. `channels` are virtio-serial ports by name; the console is the first UART."""

    name: str
    vcpus: int
    memory_mib: int
    accelerator: Accelerator
    chipset: Chipset
    boot: DirectKernel
    disks: tuple[Disk, ...] = ()
    channels: tuple[str, ...] = ()
    network: UserNetwork | None = None

    def check(self) -> None:
        """Refuse what can't be started. Raises MachineError that names the field."""
        if not _NAME.fullmatch(self.name):
            raise MachineError(f"{self.name!r} is no name for a machine: letters, digits, _ . + -.")
        if self.vcpus < 1 or self.memory_mib < 16:
            raise MachineError(f"{self.name}: at least 1 vCPU and 16 MiB of memory are needed.")
        for path in (self.boot.kernel, self.boot.initrd, *(disk.path for disk in self.disks)):
            if not path.is_file():
                raise MachineError(f"{self.name}: there is no file {path}.")


def domain_xml(machine: Machine, sockets: dict[str, Path]) -> str:
    """The domain's XML. `sockets` says where the console and each channel listen.

    The accelerators differ in the domain's type and its CPU, and in nothing else.
    """
    kvm = machine.accelerator is Accelerator.KVM
    domain = ET.Element("domain", type="kvm" if kvm else "qemu")
    _text(domain, "name", machine.name)
    _text(domain, "memory", str(machine.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(machine.vcpus))
    _add_os(domain, machine)
    ET.SubElement(ET.SubElement(domain, "features"), "acpi")
    _add_cpu(domain, kvm=kvm)
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        _text(domain, event, "destroy")
    devices = ET.SubElement(domain, "devices")
    for number, disk in enumerate(machine.disks):
        _add_disk(devices, disk, number, machine.chipset)
    ET.SubElement(devices, "controller", type="usb", model="none")
    if machine.channels:
        controller = ET.SubElement(devices, "controller", type="virtio-serial", index="0")
        _place(controller, machine.chipset)
    if machine.network:
        nic = ET.SubElement(devices, "interface", type="user")
        ET.SubElement(nic, "model", type="virtio")
        _place(nic, machine.chipset)
    console = _add_socket(devices, "serial", sockets["console"])
    ET.SubElement(console, "target", type="isa-serial", port="0")
    for name in machine.channels:
        channel = _add_socket(devices, "channel", sockets[name])
        ET.SubElement(channel, "target", type="virtio", name=name)
    ET.SubElement(devices, "memballoon", model="none")
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode")


def _add_os(domain: ET.Element, machine: Machine) -> None:
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine=_MACHINES[machine.chipset])
    _text(system, "kernel", str(machine.boot.kernel))
    _text(system, "initrd", str(machine.boot.initrd))
    _text(system, "cmdline", machine.boot.command_line)


def _add_cpu(domain: ET.Element, *, kvm: bool) -> None:
    if not kvm:
        ET.SubElement(domain, "cpu", mode="maximum")
        return
    cpu = ET.SubElement(domain, "cpu", mode="host-passthrough", check="none")
    # Some hosts, themselves machines, offer it and then refuse the MSR behind it.
    ET.SubElement(cpu, "feature", policy="disable", name="arch-capabilities")


def _add_disk(devices: ET.Element, disk: Disk, number: int, chipset: Chipset) -> None:
    element = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(element, "driver", name="qemu", type=disk.format, cache=disk.cache)
    ET.SubElement(element, "source", file=str(disk.path))
    ET.SubElement(element, "target", dev=f"vd{chr(ord('a') + number)}", bus="virtio")
    _place(element, chipset)


def _place(device: ET.Element, chipset: Chipset) -> None:
    """`microvm` has no PCI; elsewhere libvirt finds a slot."""
    if chipset == "microvm":
        ET.SubElement(device, "address", type="virtio-mmio")


def _add_socket(devices: ET.Element, kind: str, path: Path) -> ET.Element:
    element = ET.SubElement(devices, kind, type="unix")
    ET.SubElement(element, "source", mode="bind", path=str(path))
    return element


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
