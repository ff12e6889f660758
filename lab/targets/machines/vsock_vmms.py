"""Firecracker and cloud-hypervisor: the smallest machine by minimal VMMs, which need KVM.

Neither can unpack a kernel, so both get the ELF image inside the packaged kernel, and an initramfs
that includes the vsock driver. Events and agent use vsock, which these VMMs forward to UNIX
sockets; the guest connects, so nothing has to poll. Neither supports thin clones of a disk: each
machine gets a copy that is made before the request, and that is a full copy if the file system
can't share blocks. (firecracker, docs/vsock.md; cloud-hypervisor, docs/vsock.md)
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import vms
from lab.errors import TargetFailed
from lab.network import tap
from lab.targets.machines import tap_vmms
from lab.targets.machines.listening_port import ListeningPort
from lab.targets.machines.tap_vmms import RAW, TapInstance, TapMachine, VmmProcess
from lab.userland.guest_kernel import MODULES
from vms.boot import kernel
from vms.boot.initramfs import build_initramfs
from vms.guest.payload_protocol import AGENT_VSOCK_PORT, EVENTS_VSOCK_PORT
from vms.guest.tonnage_agent import Agent
from vms.storage import disks

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lab.targets.base import Allotment
    from lab.targets.machines.machine import Ports, Running

_GUEST_CONTEXT = 3
_MODULES = (*MODULES, "vmw_vsock_virtio_transport")


class VsockVmm:
    """A running VMM and the connections to its guest."""

    def __init__(
        self, argv: Sequence[str], name: str, vsock: Path, deadline_seconds: float
    ) -> None:
        self._name = name
        self._deadline_seconds = deadline_seconds
        self._owned = ExitStack()
        with self._owned:
            own = self._owned.enter_context
            self._owned.callback(vsock.unlink, missing_ok=True)
            self._events = own(ListeningPort(vsock.with_name(f"{vsock.name}_{EVENTS_VSOCK_PORT}")))
            self._agent = own(ListeningPort(vsock.with_name(f"{vsock.name}_{AGENT_VSOCK_PORT}")))
            with ListeningPort(vsock.with_name(f"{vsock.name}_console")) as console:
                self.console = own(vms.LineReader(console.path))
                with console.accept() as end:
                    self.process = VmmProcess(self._owned, argv, (), end.fileno())
            self._owned = self._owned.pop_all()

    @cached_property
    def events(self) -> vms.LineReader:
        """The payload's events, once it has connected. Raise BootTimeout."""
        return self._owned.enter_context(vms.LineReader(self._accepted(self._events)))

    @cached_property
    def agent(self) -> Agent:
        """The agent that runs commands, once it has connected. Raise BootTimeout."""
        return self._owned.enter_context(Agent(self._accepted(self._agent)))

    @property
    def vmm_pid(self) -> int:
        """The pid of the VMM."""
        return self.process.pid

    def destroy(self) -> None:
        """Kill and reap the VMM."""
        self._owned.close()

    def _accepted(self, port: ListeningPort) -> socket.socket:
        try:
            return port.accept(self._deadline_seconds)
        except TimeoutError as error:
            raise vms.BootTimeout(f"{self._name} did not connect by vsock.") from error


