"""Templates: a machine is booted once and saved; clones of it go on from where it stood.

A clone maps the template's memory privately, so that it shares every page that it does not write
with the template's other clones and is there in the time that QEMU takes to start. It has its own
name, UUID, disks and port forwards; what the guest itself knows (its MAC address, its boot id, the
state of its random numbers) is the template's until something inside changes it.

QEMU is told to leave out of the saved state what lies in shared memory. (QEMU, "Migration",
x-ignore-shared)
"""

from __future__ import annotations

import dataclasses
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vms.errors import MachineError
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
    """A saved machine: its description, and the directory with its memory, state and disks.

    A start from it is an origin: `connection.start(template.clone(…), template)`.
    """

    machine: Machine
    directory: Path

    @property
    def memory(self) -> Path:
        """The guest's memory, which clones map and do not change."""
        return self.directory / "memory"

    @property
    def state(self) -> Path:
        """The state of its CPUs and devices."""
        return self.directory / "state"

    def clone(self, name: str, networks: Sequence[Network], directory: Path) -> Machine:
        """A machine like it, with its own name, networks and thin disks in `directory`.

        Raises MachineError.
        """
        own = []
        for number, disk in enumerate(self.machine.disks):
            path = directory / f"{name}.{number}.qcow2"
            disks.clone(disk.path, path)
            own.append(dataclasses.replace(disk, path=path))
        return dataclasses.replace(
            self.machine, name=name, networks=tuple(networks), disks=tuple(own)
        )

    def words(self) -> Sequence[str]:
        """The memory as a private mapping, and no CPU that runs before the state is there."""
        return (*_memory_words(self.memory, self.machine.memory_mib, shared=False), *_INCOMING)

    def load(self, monitor: Monitor) -> None:
        """Hand the state to QEMU. Raises MachineError if it does not fit."""
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
    """A cold boot into memory that is a file, for it to be saved."""

    memory: Path
    memory_mib: int

    def words(self) -> Sequence[str]:
        return _memory_words(self.memory, self.memory_mib, shared=True)

    def load(self, monitor: Monitor) -> None:
        pass


def build(
    connection: Connection, machine: Machine, directory: Path, settle: Callable[[Domain], object]
) -> Template:
    """Boot a machine in a new directory, wait until `settle` returns, save it, destroy it.

    Its disks are the template's from then on: they must not be written to any more. Raises
    MachineError, and then the directory is not there.
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
            raise MachineError("QEMU did not hand out the machine's state.") from error
        finally:
            path.unlink()
    with sender, template.state.open("wb") as file:
        while data := sender.recv(1 << 20):
            file.write(data)
    monitor.await_migration()


def _memory_words(path: Path, memory_mib: int, *, shared: bool) -> tuple[str, ...]:
    """libvirt can't be told the file; it makes a memory of its own, which is then never touched."""
    backend = {
        "qom-type": "memory-backend-file",
        "id": "tonnage.ram",
        "mem-path": str(path),
        "size": memory_mib << 20,
        "share": shared,
    }
    return "-object", json.dumps(backend), "-machine", "memory-backend=tonnage.ram"
