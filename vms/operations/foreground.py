"""Machines that run for as long as a process of ours does, each process with a root of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec

from vms.connection import embedded, process_root
from vms.description import Forward, names
from vms.domain.pauses import WORDS
from vms.errors import MachineError
from vms.operations import addresses
from vms.operations.listing import Listed, described

if TYPE_CHECKING:
    from pathlib import Path

    from vms.description import Machine

_FORWARDS = "forwards.json"


def machines() -> list[Listed]:
    """The machines that living processes run in the foreground, by name."""
    files = (
        file
        for root in process_root.roots()
        if embedded.is_owned(root)
        for file in root.glob("run/qemu/*.xml")
    )
    found = (_listed(file) for file in files)
    return sorted((each for each in found if each), key=lambda each: each.name)


@dataclass(frozen=True, slots=True)
class Found:
    """A machine that another process runs: its root, its UUID, and the ports that lead into it."""

    name: str
    root: Path
    uuid: str
    forwards: tuple[Forward, ...]

    def endpoint(self, port: int) -> tuple[str, int]:
        """Return the address and port of this host that lead to a TCP port of the machine.

        Raises MachineError.
        """
        for each in self.forwards:
            if (each.protocol, each.guest) == ("tcp", port):
                return addresses.reached(each.address), each.host
        raise addresses.unreachable(self.name, port)


def note(root: Path, machine: Machine) -> None:
    """Write down the ports that lead into a machine, for other processes to find."""
    forwards = [f for card in machine.networks for f in getattr(card, "forwards", ())]
    (root / _FORWARDS).write_bytes(msgspec.json.encode(forwards))


def find(name: str) -> Found:
    """Return the machine of that name that a living process runs. Raises MachineError."""
    names.refuse(name)
    for root in process_root.roots():
        file = root / f"run/qemu/{name}.xml"
        with suppress(OSError, ET.ParseError, msgspec.MsgspecError):
            status = ET.fromstring(file.read_bytes())
            told = (root / _FORWARDS).read_bytes()
            forwards = msgspec.json.decode(told, type=tuple[Forward, ...])
            if embedded.is_owned(root):
                return Found(name, root, status.findtext("./domain/uuid", ""), forwards)
    raise MachineError(
        f"No machine {name} runs in the foreground: tonnage vm list shows which do, and --connect"
        " leads to those that a libvirt keeps."
    )


def _listed(file: Path) -> Listed | None:
    """What libvirt keeps of a machine that runs; None if it ended meanwhile."""
    try:
        status = ET.fromstring(file.read_bytes())
    except (OSError, ET.ParseError):
        return None
    domain = status.find("domain")
    if domain is None:
        return None
    state, reason = status.get("state", ""), WORDS.get(status.get("reason", ""), "")
    return described(
        domain,
        state,
        pid=int(status.get("pid", "0")),
        reason=reason if state == "paused" else "",
    )