class VsockMachine(TapMachine):
    """Base of both targets."""

    program: str

    @classmethod
    def absent(cls) -> str:
        """Return the reason why it can't be used; KVM is probed last, as that may take seconds."""
        from lab.userland import kvm_probe

        if why := tap_vmms.absent(cls.program, ""):
            return why
        verdict = kvm_probe.prove(lambda _: None)
        return "" if verdict.works else f"it needs KVM: {verdict.reason}"

    def prepare(self) -> None:
        """Make the raw disk, unpack the kernel, and make the initramfs."""
        land = self.settings.userland
        super().prepare()
        self.emulation_words = ""
        vmlinux, initramfs = self.directory / "vmlinux", self.directory / "initramfs.cpio"
        try:
            kernel.uncompress(land.kernel, vmlinux)
            self.resources.callback(vmlinux.unlink)
            modules = kernel.fetch(land.kernel.parent.parent)
            build_initramfs(initramfs, land.payload, modules, _MODULES)
            self.resources.callback(initramfs.unlink)
        except vms.MachineError as error:
            raise TargetFailed(
                f"{self.name}: kernel or initramfs can't be made: {error}"
            ) from error
        self.settings = replace(
            self.settings, userland=replace(land, kernel=vmlinux, initramfs=initramfs)
        )

    def start(self, allotment: Allotment | None = None) -> TapInstance:
        """Start a VMM on a copy of the disk."""
        name = self.new_name()
        disk = self.directory / f"{name}.raw"
        disks.copy(self.directory / RAW, disk)
        t0_ns = time.monotonic_ns()
        return TapInstance(self, self.describe(name, disk, allotment), t0_ns)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Spawn the VMM. Raise vms.MachineError."""
        vsock = self.directory / f"{machine.name}.vsock"
        seconds = self.settings.start_deadline_seconds
        process = VsockVmm(self.command_line(machine, vsock), machine.name, vsock, seconds)
        on_running(process)
        return process

    @abstractmethod
    def command_line(self, machine: vms.Machine, vsock: Path) -> Sequence[str]:
        """Return the VMM's command line; make the files that it names."""


class Firecracker(VsockMachine):
    """Firecracker, configured by a file instead of its API; ACPI devices need version 1.8."""

    name = "firecracker"
    program = "firecracker"
    kernel_words = "console=ttyS0 quiet loglevel=1 panic=-1 reboot=k pci=off TONNAGE_ROOT=/dev/vda"

    def command_line(self, machine: vms.Machine, vsock: Path) -> Sequence[str]:
        """Return the command line, and write the configuration beside the disk."""
        file = self.directory / "firecracker.json"
        file.write_text(json.dumps(configuration(machine, vsock)), encoding="utf-8")
        return [self.program, "--id", machine.name, "--no-api", "--config-file", str(file)]


class CloudHypervisor(VsockMachine):
    """cloud-hypervisor, configured by its command line."""

    name = "cloud-hypervisor"
    program = "cloud-hypervisor"
    kernel_words = "console=ttyS0 quiet loglevel=1 panic=-1 TONNAGE_ROOT=/dev/vda"

    def command_line(self, machine: vms.Machine, vsock: Path) -> Sequence[str]:
        """Return the command line, which has the whole configuration."""
        assert isinstance(machine.boot, vms.DirectKernel)
        return [
            self.program,
            "--kernel", str(machine.boot.kernel), "--initramfs", str(machine.boot.initrd),
            "--cmdline", machine.boot.command_line,
            "--cpus", f"boot={machine.vcpus}", "--memory", f"size={machine.memory_mib}M",
            "--disk", f"path={machine.disks[0].path}",
            "--net", f"tap={tap.NAME},mac={tap.GUEST_MAC}",
            "--vsock", f"cid={_GUEST_CONTEXT},socket={vsock}",
            "--serial", "tty", "--console", "off",
        ]  # fmt: skip


def configuration(machine: vms.Machine, vsock: Path) -> dict[str, object]:
    """Return Firecracker's configuration of a machine: the bodies of its API's requests, by name.

    (firecracker, src/firecracker/swagger/firecracker.yaml)
    """
    assert isinstance(machine.boot, vms.DirectKernel)
    return {
        "boot-source": {
            "kernel_image_path": str(machine.boot.kernel),
            "initrd_path": str(machine.boot.initrd),
            "boot_args": machine.boot.command_line,
        },
        "machine-config": {"vcpu_count": machine.vcpus, "mem_size_mib": machine.memory_mib},
        "drives": [
            {
                "drive_id": "disk",
                "path_on_host": str(machine.disks[0].path),
                "is_root_device": False,
                "is_read_only": False,
            }
        ],
        "network-interfaces": [
            {"iface_id": "eth0", "host_dev_name": tap.NAME, "guest_mac": tap.GUEST_MAC}
        ],
        "vsock": {"guest_cid": _GUEST_CONTEXT, "uds_path": str(vsock)},
    }
