"""Virtual machines by libvirt (`vms`): a traditional machine, and the smallest one."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

import vms
from lab.errors import StartFailed, TargetFailed, Unavailable
from lab.host import kvm, libvirt_library
from lab.host.disk_usage import allocated_bytes
from lab.paths import cache_directory
from lab.targets import image_readiness, peer_servers
from lab.targets.base import (
    VOLUME,
    Attachment,
    CommandResult,
    Instance,
    Kind,
    Span,
    Target,
    read_answer,
)
from lab.targets.machines import guest_log
from lab.targets.programs import free_port
from lab.userland.guest_kernel import uncompressed
from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL, TCP_PORT
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.metrics import Milestone
    from lab.network.isolated_network import IsolatedNetwork
    from lab.targets.base import Allotment, Settings
    from vms.guest.tonnage_agent import Agent

_ASK_SECONDS = 30.0
_VOLUME_BYTES = 256 << 20
_KERNEL_WORDS = "console=ttyS0 quiet loglevel=1 net.ifnames=0 panic=-1"
# The init starts the image's command, and the machine stays when that ends.
_IMAGE_WORDS = f"{_KERNEL_WORDS} TONNAGE_ROOT=/dev/vda TONNAGE_STAY=1"


class Ports(Protocol):
    """The connections to a machine's console, events and agent."""

    @property
    def console(self) -> vms.LineReader:
        """The lines of its console."""

    @property
    def events(self) -> vms.LineReader:
        """The events of its start, as lines."""

    @property
    def agent(self) -> Agent:
        """The agent that runs commands in it."""


class Running(Ports, Protocol):
    """A running machine, be it started by libvirt or not."""

    @property
    def vmm_pid(self) -> int:
        """The pid of its VMM."""

    def destroy(self) -> None:
        """Power the machine off at once."""


class MachineInstance(Instance):
    """The payload in a machine, which is reached by virtio-serial and a forwarded port."""

    domain: Running
    address = "127.0.0.1"
    started_by = "libvirt and QEMU"

    def __init__(self, target: Machine, machine: vms.Machine, t0_ns: int) -> None:
        self.name = machine.name
        self.t0_ns = t0_ns
        self.disk = machine.disks[0].path
        self._application = target.settings.userland.application
        self.has_userspace = target.has_userspace and not self._application
        self._ready_ns = 0
        forwards = [each for _, network in machine.forwards() for each in network.forwards]
        self.port = forwards[0].host if forwards else TCP_PORT
        self._deadline_seconds = target.settings.start_deadline_seconds
        self._listening = False
        self._cloned_ns = time.monotonic_ns()
        self._running_ns = 0
        try:
            self.domain = target.launch(machine, self.note_running)
        except vms.MachineError as error:
            self.disk.unlink(missing_ok=True)
            raise StartFailed(f"{self.name} did not start: {error}") from error

    def note_running(self, ports: Ports) -> None:
        """Store the time from which the guest runs."""
        self._running_ns = time.monotonic_ns()

    def reached(self, milestone: Milestone) -> int | None:
        """Return when the milestone's line arrived at the host; for `ready`, when a request did."""
        if milestone == "first-instruction":
            return self._line("console", "first-instruction")
        if not self._listening:
            self._line("events", "listening")
            self._listening = True
        if milestone == "ready":
            return self._ready()
        return self._line("events", "userspace") if self.has_userspace else None

    def _ready(self) -> int:
        if not self._application:
            return self.ask()
        if not self._ready_ns:
            started_ns = self._line("events", "started")
            self._ready_ns = image_readiness.await_ready(self, self._application, started_ns)
        return self._ready_ns

    def ask(self) -> int:
        """Send a request to the machine's address, through the forwarded port.

        An image's application is asked instead, from inside. Return the time of the answer. Raise
        TargetFailed.
        """
        if self._application:
            return image_readiness.ask(self, self._application)
        try:
            with socket.create_connection((self.address, self.port), _ASK_SECONDS) as connection:
                return read_answer(connection, self.name)
        except OSError as error:
            raise TargetFailed(f"{self.name} did not answer a request: {error}.") from error

    def request(self, words: list[str], what: str, timeout_seconds: float) -> CommandResult:
        """Send the request to the machine's agent; the time is by the machine's clock."""
        try:
            result = self.domain.agent.run(words, timeout_seconds=timeout_seconds)
        except vms.MachineError as error:
            raise TargetFailed(str(error).replace(words[0], what)) from error
        return CommandResult(result.exit_code, result.stdout, result.stderr, result.elapsed_ns)

    has_console = True

    def console(self, word: str, deadline_ns: int) -> int:
        """Wait for a console line and return when it arrived at the host."""
        try:
            return self.domain.console.wait_for(word, deadline_ns)
        except vms.MachineError as error:
            raise StartFailed(f"{self.name} did not print {word}: {error}") from error

    def pids(self) -> list[int]:
        """Return the pid of the VMM; the embedded driver has no other process per machine."""
        return [self.domain.vmm_pid]

    def spans(self) -> list[Span]:
        """Return the steps of the host (disk, VMM), and those from the guest's log."""
        return [
            Span("clone the disk", self.t0_ns, self._cloned_ns),
            Span(self.started_by, self._cloned_ns, self._running_ns),
            *guest_log.spans(
                self.run,
                self._running_ns,
                self._line("console", "first-instruction"),
            ),
        ]

    def stop(self) -> None:
        """Destroy it and remove its disk."""
        self.domain.destroy()
        self.disk.unlink(missing_ok=True)

    def _line(self, port: Literal["console", "events"], word: str) -> int:
        deadline_ns = self.t0_ns + int(self._deadline_seconds * 1e9)
        try:
            reader: vms.LineReader = getattr(self.domain, port)
            return reader.wait_for(word, deadline_ns)
        except vms.BootTimeout as error:
            raise StartFailed(
                f"{self.name} did not reach {word} within {self._deadline_seconds:.0f} s: {error}"
            ) from error
        except vms.MachineError as error:
            raise StartFailed(f"{self.name} did not start: {error}") from error


