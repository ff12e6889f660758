"""Domain XML of a machine's description.

(libvirt, "Domain XML format"; tests/vms validates it against libvirt's RNG schema)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from vms.description.boot_source import Firmware
from vms.description.cpu import Accelerator
from vms.description.devices import serial
from vms.description.devices.bus_address import Chipset, root_ports
from vms.description.machine import Machine
from vms.description.xml import element, printed
from vms.qemu.qmp import MONITOR_ID

CONSOLE, NVRAM = "console", "nvram"
# libvirt's names of the machine types on x86-64.
_MACHINES: Mapping[Chipset, str] = {"q35": "q35", "i440fx": "pc", "microvm": "microvm"}
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("qemu", _QEMU)


def domain_xml(
    machine: Machine,
    paths: Mapping[str, Path],
    broken: Sequence[str] = (),
    qemu_arguments: Sequence[str] = (),
) -> str:
    """Return the domain XML.

    `paths` has the sockets of the console and the channels, and the file of the firmware's
    variables; libvirt chooses those that are missing. `broken` are CPU features that this host's
    KVM offers and then fails on. `qemu_arguments` are added to QEMU's command line. Between the
    accelerators only the domain's type and its CPU differ.
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
        _command_line(qemu_arguments),
        type="kvm" if machine.accelerator is Accelerator.KVM else "qemu",
    )
    return printed(domain)


def remove_monitor(domain: ET.Element) -> None:
    """Remove the arguments of our own monitor, which is gone, from a description of libvirt's."""
    line = domain.find(f"{{{_QEMU}}}commandline")
    if line is None:
        return
    arguments = line.findall(f"{{{_QEMU}}}arg")
    for option, value in zip(arguments[::2], arguments[1::2], strict=False):
        if MONITOR_ID in value.get("value", ""):
            line.remove(option)
            line.remove(value)


def _command_line(arguments: Sequence[str]) -> ET.Element | None:
    """Return <qemu:commandline>, or None without arguments. (libvirt, drvqemu.html)"""
    if not arguments:
        return None
    line = ET.Element(f"{{{_QEMU}}}commandline")
    for argument in arguments:
        ET.SubElement(line, f"{{{_QEMU}}}arg", value=argument)
    return line


def _threads(machine: Machine) -> Iterator[ET.Element]:
    """Yield the iothreads of disks, which have the disks' numbers."""
    ids = [number + 1 for number, disk in enumerate(machine.disks) if disk.own_thread]
    if ids:
        yield element("iothreads", text=len(ids))
        yield element("iothreadids", *(element("iothread", id=number) for number in ids))


def _os(machine: Machine, nvram: Path | None) -> ET.Element:
    firmware = machine.boot if isinstance(machine.boot, Firmware) else machine.boot.firmware
    kind = element("type", text="hvm", arch="x86_64", machine=_MACHINES[machine.chipset])
    return element(
        "os",
        kind,
        *machine.boot.elements(nvram),
        *([element("cmdline", text=machine.command_line)] if machine.command_line else []),
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
