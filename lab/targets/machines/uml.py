"""User-mode-linux: a guest kernel that runs as a process of the host, without KVM.

Its instructions run directly on the CPU; only system calls are intercepted (ptrace(2)), which is
expensive. So it is a machine, but it is not emulated. The kernel is that of the package
user-mode-linux, `linux.uml`; the user land is the common one, with a copy-on-write disk (ubd) on
top. Console, events and agent are serial lines on inherited sockets: the first instruction is the
arrival of its line at the host, as for every machine. The network is a tap device.
(Linux, Documentation/virt/uml/user_mode_linux_howto_v2.rst)
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import vms
from lab.host import plain_paths
from lab.network import tap
from lab.targets.machines import tap_vmms
from lab.targets.machines.listening_port import ListeningPort
from lab.targets.machines.machine import Ports, Running
from lab.targets.machines.tap_vmms import RAW, TapInstance, TapMachine, VmmProcess
from lab.userland.payload import build_payload
from vms.boot import cpio
from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL
from vms.guest.tonnage_agent import Agent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.targets.base import Allotment

PROGRAM = "linux.uml"
_PROBE_SECONDS = 15.0
# The guest's serial lines ttyS1 and ttyS2, by the channel that they carry.
_LINES = {EVENTS_CHANNEL: 1, AGENT_CHANNEL: 2}


class UmlProcess:
    """A running user-mode kernel and the connections to its serial lines."""

    def __init__(self, machine: vms.Machine, base: Path, directory: Path) -> None:
        self._owned = ExitStack()
        with self._owned:
            with ExitStack() as until_spawned:
                ports = {
                    name: until_spawned.enter_context(
                        ListeningPort(directory / f"{machine.name}.{number}")
                    )
                    for number, name in enumerate(("console", *_LINES))
                }
                own = self._owned.enter_context
                self.console = own(vms.LineReader(ports["console"].path))
                self.events = own(vms.LineReader(ports[EVENTS_CHANNEL].path))
                self.agent = own(Agent(ports[AGENT_CHANNEL].path))
                ends = {
                    name: until_spawned.enter_context(port.accept()).fileno()
                    for name, port in ports.items()
                }
                # The kernel keeps its pid and its management socket there.
                self._owned.callback(shutil.rmtree, directory / machine.name, ignore_errors=True)
                argv = command_line(machine, base, directory, ends)
                self.process = VmmProcess(self._owned, argv, tuple(ends.values()), ends["console"])
            self._owned = self._owned.pop_all()

    @property
    def vmm_pid(self) -> int:
        """The pid of the kernel."""
        return self.process.pid

    def destroy(self) -> None:
        """Kill and reap the kernel, and the host processes of its guest's processes."""
        self._owned.close()


def command_line(
    machine: vms.Machine, base: Path, directory: Path, descriptors: Mapping[str, int]
) -> Sequence[str]:
    """Return the kernel's command line; console and lines are on the given descriptors."""
    assert isinstance(machine.boot, vms.DirectKernel)
    lines = [f"ssl{number}=fd:{descriptors[name]}" for name, number in _LINES.items()]
    return [
        str(machine.boot.kernel),
        f"umid={machine.name}",
        f"uml_dir={directory}",
        f"mem={machine.memory_mib}M",
        f"initrd={machine.boot.initrd}",
        f"ubd0={machine.disks[0].path},{base}",
        f"eth0=tuntap,{tap.NAME},{tap.GUEST_MAC}",
        "con=null",
        "con0=fd:0,fd:1",
        "ssl=null",
        *lines,
        *machine.boot.command_line.split(),
    ]


class UserModeLinux(TapMachine):
    """The smallest machine, by user-mode-linux."""

    name = "uml"
    kernel_words = " ".join(
        ("quiet loglevel=1 panic=-1 TONNAGE_ROOT=/dev/ubda",
         *(f"TONNAGE_{name.rpartition('.')[2].upper()}=/dev/ttyS{n}" for name, n in _LINES.items()))
    )  # fmt: skip

    @classmethod
    def absent(cls) -> str:
        """Return the reason why user-mode-linux can't be used; empty if it can."""
        return tap_vmms.absent(PROGRAM, "user-mode-linux") or _incompatibility()

    def prepare(self) -> None:
        """Make the raw disk, and an initramfs without modules: its drivers are built in."""
        super().prepare()
        initramfs = self.directory / "initramfs.cpio"
        _write_initramfs(initramfs, self.settings.userland.payload)
        self.resources.callback(initramfs.unlink)
        kernel = shutil.which(PROGRAM)
        assert kernel
        self.emulation_words = ""
        self.settings = replace(
            self.settings,
            userland=replace(self.settings.userland, kernel=Path(kernel), initramfs=initramfs),
        )

    def start(self, allotment: Allotment | None = None) -> TapInstance:
        """Start a kernel, which makes its copy-on-write disk itself."""
        name = self.new_name()
        disk = self.directory / f"{name}.cow"
        t0_ns = time.monotonic_ns()
        return TapInstance(self, self.describe(name, disk, allotment), t0_ns)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Spawn the kernel. Raise vms.MachineError."""
        process = UmlProcess(machine, self.directory / RAW, self.directory)
        on_running(process)
        return process


def _write_initramfs(path: Path, payload: Path) -> None:
    with path.open("wb") as file:
        archive = cpio.Writer(file)
        archive.directory("dev")
        archive.device("dev/console", 5, 1)
        archive.file("init", payload.read_bytes(), mode=0o755)
        archive.end()


@functools.cache
def _incompatibility() -> str:
    """Return the reason why guests panic on this CPU; empty if they do not.

    A guest is booted to find out: Debian 12's kernel can't run any program on a CPU with AMX, whose
    register state is larger than that kernel expects.
    """
    with plain_paths.temporary_directory("tonnage-uml-") as name, ExitStack() as stack:
        directory = Path(name)
        _write_initramfs(directory / "initramfs.cpio", build_payload(lambda _: None))
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        try:
            process = stack.enter_context(
                subprocess.Popen(
                    [PROGRAM, "umid=probe", f"uml_dir={directory}", "mem=64M",
                     f"initrd={directory / 'initramfs.cpio'}", "con=null", "con0=fd:0,fd:1",
                     "ssl=null", "quiet", "loglevel=1", "panic=-1"],
                    stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL,
                    process_group=0,
                )
            )  # fmt: skip
        except OSError as error:
            return f"{PROGRAM} can't be run: {error.strerror}"
        stack.callback(os.killpg, process.pid, signal.SIGKILL)
        theirs.close()
        ours.settimeout(_PROBE_SECONDS)
        with suppress(OSError), ours.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"first-instruction"):
                    break
                if b"Kernel panic" in line:
                    return f"its kernel panics on this CPU: {line.decode().strip()}"
    return ""