class Machine(Target):
    """Base of the machines: the libvirt connection, the disk clones, the ports."""

    kind: Kind = "machine"
    chipset: Literal["q35", "microvm"]
    memory_mib: int
    has_userspace: bool
    kernel_words: str
    connection: vms.Connection

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._numbers = itertools.count()
        emulated = settings.accelerator == "tcg"
        self.emulation_words = acceleration.kernel_words() if emulated else ""
        self.directory = settings.scratch / self.name

    @classmethod
    def absent(cls) -> str:
        """Return why machines can't run here: no root, no QEMU, no libvirt; else empty."""
        if os.geteuid() != 0:
            return "it needs root"
        if not shutil.which("qemu-system-x86_64"):
            return "qemu-system-x86_64 is not installed: apt-get install qemu-system-x86"
        return libvirt_library.absent()

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Destroy the machines of dead workers, and their libvirt state."""
        if libvirt_library.absent():
            return []
        return vms.clean(scratch / f"l-{cls.name}")

    def prepare(self) -> None:
        """Open libvirt's embedded driver, with a root directory for this worker only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.settings.accelerator == "kvm" and kvm.needs_pvh():
            land = self.settings.userland
            land = replace(land, kernel=uncompressed(land.kernel))
            self.settings = replace(self.settings, userland=land)
        self.connection = self.resources.enter_context(
            vms.Connection.open(
                root=self.settings.scratch / f"l-{self.name}",
                image_directories=(cache_directory(),),
            )
        )

    def start(self, allotment: Allotment | None = None) -> MachineInstance:
        """Clone the disk and start a transient domain."""
        return self._start(lambda name, disk: self.describe(name, disk, allotment))

    def _start(self, describe: Callable[[str, Path], vms.Machine]) -> MachineInstance:
        """Start the machine that `describe` returns for a name and a disk."""
        name = self.new_name()
        disk = self.directory / f"{name}.qcow2"
        t0_ns = time.monotonic_ns()
        disks.clone(self.settings.userland.disk, disk)
        return MachineInstance(self, describe(name, disk), t0_ns)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Start the machine. Raise vms.MachineError."""
        return self.connection.start(machine, on_running=on_running)

    def new_name(self) -> str:
        """Return a new name, which contains the target and the worker's pid."""
        return f"tonnage-{self.name}-{os.getpid()}-{next(self._numbers)}"

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """Return the description of a machine on that disk, with a forwarded port."""
        userland = self.settings.userland
        words = _IMAGE_WORDS if userland.application else self.kernel_words
        words = f"{words} {self.emulation_words}".rstrip()
        return vms.Machine(
            name=name,
            vcpus=math.ceil(allotment.cpus) if allotment else 1,
            memory_mib=allotment.memory_bytes >> 20 if allotment else self.memory_mib,
            accelerator=vms.Accelerator(self.settings.accelerator),
            chipset=self.chipset,
            boot=vms.DirectKernel(userland.kernel, userland.initramfs, words),
            disks=(vms.Disk(disk),),
            channels=(EVENTS_CHANNEL, AGENT_CHANNEL),
            networks=(vms.UserNetwork((vms.Forward(free_port(), TCP_PORT),)),),
            spare_ports=0,  # no device is plugged into a measured machine
        )

    def image_bytes(self) -> dict[str, int]:
        """Return the bytes of disk, kernel and initramfs, as shipped and unpacked."""
        return {
            "image-compressed": sum(map(allocated_bytes, self.shipped())),
            "image-on-disk": sum(map(allocated_bytes, self.image_paths())),
        }

    def shipped(self) -> list[Path]:
        """Return kernel, initramfs and the compressed qcow2 file, which needs no unpacking."""
        userland = self.settings.userland
        return [userland.shipped_disk, userland.kernel, userland.initramfs]

    def image_paths(self) -> list[Path]:
        """Return disk, kernel and initramfs."""
        userland = self.settings.userland
        return [userland.disk, userland.kernel, userland.initramfs]

    def instance_disk_bytes(self, instance: Instance) -> int:
        """Return the bytes of the machine's own disk, usually a thin clone."""
        assert isinstance(instance, MachineInstance)
        return allocated_bytes(instance.disk)


