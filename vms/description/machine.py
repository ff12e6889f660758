"""A machine as a typed description, and as libvirt's domain XML.

(libvirt, "Domain XML format"; held against its RNG schema in tests/vms)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree as ET

from vms.description.boot_source import DirectKernel, Firmware
from vms.description.constraints import Between, objections
from vms.description.cpu import Accelerator, Cpu
from vms.description.devices import serial
from vms.description.devices.bus_address import Chipset, root_ports
from vms.description.devices.disk import Cdrom, Disk
from vms.description.devices.filesystem import Share
from vms.description.devices.network import Network, UserNetwork
from vms.description.devices.rng import Rng
from vms.description.devices.vsock import Vsock
from vms.description.devices.watchdog import Watchdog
from vms.description.mac import canonical
from vms.description.memory import Balloon, Memory
from vms.description.names import Name
from vms.description.xml import element, printed
from vms.errors import MachineError
from vms.hosts import HERE, Host

CONSOLE, NVRAM = "console", "nvram"
# What libvirt calls them on x86-64.
_MACHINES: Mapping[Chipset, str] = {"q35": "q35", "i440fx": "pc", "microvm": "microvm"}


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. `channels` are virtio-serial ports by name; the console is the first UART.

    `video` gives it a screen, of which pictures can be taken; nothing shows it. With
    `panic_notifier` a guest's kernel tells the host that it has panicked. `spare_ports` is how many
    devices can be plugged into a running q35, whose bus does not grow while it runs.
    """

    name: Name
    vcpus: Annotated[int, Between(1, 255)]
    memory_mib: Annotated[int, Between(16)]
    accelerator: Accelerator
    chipset: Chipset
    boot: DirectKernel | Firmware
    disks: tuple[Disk, ...] = ()
    cdroms: tuple[Cdrom, ...] = ()
    channels: tuple[serial.ChannelName, ...] = ()
    networks: tuple[Network, ...] = ()
    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    balloon: Balloon | None = None
    shares: tuple[Share, ...] = ()
    watchdog: Watchdog | None = None
    rng: Rng | None = None
    vsock: Vsock | None = None
    video: Literal["vga", "virtio", "bochs"] | None = None
    panic_notifier: bool = False
    spare_ports: Annotated[int, Between(0, 16)] = 8
    on_reboot: Literal["destroy", "restart"] = "destroy"
    on_crash: Literal["destroy", "restart", "preserve"] = "destroy"

    def check_fields(self) -> None:
        """Refuse what no machine can be. Raises MachineError that names the field."""
        for sentence in objections(self):
            raise MachineError(f"{self.name}: {sentence}.")

    def check(self, host: Host = HERE) -> None:
        """Refuse what can't be started. Raises MachineError that names the field.

        Files of another host can't be looked at: they must have whole paths.
        """
        self.check_fields()
        for path in (*self._files(), *(share.directory for share in self.shares)):
            host.path(path)
        if not host.is_here:
            return
        for path in self._files():
            if not path.is_file():
                raise MachineError(f"{self.name}: there is no file {path}.")
        for share in self.shares:
            if not share.directory.is_dir():
                raise MachineError(f"{self.name}: there is no directory {share.directory}.")

    def objection(self) -> str:
        """What its parts can't say alone."""
        found = (*self._cpu_objections(), *self._room_objections(), *self._microvm_objections())
        return next(iter(found), "")

    def forwards(self) -> Iterator[tuple[int, UserNetwork]]:
        """The cards that libvirt can't be told the port forwards of, by their number."""
        for number, card in enumerate(self.networks):
            if isinstance(card, UserNetwork) and card.backend == "slirp" and card.forwards:
                yield number, card

    def words(self) -> tuple[str, ...]:
        """What QEMU is to be told for it that libvirt has no element for.

        A microvm's old timer (i8254) ticks some 36 times a second, be it used or not, which is most
        of what QEMU does for an emulated guest that idles. A Linux guest measures its time stamp
        counter by it, unless it is told the counter's frequency.
        """
        told = isinstance(self.boot, DirectKernel) and "tsc_early_khz=" in self.boot.command_line
        return ("-machine", "pit=off") if self.chipset == "microvm" and told else ()

    def _files(self) -> Iterator[Path]:
        if isinstance(self.boot, DirectKernel):
            yield self.boot.kernel
            if self.boot.initrd:
                yield self.boot.initrd
        yield from (disk.path for disk in self.disks)
        yield from (drive.medium for drive in self.cdroms if drive.medium)

    def _cpu_objections(self) -> Iterator[str]:
        most = self.cpu.most(self.vcpus)
        if most < self.vcpus:
            yield f"cpu.maximum is {most}, fewer than vcpus, {self.vcpus}"
        shape = self.cpu.topology
        if shape and shape.cpus != most:
            yield f"cpu.topology makes {shape.cpus} CPUs of {most}"
        if self.cpu.pins and max(self.cpu.pins) >= most:
            yield f"cpu.pins names vCPU {max(self.cpu.pins)}; the last is {most - 1}"

    def _room_objections(self) -> Iterator[str]:
        most = self.memory.maximum_mib
        if most and most < self.memory_mib:
            yield f"memory.maximum_mib is {most}, less than memory_mib, {self.memory_mib}"
        page = self.memory.huge_page_kib
        if page and self.memory_mib * 1024 % page:
            yield f"memory_mib is no multiple of memory.huge_page_kib, {page}"
        if isinstance(self.boot, Firmware) and not (self.disks or self.cdroms):
            yield "disks are needed to boot from, or cdroms, or a kernel"
        for what, names in (
            ("channels", self.channels),
            ("shares", tuple(share.tag for share in self.shares)),
            ("networks", tuple(canonical(card.mac) for card in self.networks if card.mac)),
            ("disks", tuple(str(disk.path) for disk in self.disks if not disk.read_only)),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                yield f"{what} hold {twice[0]} twice"

    def _microvm_objections(self) -> Iterator[str]:
        """It has no PCI, no firmware that looks at disks, and nothing is plugged into it."""
        if self.chipset != "microvm":
            return
        if not isinstance(self.boot, DirectKernel) or self.boot.firmware != Firmware():
            yield "boot must be a kernel without uefi on a microvm"
        if any(share.driver == "virtiofs" for share in self.shares):
            yield "shares on a microvm must have driver 9p"
        for what, wanted in {
            "disks.own_thread": any(disk.own_thread for disk in self.disks),
            "cdroms": self.cdroms,
            "watchdog": self.watchdog,
            "video": self.video,
            "memory.maximum_mib": self.memory.maximum_mib,
            "cpu.maximum": self.cpu.maximum,
        }.items():
            if wanted:
                yield f"{what} is not to be had on a microvm"


def domain_xml(machine: Machine, paths: Mapping[str, Path], broken: Sequence[str] = ()) -> str:
    """The domain's XML.

    `paths` says where the console and each channel listen and where the firmware's variables are
    kept; libvirt chooses for what is not in it. `broken` are the CPU features that this host's KVM
    offers and fails on. The accelerators differ in the domain's type and its CPU, and in nothing
    else.
    """
    shared = any(share.driver == "virtiofs" for share in machine.shares)
    cell = machine.memory.cell(machine.memory_mib, machine.cpu.most(machine.vcpus))
    domain = element(
        "domain",
        element("name", text=machine.name),
        machine.memory.room(),
        element("memory", text=machine.memory_mib, unit="MiB"),
        machine.memory.backing(shared=shared),
        machine.cpu.count(machine.vcpus),
        *_threads(machine),
        machine.cpu.tuning(),
        _os(machine, paths.get(NVRAM)),
        element("features", element("acpi")),
        machine.cpu.element(machine.accelerator, broken, cell),
        element("on_poweroff", text="destroy"),
        element("on_reboot", text=machine.on_reboot),
        element("on_crash", text=machine.on_crash),
        element("devices", *_with_ports(machine, list(_devices(machine, paths)))),
        type="kvm" if machine.accelerator is Accelerator.KVM else "qemu",
    )
    return printed(domain)


def _threads(machine: Machine) -> Iterator[ET.Element]:
    """The threads of disks that have one, which go by the disks' numbers."""
    owned = [number + 1 for number, disk in enumerate(machine.disks) if disk.own_thread]
    if owned:
        yield element("iothreads", text=len(owned))
        yield element("iothreadids", *(element("iothread", id=number) for number in owned))


def _os(machine: Machine, nvram: Path | None) -> ET.Element:
    firmware = machine.boot if isinstance(machine.boot, Firmware) else machine.boot.firmware
    kind = element("type", text="hvm", arch="x86_64", machine=_MACHINES[machine.chipset])
    return element(
        "os",
        kind,
        *machine.boot.elements(nvram),
        firmware="efi" if firmware.kind == "uefi" else None,
    )


def _with_ports(machine: Machine, devices: Sequence[ET.Element]) -> Iterator[ET.Element]:
    yield from root_ports(devices, machine.spare_ports, machine.chipset)
    yield from devices


def _devices(machine: Machine, paths: Mapping[str, Path]) -> Iterator[ET.Element]:
    chipset = machine.chipset
    boots = isinstance(machine.boot, Firmware)
    for number, disk in enumerate(machine.disks):
        yield disk.element(number, chipset, boots=boots)
    for number, drive in enumerate(machine.cdroms):
        order = len(machine.disks) + number + 1 if boots else None
        yield drive.element(number, chipset, order=order)
    yield element("controller", type="usb", model="none")
    if machine.channels:
        yield serial.controller(len(machine.channels), chipset)
    yield from (share.element(chipset) for share in machine.shares)
    yield from (card.element(chipset) for card in machine.networks)
    yield serial.console(paths.get(CONSOLE))
    yield from (serial.channel(name, paths.get(name)) for name in machine.channels)
    if machine.video:
        yield element("video", element("model", type=machine.video))
    if machine.watchdog:
        yield machine.watchdog.element()
    if machine.balloon:
        yield machine.balloon.element(chipset)
    else:
        yield element("memballoon", model="none")
    if machine.rng:
        yield machine.rng.element(chipset)
    if machine.panic_notifier:
        yield element("panic", model="isa")
    if machine.vsock:
        yield machine.vsock.element(chipset)
