"""Base of the smallest machine by VMMs other than QEMU.

User land, memory size and static init are those of `microvm`. Each machine is a child process of
the worker, in its own process group and network namespace. These VMMs have no user-mode network, so
each machine gets a tap device (lab.network.tap), whose creation is part of the start.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import vms
from lab.errors import TargetFailed
from lab.host.processes import all_pids, ended, group, handles
from lab.network import tap
from lab.network.tap import Tap
from lab.targets import leftovers
from lab.targets.machines.machine import MachineInstance, MicroMachine, Running
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.targets.base import Allotment

RAW = "base.raw"
_END_SECONDS = 5.0


class VmmProcess:
    """A VMM's process group and its network; `owned` releases both."""

    def __init__(
        self, owned: ExitStack, argv: Sequence[str], pass_fds: Sequence[int], console: int
    ) -> None:
        self.tap = Tap()
        owned.callback(self.tap.close)
        with self.tap.inside():
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=console,
                    stdout=console,
                    stderr=subprocess.DEVNULL,
                    pass_fds=pass_fds,
                    process_group=0,
                )
            except OSError as error:
                raise vms.MachineError(f"Can't run {argv[0]}: {error.strerror}.") from error
        owned.callback(self._kill)
        self.pid = self._process.pid

    def pids(self) -> list[int]:
        """Return the pids of the process group."""
        return [pid for pid in all_pids() if group(pid) == self.pid]

    def _kill(self) -> None:
        with ExitStack() as stack:
            watched = list(handles(stack, self.pids()))
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            deadline_ns = time.monotonic_ns() + int(_END_SECONDS * 1e9)
            for handle in watched:
                ended(handle, deadline_ns)


class TapVmm(Running, Protocol):
    """A running machine of such a VMM."""

    @property
    def process(self) -> VmmProcess:
        """The VMM's process."""


class TapInstance(MachineInstance):
    """A machine with a network of its own, from which requests are sent to it."""

    domain: TapVmm
    address = tap.GUEST_ADDRESS
    started_by = "tap and VMM"

    def ask(self) -> int:
        """Send a request from the machine's network; return the time of the answer."""
        with self.domain.process.tap.inside():
            return super().ask()

    def pids(self) -> list[int]:
        """Return the pids of the VMM's process group."""
        return self.domain.process.pids()


class TapMachine(MicroMachine):
    """Base of the targets: each machine has its own raw disk and tap device."""

    image_refusal = "its VMM is set up for the common user land"

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Kill the machines of dead workers."""
        return leftovers.clean(cls.name, scratch)

    def prepare(self) -> None:
        """Convert the disk to the raw format, which all of these VMMs read."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.unpack([self.settings.userland.disk], self.directory)
        self.resources.callback((self.directory / RAW).unlink)

    def unpack(self, files: list[Path], directory: Path) -> None:
        """Convert the shipped disk to a raw one. Raise TargetFailed."""
        try:
            disks.expand(files[0], directory / RAW)
        except vms.MachineError as error:
            raise TargetFailed(f"{self.name}: the raw disk can't be made: {error}") from error

    def image_paths(self) -> list[Path]:
        """Return raw disk, kernel and initramfs."""
        return [self.directory / RAW, *super().image_paths()[1:]]

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """Return the machine without QEMU's network; the VMM opens the tap device itself."""
        return replace(super().describe(name, disk, allotment), networks=())


def absent(program: str, package: str) -> str:
    """Return the reason why a VMM can't be used; empty if it can."""
    if os.geteuid() != 0:
        return "it needs root"
    if not shutil.which(program):
        return f"{program} is not installed{package and f': apt-get install {package}'}"
    if not shutil.which("qemu-img"):
        return "qemu-img is not installed: apt-get install qemu-utils"
    return tap.absent()
