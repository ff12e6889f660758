"""The same machines by a QEMU command line without libvirt, to measure what libvirt adds.

Chipset, CPU, memory, disk, NIC and ports are those of `vm` and `microvm`. As under libvirt, the
sockets that QEMU listens on are opened beforehand, and QEMU inherits them.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import vms
from lab.targets import leftovers
from lab.targets.base import Kind
from lab.targets.machines.listening_port import ListeningPort
from lab.targets.machines.machine import FullMachine, Machine, MicroMachine, Ports, Running
from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL
from vms.guest.tonnage_agent import Agent
from vms.qemu import acceleration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

EMULATOR = "qemu-system-x86_64"


class QemuProcess:
    """A QEMU process and the connections to its ports."""

    def __init__(self, machine: vms.Machine, directory: Path) -> None:
        self._owned = ExitStack()
        with ExitStack() as undo:
            ports = {
                name: undo.enter_context(ListeningPort(directory / f"{machine.name}.{number}"))
                for number, name in enumerate(("console", *machine.channels))
            }
            self._process = subprocess.Popen(
                command_line(machine, {name: port.descriptor for name, port in ports.items()}),
                stdin=subprocess.DEVNULL,
                pass_fds=[port.descriptor for port in ports.values()],
            )
            self._owned.callback(self._kill)
            self.console = self._owned.enter_context(vms.LineReader(ports["console"].path))
            self.events = self._owned.enter_context(vms.LineReader(ports[EVENTS_CHANNEL].path))
            self.agent = self._owned.enter_context(Agent(ports[AGENT_CHANNEL].path))

    @property
    def vmm_pid(self) -> int:
        """The pid of QEMU."""
        return self._process.pid

    def destroy(self) -> None:
        """Kill and reap QEMU."""
        self._owned.close()

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()


def command_line(machine: vms.Machine, descriptors: dict[str, int]) -> Sequence[str]:
    """Return QEMU's command line for a machine whose ports listen on the descriptors."""
    kvm = machine.accelerator is vms.Accelerator.KVM
    cpu = ",-".join(("host", *acceleration.broken_features())) if kvm else "max"
    bus = "device" if machine.chipset == "microvm" else "pci"
    assert isinstance(machine.boot, vms.DirectKernel)
    words = [
        EMULATOR, "-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", f"{machine.chipset},usb=off", "-accel", machine.accelerator.value, "-cpu", cpu,
        "-m", str(machine.memory_mib), "-smp", str(machine.vcpus),
        "-kernel", str(machine.boot.kernel), "-initrd", str(machine.boot.initrd),
        "-append", machine.command_line, *machine.qemu_arguments(),
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
    """Base of the machines by QEMU alone."""

    kind: Kind = "machine"

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Kill the machines of dead workers."""
        return leftovers.clean(cls.name, scratch)

    def prepare(self) -> None:
        """Make the directory of the machines."""
        self.directory.mkdir(parents=True, exist_ok=True)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Spawn QEMU. Raise vms.MachineError."""
        process = QemuProcess(machine, self.directory)
        on_running(process)
        return process


class FullQemu(PlainQemu, FullMachine):
    """The traditional machine, by QEMU alone."""

    name = "qemu"


class MicroQemu(PlainQemu, MicroMachine):
    """The smallest machine, by QEMU alone."""

    name = "qemu-microvm"
