"""Machines that are restored instead of booted: clones of a machine that was saved beforehand.

The milestones of a restored machine are:

- `first-instruction`: after the request, its agent runs the payload with a random word of this
  instance, and the answer with that word has arrived. This proves that this instance runs, with a
  new process of the workload in it, as the first instruction of a container does. The line that the
  payload printed at boot does not count: it was printed once, before the save.
- `ready`: a request to the instance's own address was answered, as for every target.
- `userspace`: the default target was reached before the save, so this milestone is reached with the
  first instruction.

Boot and save are not part of the start: they happen once, as an image is built once. Their files
count as part of the image.
"""

from __future__ import annotations

import secrets
import shutil
import time
from typing import TYPE_CHECKING

import vms
from lab.errors import TargetFailed
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
    """A clone, whose first instruction is requested while libvirt still completes the start."""

    _first_ns = 0

    def note_running(self, ports: Ports) -> None:
        """Run the payload with a new word. Raise vms.MachineError if the answer differs."""
        super().note_running(ports)
        word = secrets.token_hex(16)
        result = ports.agent.run([_PAYLOAD, "echo", word], self._deadline_seconds)
        self._first_ns = time.monotonic_ns()
        if result.stdout.decode(errors="replace") != word:
            raise vms.MachineError(
                f"{self.name} answered {result.stdout!r} instead of the word that was sent."
            )

    def reached(self, milestone: Milestone) -> int | None:
        """Return the time of a milestone, as the module defines it."""
        if milestone == "ready":
            return self.ask()
        return self._first_ns if milestone == "first-instruction" or self.has_userspace else None

    def spans(self) -> list[Span]:
        """Return three steps: the disk, QEMU with the saved state, and the first answer."""
        return [
            Span("clone the disk", self.t0_ns, self._cloned_ns),
            Span("libvirt, QEMU and the saved state", self._cloned_ns, self._running_ns),
            Span("the first answer", self._running_ns, self._first_ns),
        ]


class Restored(Machine):
    """Base of the restored machines, with a template for each allotment in use."""

    kind: Kind = "machine"
    image_refusal = "the machine that it restores has the common user land"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._templates: dict[Allotment | None, vms.Template] = {}

    def prepare(self) -> None:
        """Boot and save the machine that instances are cloned from."""
        super().prepare()
        self.template(None)

    def template(self, allotment: Allotment | None) -> vms.Template:
        """Return the saved machine of that size, after booting it if necessary.

        Raise TargetFailed.
        """
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
                raise TargetFailed(
                    f"{self.name}: the machine to restore can't be prepared: {error}"
                ) from error
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
        """Start the machine from its template."""
        return self.connection.start(machine, self._origin, on_running)

    def image_bytes(self) -> dict[str, int]:
        """Return the bytes of the booted machine's image, plus saved memory and state."""
        template = self.template(None)
        saved = sum(map(allocated_bytes, (template.memory, template.state)))
        return {name: size + saved for name, size in super().image_bytes().items()}

    def image_paths(self) -> list[Path]:
        """Return the booted machine's image, and saved memory and state."""
        template = self.template(None)
        return [*super().image_paths(), template.memory, template.state]

    def _settle(self, domain: vms.Domain) -> None:
        """Wait until the machine is up, and run the payload once, as clones will do."""
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
