"""Machines that are not booted but restored: clones of one that was booted and saved beforehand.

What a restored machine's milestones mean:

- `first-instruction`: its agent was told, after the request, to run the payload anew with a word
  made up for this instance, and the payload's answer with that word arrived. So it is this instance
  that runs, and a new process of the workload in it, which a container's first instruction is too.
  The line that the payload said at boot is not counted: it was said once, before the save.
- `ready`: a request to the instance's own address was answered, as everywhere.
- `userspace`: the default target was reached before the save, so it is there with the first
  instruction.

The boot and the save are not part of the start: they are done once, as an image is made once. What
they take on disk counts towards the image.
"""

from __future__ import annotations

import secrets
import shutil
import time
from typing import TYPE_CHECKING

import vms
from lab.errors import LabError
from lab.host.disk_usage import allocated_bytes
from lab.targets.base import Kind, Span
from lab.targets.machines.machine import (
    FullMachine,
    Machine,
    MachineInstance,
    MicroMachine,
    Ports,
    Running,
)
from vms.operations import templates
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.metrics import Milestone
    from lab.targets.base import Allotment, Settings

_PAYLOAD = "/proc/self/exe"  # the agent is the payload


class RestoredInstance(MachineInstance):
    """A clone; its first instruction is asked for while libvirt still completes the start."""

    _first_ns = 0

    def note_running(self, ports: Ports) -> None:
        """Have the payload say a new word."""
        super().note_running(ports)
        word = secrets.token_hex(16)
        done = ports.agent.run([_PAYLOAD, "echo", word], self._deadline_seconds)
        self._first_ns = time.monotonic_ns()
        if done.stdout.decode(errors="replace") != word:
            raise vms.MachineError(
                f"{self.name} answered {done.stdout!r}, not the word it was told."
            )

    def reached(self, milestone: Milestone) -> int | None:
        """As the module says."""
        if milestone == "ready":
            return self.ask()
        return self._first_ns if milestone == "first-instruction" or self.has_userspace else None

    def spans(self) -> list[Span]:
        """The disk, QEMU with the saved state, and the first answer."""
        return [
            Span("clone the disk", self.t0_ns, self._cloned_ns),
            Span("libvirt, QEMU and the saved state", self._cloned_ns, self._running_ns),
            Span("the first answer", self._running_ns, self._first_ns),
        ]


class Restored(Machine):
    """What both restored machines share: a template for each allotment that was asked for."""

    kind: Kind = "machine"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._templates: dict[Allotment | None, vms.Template] = {}

    def prepare(self) -> None:
        """Boot and save the machine that the instances are clones of."""
        super().prepare()
        self.template(None)

    def template(self, allotment: Allotment | None) -> vms.Template:
        """The saved machine of that size, booted now if there is none yet. Raises LabError."""
        if allotment not in self._templates:
            name = f"template-{len(self._templates)}"
            machine = self.describe(self.new_name(), self.directory / f"{name}.qcow2", allotment)
            disks.clone(self.settings.userland.disk, machine.disks[0].path)
            self.resources.callback(machine.disks[0].path.unlink)
            directory = self.directory / name
            try:
                self._templates[allotment] = templates.build(
                    self.connection, machine, directory, self._settle
                )
            except vms.MachineError as error:
                raise LabError(f"{self.name} has nothing to restore: {error}") from error
            self.resources.callback(shutil.rmtree, directory, ignore_errors=True)
        return self._templates[allotment]

    def start(self, allotment: Allotment | None = None) -> RestoredInstance:
        """Clone the template's disk and start a domain in the template's state."""
        template = self.template(allotment)
        name = self.new_name()
        t0_ns = time.monotonic_ns()
        networks = self.describe(name, template.machine.disks[0].path).networks
        self._origin = template
        return RestoredInstance(self, template.clone(name, networks, self.directory), t0_ns)

    def launch(self, machine: vms.Machine, on_running: Callable[[Ports], object]) -> Running:
        """Start it from the template that was chosen."""
        return self.connection.start(machine, self._origin, on_running)

    def image_bytes(self) -> dict[str, int]:
        """As the machine's that is booted, and the saved memory and state with it."""
        template = self.template(None)
        saved = sum(map(allocated_bytes, (template.memory, template.state)))
        return {name: size + saved for name, size in super().image_bytes().items()}

    def image_paths(self) -> list[Path]:
        """With the saved memory and state."""
        template = self.template(None)
        return [*super().image_paths(), template.memory, template.state]

    def _settle(self, domain: vms.Domain) -> None:
        """Wait until it has come up, and have each thing done once that a clone will do."""
        word = "userspace" if self.has_userspace else "listening"
        seconds = self.settings.prepare_deadline_seconds
        domain.events.wait_for(word, time.monotonic_ns() + int(seconds * 1e9))
        domain.agent.run([_PAYLOAD, "echo", "ready"], seconds)


class RestoredFullMachine(Restored, FullMachine):
    """The traditional machine, restored."""

    name = "vm-restore"


class RestoredMicroMachine(Restored, MicroMachine):
    """The smallest machine, restored."""

    name = "microvm-restore"
