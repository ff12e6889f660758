"""CD-ROM drives: a medium is put in and taken out, also while the machine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libvirt

from vms.description import constraints
from vms.description.devices.disk import Cdrom
from vms.description.xml import element, printed
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors

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
    """Put a medium into a drive, or take it out (None); return the drive's target, such as sda.

    Without a target it is the machine's one drive. `force` opens a drive that the guest has locked.
    Raises MachineError.
    """
    drive = _drive(domain, target)
    wanted = Cdrom(medium)
    constraints.refuse(wanted)
    if medium is not None:
        connection.check_medium(wanted)
    for old in drive.findall("source"):
        drive.remove(old)
    if medium is not None:
        drive.append(element("source", file=medium))
    name = _target(drive)
    flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.is_running else 0
    if domain.handle.isPersistent():
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
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
    found = [drive for drive in drives if target in {None, _target(drive)}]
    if not found:
        what = f"no drive {target}" if target else "no drive for a medium"
        raise MachineError(f"{domain.name} has {what} (it has {names}): create one with --cdrom.")
    if len(found) > 1:
        raise MachineError(f"{domain.name} has several drives, {names}: say which one.")
    return found[0]


def _target(drive: ET.Element) -> str:
    found = drive.find("target")
    return "" if found is None else found.get("dev", "")
