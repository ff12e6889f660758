"""Machines that other processes run in the foreground, and the ports forwarded to them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec

from vms.connection import embedded, process_root
from vms.description import Forward, names
from vms.errors import NotFound
from vms.operations import addresses

if TYPE_CHECKING:
    from pathlib import Path

    from vms.description import Machine

_FORWARDS = "forwards.json"


@dataclass(frozen=True, slots=True)
class ForegroundMachine:
    """A machine that another process runs: its root, its UUID, and the ports forwarded to it."""

    name: str
    root: Path
    uuid: str
    forwards: tuple[Forward, ...]

    def endpoint(self, port: int) -> tuple[str, int]:
        """Return the address and port of this host that are forwarded to a TCP port of the machine.

        Raises MachineError.
        """
        for forward in self.forwards:
            if (forward.protocol, forward.guest) == ("tcp", port):
                return addresses.local_address(forward.address), forward.host
        raise addresses.unreachable(self.name, port)


def note_forwards(root: Path, machine: Machine) -> None:
    """Write down the ports that are forwarded to a machine, for other processes to read."""
    forwards = [f for card in machine.networks for f in getattr(card, "forwards", ())]
    (root / _FORWARDS).write_bytes(msgspec.json.encode(forwards))


def find(name: str) -> ForegroundMachine:
    """Return the machine of that name that a living process runs. Raises MachineError."""
    names.refuse(name)
    for root in process_root.roots():
        file = root / f"run/qemu/{name}.xml"
        with suppress(OSError, ET.ParseError, msgspec.MsgspecError):
            status = ET.fromstring(file.read_bytes())
            document = (root / _FORWARDS).read_bytes()
            forwards = msgspec.json.decode(document, type=tuple[Forward, ...])
            if embedded.is_owned(root):
                uuid = status.findtext("./domain/uuid", "")
                return ForegroundMachine(name, root, uuid, forwards)
    raise NotFound(
        f"No machine {name} runs in the foreground: tonnage vm list shows those that do, and"
        " --connect URI names the libvirt of a machine that is kept."
    )
