"""Templates: a machine is booted once and saved, and clones continue from its saved state.

A clone maps the template's memory privately: it shares every page that it does not write with the
other clones, and is ready as soon as QEMU has started. It has its own name, UUID, disks and port
forwards. The guest's own state (its MAC address, its boot ID, its random number generator) is that
of the template until something inside changes it.

QEMU leaves shared memory out of the saved state. (QEMU, "Migration", x-ignore-shared)
"""

from __future__ import annotations

import dataclasses
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vms.errors import TimedOut
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vms.connection.connection import Connection
    from vms.description import Machine
    from vms.description.devices.network import Network
    from vms.domain.domain import Domain
    from vms.qemu.qmp import Monitor

_INCOMING = ("-incoming", "defer")
_CAPABILITIES = [{"capability": name, "state": True} for name in ("events", "x-ignore-shared")]
_SAVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Template:
    """A saved machine: its description, and the directory with its memory and state.

    Machines start from it with `connection.start(template.clone(…), template)`.
    """

    machine: Machine
    directory: Path

    @property
    def memory(self) -> Path:
        """The guest's memory, which clones map without changing it."""
        return self.directory / "memory"

    @property
    def state(self) -> Path:
        """The state of its CPUs and devices."""
        return self.directory / "state"

    def clone(self, name: str, networks: Sequence[Network], directory: Path) -> Machine:
        """Return a machine with its own name, networks and thin clones of the disks in `directory`.

        Raises MachineError.
        """
        clones = []
        for number, disk in enumerate(self.machine.disks):
            path = directory / f"{name}.{number}.qcow2"
            disks.clone(disk.path, path)
            clones.append(dataclasses.replace(disk, path=path))
        return dataclasses.replace(
            self.machine, name=name, networks=tuple(networks), disks=tuple(clones)
        )

    def qemu_arguments(self) -> Sequence[str]:
        """Return QEMU's options: memory is mapped privately, CPUs wait for the state."""
        return (*_memory_words(self.memory, self.machine.memory_mib, shared=False), *_INCOMING)

    def load(self, monitor: Monitor) -> None:
        """Send the saved state to QEMU. Raises MachineError if QEMU refuses it."""
        path = self.directory / f"load-{id(monitor):x}"
        monitor.execute("migrate-set-capabilities", capabilities=_CAPABILITIES)
        monitor.execute("migrate-incoming", uri=f"unix:{path}")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sender:
                sender.connect(str(path))
                sender.sendall(self.state.read_bytes())
        finally:
            path.unlink(missing_ok=True)
        monitor.await_migration()


@dataclass(frozen=True, slots=True)
class _Recording:
    """A cold boot with a file as memory, which makes a template."""

    memory: Path
    memory_mib: int

    def qemu_arguments(self) -> Sequence[str]:
        return _memory_words(self.memory, self.memory_mib, shared=True)

    def load(self, monitor: Monitor) -> None:
        pass


def build(
    connection: Connection, machine: Machine, directory: Path, settle: Callable[[Domain], object]
) -> Template:
    """Boot a machine, call `settle` with it, save it to a new directory, and destroy it.

    Its disks belong to the template then and must not be written to any more. Raises MachineError,
    and then the directory does not exist.
    """
    directory.mkdir(parents=True)
    template = Template(machine, directory)
    try:
        recording = _Recording(template.memory, machine.memory_mib)
        with connection.start(machine, recording) as domain:
            settle(domain)
            _save(domain.monitor, template)
    except BaseException:
        for path in (template.memory, template.state):
            path.unlink(missing_ok=True)
        directory.rmdir()
        raise
    return template


def _save(monitor: Monitor, template: Template) -> None:
    path = template.directory / "save"
    monitor.execute("stop")
    monitor.execute("migrate-set-capabilities", capabilities=_CAPABILITIES)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.settimeout(_SAVE_SECONDS)
        listener.bind(str(path))
        try:
            listener.listen(1)
            monitor.execute("migrate", uri=f"unix:{path}")
            sender, _ = listener.accept()
        except TimeoutError as error:
            raise TimedOut(
                f"QEMU did not send the state of {template.machine.name} within"
                f" {_SAVE_SECONDS:.0f} s."
            ) from error
        finally:
            path.unlink()
    with sender, template.state.open("wb") as file:
        while data := sender.recv(1 << 20):
            file.write(data)
    monitor.await_migration()


def _memory_words(path: Path, memory_mib: int, *, shared: bool) -> tuple[str, ...]:
    """Return QEMU's options for a file as the guest's memory.

    libvirt has no setting for the file; the memory that it configures stays unused.
    """
    backend = {
        "qom-type": "memory-backend-file",
        "id": "tonnage.ram",
        "mem-path": str(path),
        "size": memory_mib << 20,
        "share": shared,
    }
    return "-object", json.dumps(backend), "-machine", "memory-backend=tonnage.ram"
