"""Media of CD-ROM drives: inserted and ejected, also while the machine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libvirt

from vms.description import constraints
from vms.description.devices.disk import Cdrom
from vms.description.xml import element, printed
from vms.errors import InvalidDescription, NotFound
from vms.libvirt_errors import translate_errors
from vms.operations.hotplug import affected

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree import ElementTree as ET

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain


def change(
    connection: Connection,
    domain: Domain,
    medium: Path | None,
    target: str | None = None,
    *,
    force: bool = False,
) -> str:
    """Insert a medium into a drive, or eject it (None); return the drive's target, such as sda.

    Without a target the machine must have one drive. `force` opens a drive that the guest has
    locked. Raises MachineError.
    """
    drive = _drive(domain, target)
    cdrom = Cdrom(medium)
    constraints.refuse(cdrom)
    if medium is not None:
        connection.check_medium(cdrom)
    for old in drive.findall("source"):
        drive.remove(old)
    if medium is not None:
        drive.append(element("source", file=medium))
    name = _target(drive)
    flags = affected(domain)
    if force:
        flags |= libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    with translate_errors(f"The medium in {name} of {domain.name} can't be changed"):
        domain.handle.updateDeviceFlags(printed(drive), flags)
    return name


def _drive(domain: Domain, target: str | None) -> ET.Element:
    drives = [
        disk
        for disk in domain.xml(inactive=not domain.is_running).findall("./devices/disk")
        if disk.get("device") == "cdrom"
    ]
    names = ", ".join(map(_target, drives)) or "none"
    matching = [drive for drive in drives if target in {None, _target(drive)}]
    if not matching:
        missing = f"no drive {target}" if target else "no CD-ROM drive"
        raise NotFound(
            f"{domain.name} has {missing} (it has {names}): create a machine with --cdrom."
        )
    if len(matching) > 1:
        raise InvalidDescription(
            f"{domain.name} has several drives, {names}: choose one with --target."
        )
    return matching[0]


def _target(drive: ET.Element) -> str:
    element_ = drive.find("target")
    return "" if element_ is None else element_.get("dev", "")
