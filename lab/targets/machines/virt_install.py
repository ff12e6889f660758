"""The traditional machine by virt-install and a libvirt daemon, as users start machines by hand.

The daemon belongs to the worker (vms.connection.daemon) and is up before the first start. Chipset,
CPU, memory, disk and network are those of `vm`. QEMU connects to listening sockets of the worker
for console, events and agent, so that lines are not lost while virt-install still runs.
(virt-install(1))
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

import vms
from lab.errors import TargetFailed
from lab.targets import leftovers
from lab.targets.machines.listening_port import ListeningPort
from lab.targets.machines.machine import FullMachine, Ports, Running
from lab.targets.programs import last_words
from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL
from vms.guest.tonnage_agent import Agent
from vms.qemu import acceleration
from vms.qemu.reaper import adopting_orphans, reap_when_ended

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lab.targets.base import Settings

PROGRAM = "virt-install"


class InstalledMachine:
    """A running virt-install and the machine that it starts."""

    def __init__(
        self,
        target: VirtInstall,
        machine: vms.Machine,
        on_running: Callable[[Ports], object],
    ) -> None:
        self._connection = target.connection
        self._machine = machine
        self._pid_file = target.root / f"run/qemu/{machine.name}.pid"
        self._on_running = on_running
        self._deadline = time.monotonic() + target.settings.start_deadline_seconds
        self._owned = ExitStack()
        with self._owned:
            self._ports = {
                name: self._owned.enter_context(
                    ListeningPort(target.directory / f"{machine.name}.{number}")
                )
                for number, name in enumerate(("console", EVENTS_CHANNEL, AGENT_CHANNEL))
            }
            self._adopting = self._owned.enter_context(ExitStack())
            self._adopting.enter_context(adopting_orphans())
            paths = {name: port.path for name, port in self._ports.items()}
            self._installer = subprocess.Popen(
                command_line(machine, target.uri, paths),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                process_group=0,  # Ctrl-C is handled by the worker's parent
            )
            self._owned.callback(self._end)
            self._owned = self._owned.pop_all()

    @cached_property
    def console(self) -> vms.LineReader:
        """The lines of its serial console, once QEMU has connected. Raise MachineError."""
        reader = self._owned.enter_context(vms.LineReader(self._accepted("console")))
        self._adopting.close()
        self._on_running(self)
        return reader

    @cached_property
    def events(self) -> vms.LineReader:
        """The agent's events; the machine's port is forwarded at the same time.

        Raise MachineError.
        """
        reader = self._owned.enter_context(vms.LineReader(self._accepted(EVENTS_CHANNEL)))
        self._connection.find(self._machine.name).forward(self._machine)
        return reader

    @cached_property
    def agent(self) -> Agent:
        """The agent that runs commands in the machine. Raise MachineError."""
        return self._owned.enter_context(Agent(self._accepted(AGENT_CHANNEL)))

    @property
    def vmm_pid(self) -> int:
        """The pid of QEMU."""
        return int(self._pid_file.read_text())

    def destroy(self) -> None:
        """Destroy the machine through its libvirt daemon."""
        self._owned.close()

    def _accepted(self, name: str) -> socket.socket:
        """Return the connection of QEMU. Raise MachineError if virt-install fails before."""
        poll = select.poll()
        poll.register(self._ports[name].descriptor, select.POLLIN)
        with ExitStack() as stack:
            if self._installer.poll() is None:
                pidfd = os.pidfd_open(self._installer.pid)
                stack.callback(os.close, pidfd)
                poll.register(pidfd, select.POLLIN)
            while self._ports[name].descriptor not in (ready := self._ready(poll)):
                if self._installer.poll():
                    raise vms.MachineError(f"virt-install failed: {self._last_words()}")
                for ended in ready:
                    poll.unregister(ended)
        return self._ports[name].accept()

    def _ready(self, poll: select.poll) -> list[int]:
        left_seconds = self._deadline - time.monotonic()
        if ready := [each for each, _ in poll.poll(max(0, left_seconds * 1000))]:
            return ready
        raise vms.BootTimeout(f"virt-install did not start {self._machine.name} in time.")

    def _last_words(self) -> str:
        assert self._installer.stderr
        return last_words(self._installer.stderr.read()) or f"exit {self._installer.returncode}"

    def _end(self) -> None:
        with self._installer:
            if self._installer.poll() is None and not self._pid_file.exists():
                self._installer.kill()
            self._installer.wait()
        if self._pid_file.exists():
            reap_when_ended(self.vmm_pid)  # libvirt waits until the process has disappeared
            self._connection.find(self._machine.name).destroy()


def command_line(machine: vms.Machine, uri: str, ports: dict[str, Path]) -> Sequence[str]:
    """Return virt-install's command line for a machine whose ports connect to the paths."""
    kvm = machine.accelerator is vms.Accelerator.KVM
    broken = "".join(f",disable={feature}" for feature in acceleration.broken_features())
    assert isinstance(machine.boot, vms.DirectKernel)
    boot = machine.boot
    words = [
        PROGRAM, "--connect", uri, "--name", machine.name, "--import", "--transient",
        "--noautoconsole", "--noreboot", "--osinfo", "detect=off,require=off",
        "--virt-type", "kvm" if kvm else "qemu", "--machine", machine.chipset,
        "--cpu", f"host-passthrough{broken}" if kvm else "mode=maximum",
        "--memory", str(machine.memory_mib), "--vcpus", str(machine.vcpus),
        "--boot", f"kernel={boot.kernel},initrd={boot.initrd},kernel_args={boot.command_line}",
        "--graphics", "none", "--video", "none", "--sound", "none", "--input", "none",
        "--watchdog", "none", "--tpm", "none", "--rng", "none", "--memballoon", "none",
        "--controller", "usb,model=none", "--network", "user,model=virtio",
    ]  # fmt: skip
    for disk in machine.disks:
        words += ["--disk", f"path={disk.path},format={disk.format},cache={disk.cache},bus=virtio"]
    for name, path in ports.items():
        source = f"unix,source.mode=connect,source.path={path}"
        target = f",target.type=virtio,target.name={name}"
        words += ["--serial", source] if name == "console" else ["--channel", source + target]
    return words


class VirtInstall(FullMachine):
    """The traditional machine, by virt-install."""

    name = "virt-install"
    image_refusal = "it installs the common user land with a boot loader"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.root = settings.scratch / f"tonnage-{self.name}-{os.getpid()}"
        self.uri = ""

    @classmethod
    def absent(cls) -> str:
        """Return why it can't be used: no virt-install, no libvirt daemon, or as for `vm`."""
        if why := super().absent():
            return why
        for program, package in ((PROGRAM, "virtinst"), ("libvirtd", "libvirt-daemon")):
            if not shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
                return f"{program} is not installed: apt-get install {package}"
        return ""

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """End the machines and daemons of dead workers."""
        return leftovers.clean(cls.name, scratch)

    def prepare(self) -> None:
        """Start a libvirt daemon, and connect to it."""
        from vms.connection import daemon  # loads libvirt, which a host may lack

        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self.resources.callback(shutil.rmtree, self.root, ignore_errors=True)
            self.uri = self.resources.enter_context(daemon.running(self.root))
            self.connection = self.resources.enter_context(
                vms.Connection.open(self.root / "c", self.uri)
            )
        except vms.MachineError as error:
            raise TargetFailed(f"virt-install: libvirt did not start: {error}") from error

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Run virt-install. Raise vms.MachineError."""
        return InstalledMachine(self, machine, on_running)
