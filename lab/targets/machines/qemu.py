"""The same machines by a plain QEMU command line: the yardstick of what a driver adds.

Chipset, CPU, memory, disk, NIC and ports are those of `vm` and `microvm`; there is no libvirt. As
libvirt does, the sockets that QEMU listens on are made beforehand and handed to it.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import vms
from lab.targets import leftovers
from lab.targets.base import Kind
from lab.targets.machines.listening_port import Port
from lab.targets.machines.machine import FullMachine, Machine, MicroMachine, Ports, Running
from vms.guest.tonnage_agent import Agent
from vms.qemu import acceleration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

EMULATOR = "qemu-system-x86_64"


class QemuProcess:
    """A QEMU of ours and the ports that it was given."""

    def __init__(self, machine: vms.Machine, directory: Path) -> None:
        self._owned = ExitStack()
        with ExitStack() as undo:
            ports = {name: undo.enter_context(Port(directory / f"{machine.name}.{number}"))
                     for number, name in enumerate(("console", *machine.channels))}  # fmt: skip
            self._process = subprocess.Popen(
                command_line(machine, {name: port.descriptor for name, port in ports.items()}),
                stdin=subprocess.DEVNULL,
                pass_fds=[port.descriptor for port in ports.values()],
            )
            self._owned.callback(self._kill)
            self.console = self._owned.enter_context(vms.LineReader(ports["console"].path))
            self.events = self._owned.enter_context(vms.LineReader(ports["tonnage.events"].path))
            self.agent = self._owned.enter_context(Agent(ports["tonnage.agent"].path))

    @property
    def vmm_pid(self) -> int:
        """Its process."""
        return self._process.pid

    def destroy(self) -> None:
        """Kill it and reap it."""
        self._owned.close()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()


def command_line(machine: vms.Machine, descriptors: dict[str, int]) -> Sequence[str]:
    """QEMU's command line for the machine; its ports listen on those descriptors."""
    kvm = machine.accelerator is vms.Accelerator.KVM
    cpu = ",-".join(("host", *acceleration.broken_features())) if kvm else "max"
    bus = "device" if machine.chipset == "microvm" else "pci"
    assert isinstance(machine.boot, vms.DirectKernel)
    words = [
        EMULATOR, "-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", f"{machine.chipset},usb=off", "-accel", machine.accelerator.value, "-cpu", cpu,
        "-m", str(machine.memory_mib), "-smp", str(machine.vcpus),
        "-kernel", str(machine.boot.kernel), "-initrd", str(machine.boot.initrd),
        "-append", machine.boot.command_line, *machine.qemu_arguments(),
    ]  # fmt: skip
    for number, disk in enumerate(machine.disks):
        drive = f"if=none,id=disk{number},file={disk.path},format={disk.format},cache={disk.cache}"
        words += ["-drive", drive, "-device", f"virtio-blk-{bus},drive=disk{number}"]
    for card, network in machine.forwards():
        forwards = "".join(
            f",hostfwd={each.protocol}:{each.address}:{each.host}-:{each.guest}"
            for each in network.forwards
        )
        words += ["-netdev", f"user,id=net{card}{forwards}"]
        words += ["-device", f"virtio-net-{bus},netdev=net{card}"]
    words += ["-device", f"virtio-serial-{bus},max_ports={len(machine.channels) + 1}"]
    for name, descriptor in descriptors.items():
        words += ["-chardev", f"socket,id={name},fd={descriptor},server=on,wait=off"]
        device = "isa-serial" if name == "console" else f"virtserialport,name={name}"
        words += ["-device", f"{device},chardev={name}"]
    return words


class PlainQemu(Machine):
    """What both share."""

    kind: Kind = "machine"

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Kill those whose worker is gone."""
        return leftovers.clean(cls.name, scratch)

    def prepare(self) -> None:
        """Nothing is shared but a directory."""
        self.directory.mkdir(parents=True, exist_ok=True)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Spawn QEMU."""
        process = QemuProcess(machine, self.directory)
        on_running(process)
        return process


class FullQemu(PlainQemu, FullMachine):
    """The traditional machine."""

    name = "qemu"


class MicroQemu(PlainQemu, MicroMachine):
    """The smallest machine."""

    name = "qemu-microvm"
