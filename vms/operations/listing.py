"""Lists of machines: those that a libvirt keeps, and those that run in the foreground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vms.connection import embedded, process_root
from vms.domain import pauses
from vms.domain.states import STATES
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from pathlib import Path

    from vms.connection.connection import Connection


@dataclass(frozen=True, slots=True)
class ListedMachine:
    """An entry of a list.

    `pid` is QEMU's process, 0 if it is unknown; `reason` says why the machine is paused, unless a
    user asked for it.
    """

    name: str
    state: str
    accelerator: str
    vcpus: int
    memory_mib: int
    is_persistent: bool
    starts_with_host: bool
    pid: int = 0
    reason: str = ""


def machines(connection: Connection) -> list[ListedMachine]:
    """Return all machines of a libvirt, running or not, sorted by name. Raises MachineError."""
    with translate_errors("The machines can't be listed"):
        entries = [
            _entry(
                ET.fromstring(domain.XMLDesc()),
                STATES.get(domain.state()[0], "unknown"),
                is_persistent=bool(domain.isPersistent()),
                starts_with_host=bool(domain.isPersistent() and domain.autostart()),
                reason=pauses.reason(domain),
            )
            for domain in connection.handle.listAllDomains()
        ]
    return sorted(entries, key=lambda entry: entry.name)


def foreground_machines() -> list[ListedMachine]:
    """Return the machines that living processes run in the foreground, sorted by name."""
    files = (
        file
        for root in process_root.roots()
        if embedded.is_owned(root)
        for file in root.glob("run/qemu/*.xml")
    )
    entries = (_foreground_entry(file) for file in files)
    return sorted((entry for entry in entries if entry), key=lambda entry: entry.name)


def _foreground_entry(file: Path) -> ListedMachine | None:
    """Return the entry of libvirt's status file of a machine; None if the machine has ended."""
    try:
        status = ET.fromstring(file.read_bytes())
    except (OSError, ET.ParseError):
        return None
    domain = status.find("domain")
    if domain is None:
        return None
    state = status.get("state", "")
    reason = pauses.REASONS_IN_STATUS_FILE.get(status.get("reason", ""), "")
    return _entry(
        domain,
        state,
        pid=int(status.get("pid", "0")),
        reason=reason if state == "paused" else "",
    )


def _entry(
    domain: ET.Element,
    state: str,
    *,
    pid: int = 0,
    is_persistent: bool = False,
    starts_with_host: bool = False,
    reason: str = "",
) -> ListedMachine:
    """Return the entry of a machine by libvirt's description of it."""
    return ListedMachine(
        name=domain.findtext("name", ""),
        state=state,
        accelerator="kvm" if domain.get("type") == "kvm" else "tcg",
        vcpus=int(domain.findtext("vcpu", "0")),
        memory_mib=int(domain.findtext("memory", "0")) // 1024,
        is_persistent=is_persistent,
        starts_with_host=starts_with_host,
        pid=pid,
        reason=reason,
    )
