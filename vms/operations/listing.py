"""Which machines a libvirt has, as lists show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms.connection.libvirt_errors import told_as
from vms.description import mac
from vms.domain import pauses
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vms.connection.connection import Connection

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "suspended",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A machine as lists show it.

    `pid` is QEMU's process where it is known, else 0; `reason` is why it is paused, if nobody asked
    for that.
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


def machines(connection: Connection) -> list[Listed]:
    """All machines that libvirt has, by name, running or not. Raises MachineError."""
    with told_as("The machines can't be listed"):
        found = [
            described(
                ET.fromstring(domain.XMLDesc()),
                _STATES.get(domain.state()[0], "unknown"),
                is_persistent=bool(domain.isPersistent()),
                starts_with_host=bool(domain.isPersistent() and domain.autostart()),
                reason=pauses.reason(domain),
            )
            for domain in connection.handle.listAllDomains()
        ]
    return sorted(found, key=lambda each: each.name)


def described(
    domain: ET.Element,
    state: str,
    *,
    pid: int = 0,
    is_persistent: bool = False,
    starts_with_host: bool = False,
    reason: str = "",
) -> Listed:
    """What libvirt's description of a machine says."""
    return Listed(
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


def refuse_taken(handle: Any, name: str, addresses: Iterable[str]) -> None:
    """Raise MachineError if a machine of another name has one of these MAC addresses."""
    wanted = {mac.canonical(address) for address in addresses}
    if not wanted:
        return
    with told_as("The cards of other machines can't be seen"):
        others = [other for other in handle.listAllDomains() if other.name() != name]
        for other in others:
            for address in sorted(wanted & mac.of(ET.fromstring(other.XMLDesc()))):
                raise MachineError(
                    f"{other.name()} has a card with the address {address}: choose another."
                )
