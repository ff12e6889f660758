"""The smallest machine by VMMs other than QEMU.

The user land, its size and its one static init are those of `microvm`. Each machine is a child of
the worker, in a process group and a network of its own: these VMMs know no network in user space,
so each gets a tap device (lab.network.tap), whose making counts as part of the start.
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
from lab.errors import LabError
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


class Child:
    """A VMM's process group, and the network that it is in."""

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
        """Every process of the group."""
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
    """What runs such a machine."""

    @property
    def child(self) -> Child:
        """The VMM."""


class TapInstance(MachineInstance):
    """A machine that is asked in the network that it has alone."""

    domain: TapVmm
    address = tap.GUEST_ADDRESS
    started_by = "tap and VMM"

    def ask(self) -> int:
        """When the payload answered on the machine's address."""
        with self.domain.child.tap.inside():
            return super().ask()

    def pids(self) -> list[int]:
        """The VMM's processes."""
        return self.domain.child.pids()


class TapMachine(MicroMachine):
    """What they share: raw disks, of which each machine has its own, and the tap."""

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Kill those whose worker is gone."""
        return leftovers.clean(cls.name, scratch)

    def prepare(self) -> None:
        """Turn the disk into a raw one, which is all that these VMMs read alike."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.unpack([self.settings.userland.disk], self.directory)
        self.resources.callback((self.directory / RAW).unlink)

    def unpack(self, files: list[Path], directory: Path) -> None:
        """The raw disk of the one that is shipped. Raises LabError."""
        try:
            disks.expand(files[0], directory / RAW)
        except vms.MachineError as error:
            raise LabError(f"{self.name} has no disk: {error}") from error

    def image_paths(self) -> list[Path]:
        """Raw disk, kernel and initramfs."""
        return [self.directory / RAW, *super().image_paths()[1:]]

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """Without QEMU's network; the tap is the VMM's affair."""
        return replace(super().describe(name, disk, allotment), networks=())


def absent(program: str, package: str) -> str:
    """Why machines by that program can't be had; empty if they can."""
    if os.geteuid() != 0:
        return "it needs root"
    if not shutil.which(program):
        return f"{program} is not installed{package and f': apt-get install {package}'}"
    if not shutil.which("qemu-img"):
        return "qemu-img is not installed: apt-get install qemu-utils"
    return tap.absent()
