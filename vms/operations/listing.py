"""Which machines a libvirt has, as lists show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vms.domain import pauses
from vms.domain.states import STATES
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.connection.connection import Connection


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
    with translate_errors("The machines can't be listed"):
        found = [
            described(
                ET.fromstring(domain.XMLDesc()),
                STATES.get(domain.state()[0], "unknown"),
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
