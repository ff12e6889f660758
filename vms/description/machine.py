"""A machine as a typed description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from vms.description.boot_source import DirectKernel, Firmware
from vms.description.constraints import Between, objections
from vms.description.cpu import Accelerator, Cpu
from vms.description.devices import serial
from vms.description.devices.bus_address import Chipset
from vms.description.devices.disk import Cdrom, Disk
from vms.description.devices.filesystem import Share
from vms.description.devices.network import Network, UserNetwork
from vms.description.devices.rng import Rng
from vms.description.devices.vsock import Vsock
from vms.description.devices.watchdog import Watchdog
from vms.description.mac import canonical
from vms.description.memory import Balloon, Memory
from vms.description.names import Name
from vms.errors import InvalidDescription, NotFound
from vms.hosts import HERE, Host

_REBOOT = re.compile(r"(?:^|\s)reboot=")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine. `channels` names its virtio-serial ports; the console is the first UART.

    `video` adds a display, of which screenshots can be taken; no window shows it. With
    `panic_notifier` the guest's kernel reports a panic to the host. `spare_ports` is the number of
    devices that can be plugged into a running q35, whose bus can't grow while it runs.
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
        """Raise InvalidDescription, naming the field, for a value that no machine can have."""
        for sentence in objections(self):
            raise InvalidDescription(f"{self.name}: {sentence}.")

    def check(self, host: Host = HERE) -> None:
        """Check that the machine can be started, as far as its description and files go.

        Raise InvalidDescription, naming the field, or NotFound, naming the file. Files of another
        host can't be checked; their paths must be absolute.
        """
        self.check_fields()
        for path in (*self._files(), *(share.directory for share in self.shares)):
            host.path(path)
        if not host.is_here:
            return
        for path in self._files():
            if not path.is_file():
                raise NotFound(f"{self.name}: there is no file {path}.")
        for share in self.shares:
            if not share.directory.is_dir():
                raise NotFound(f"{self.name}: there is no directory {share.directory}.")

    def objection(self) -> str:
        """Return the first conflict between the machine's parts, if any."""
        return next(
            (
                sentence
                for check in (self._cpu_objections, self._room_objections, self._microvm_objections)
                for sentence in check()
            ),
            "",
        )

    def forwards(self) -> Iterator[tuple[int, UserNetwork]]:
        """Yield the cards with port forwards that domain XML can't express, by their number."""
        for number, card in enumerate(self.networks):
            if isinstance(card, UserNetwork) and card.backend == "slirp" and card.forwards:
                yield number, card

    @property
    def command_line(self) -> str:
        """The kernel's command line; on `microvm`, with the one way to restart such a machine.

        A microvm has no keyboard controller to reset it. A Linux that is not told to cause a triple
        fault jumps to the firmware's first instruction instead, and may run wild from there: under
        emulation, one machine in four did not end after a panic. (QEMU, "microvm" machine, on
        guest-initiated shut down; Linux, kernel-parameters.txt, reboot=)
        """
        if not isinstance(self.boot, DirectKernel):
            return ""
        line = self.boot.command_line
        if self.chipset != "microvm" or _REBOOT.search(line):
            return line
        return f"{line} reboot=t".lstrip()

    def qemu_arguments(self) -> tuple[str, ...]:
        """Return QEMU arguments for settings that domain XML can't express.

        The legacy timer (i8254) of a microvm fires some 36 times a second, used or not; for an idle
        emulated guest that is most of QEMU's work. A Linux guest needs the timer to measure its
        time stamp counter, unless its command line names the counter's frequency.
        """
        measures = "tsc_early_khz=" not in self.command_line
        return () if self.chipset != "microvm" or measures else ("-machine", "pit=off")

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
            yield f"cpu.maximum ({most}) is less than vcpus ({self.vcpus})"
        topology = self.cpu.topology
        if topology and topology.cpus != most:
            yield f"cpu.topology has {topology.cpus} CPUs, but the machine has {most}"
        if self.cpu.pins and max(self.cpu.pins) >= most:
            yield f"cpu.pins names vCPU {max(self.cpu.pins)}, but the last vCPU is {most - 1}"

    def _room_objections(self) -> Iterator[str]:
        most = self.memory.maximum_mib
        if most and most < self.memory_mib:
            yield f"memory.maximum_mib ({most}) is less than memory_mib ({self.memory_mib})"
        page = self.memory.huge_page_kib
        if page and self.memory_mib * 1024 % page:
            yield f"memory_mib must be a multiple of memory.huge_page_kib ({page})"
        if isinstance(self.boot, Firmware) and not (self.disks or self.cdroms):
            yield "disks is empty: add a disk or a CD-ROM to boot from, or name a kernel"
        for field_name, values in (
            ("channels", self.channels),
            ("shares", tuple(share.tag for share in self.shares)),
            ("networks", tuple(canonical(card.mac) for card in self.networks if card.mac)),
            ("disks", tuple(str(disk.path) for disk in self.disks if not disk.read_only)),
        ):
            duplicates = [value for value, count in Counter(values).items() if count > 1]
            if duplicates:
                yield f"{field_name} contains {duplicates[0]} twice"

    def _microvm_objections(self) -> Iterator[str]:
        """Yield features that a microvm lacks: PCI, firmware that boots from disks, hotplug."""
        if self.chipset != "microvm":
            return
        if not isinstance(self.boot, DirectKernel) or self.boot.firmware != Firmware():
            yield "boot on a microvm must be a kernel without uefi"
        if any(share.driver == "virtiofs" for share in self.shares):
            yield "shares on a microvm must have driver 9p"
        for field_name, value in {
            "disks.own_thread": any(disk.own_thread for disk in self.disks),
            "cdroms": self.cdroms,
            "watchdog": self.watchdog,
            "video": self.video,
            "memory.maximum_mib": self.memory.maximum_mib,
            "cpu.maximum": self.cpu.maximum,
        }.items():
            if value:
                yield f"{field_name} is not supported on a microvm"