class FullMachine(Machine):
    """The traditional machine: q35, a disk, systemd up to its default target."""

    name = "vm"
    image_refusal = ""
    chipset = "q35"
    memory_mib = 256
    has_userspace = True
    kernel_words = (
        f"{_KERNEL_WORDS} systemd.show_status=0 TONNAGE_ROOT=/dev/vda TONNAGE_INIT=/sbin/init"
    )
    attachments: tuple[Attachment, ...] = ("bridge", "nat", "user", "volume")
    card_queues = 1  # of a network card on a bridge

    @contextmanager
    def attached(
        self,
        attachment: Attachment,
        allotment: Allotment | None = None,
        network: IsolatedNetwork | None = None,
    ) -> Iterator[MachineInstance]:
        """Start a machine with a card on a bridge, QEMU's user-mode network, or a second disk."""
        with ExitStack() as stack:
            if attachment == "volume":
                volume = self.directory / "volume.raw"
                stack.callback(volume.unlink, missing_ok=True)
                _make_volume(volume)
                disk = vms.Disk(volume, format="raw", cache="none")
                instance = stack.enter_context(self._start_with(allotment, volumes=(disk,)))
                _run_in(instance, f"mount /dev/vdb {VOLUME}")
                yield instance
                return
            if network is None:
                network = stack.enter_context(peer_servers.network_with_peer(self.settings))
            stack.enter_context(network.at_host())
            if attachment in ("user", "host"):
                yield stack.enter_context(self.start(allotment))
                return
            card = vms.HostBridge(network.bridge(attachment), queues=self.card_queues)
            instance = stack.enter_context(self._start_with(allotment, networks=(card,)))
            _run_in(instance, network.inside(attachment, "eth1"))
            yield instance

    def _start_with(
        self,
        allotment: Allotment | None,
        *,
        volumes: tuple[vms.Disk, ...] = (),
        networks: tuple[vms.HostBridge, ...] = (),
    ) -> MachineInstance:
        """Start a machine with additional disks and network cards."""

        def describe(name: str, disk: Path) -> vms.Machine:
            plain = self.describe(name, disk, allotment)
            return replace(
                plain, disks=(*plain.disks, *volumes), networks=(*plain.networks, *networks)
            )

        return self._start(describe)


class MicroMachine(Machine):
    """The smallest machine: QEMU's microvm, no firmware, a static init, the same user land."""

    name = "microvm"
    image_refusal = ""
    chipset = "microvm"
    memory_mib = 256
    has_userspace = False
    kernel_words = f"{_KERNEL_WORDS} TONNAGE_ROOT=/dev/vda"


def _make_volume(path: Path) -> None:
    """Make an empty ext4 file system in a file. Raise Unavailable. (mke2fs(8))"""
    with path.open("wb") as file:
        file.truncate(_VOLUME_BYTES)
    result = subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", str(path)], capture_output=True, check=False
    )
    if result.returncode:
        error = result.stderr.decode(errors="replace").strip()
        raise Unavailable(f"No volume can be made: {error}.")


def _run_in(instance: MachineInstance, script: str) -> None:
    result = instance.run(["sh", "-ec", script], _ASK_SECONDS)
    if result.exit_code:
        error = result.stderr.decode(errors="replace").strip()
        raise TargetFailed(f"The attachment of {instance.name} can't be set up inside: {error}.")
