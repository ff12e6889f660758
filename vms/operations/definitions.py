"""A machine's definition in libvirt's own words: shown, and put in place of an older one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from vms.description import names
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors
from vms.storage.backing_file_policy import disk_files

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.domain.domain import Domain


def text(domain: Domain, *, inactive: bool = False, secrets: bool = False) -> str:
    """Return its description as it runs, or as it is defined. Raises MachineError."""
    flags = (inactive and libvirt.VIR_DOMAIN_XML_INACTIVE) | (
        secrets and libvirt.VIR_DOMAIN_XML_SECURE
    )
    with translate_errors(f"The description of {domain.name} can't be had"):
        return str(domain.handle.XMLDesc(flags))


def editable(domain: Domain) -> str:
    """Return what there is to edit: the definition, with its secrets. Raises MachineError."""
    with translate_errors(f"{domain.name} can't be edited"):
        if not domain.handle.isPersistent():
            raise MachineError(
                f"{domain.name} is not defined: there is nothing that could be kept."
            )
    return text(domain, inactive=True, secrets=True)


def define(connection: Connection, xml: str) -> Domain:
    """Define a machine, or put the definition in place of an older one.

    Disks that it did not have are looked at as those of a machine that is created. Raises
    MachineError, and then nothing has changed.
    """
    described = _parsed(xml)
    name = described.findtext("name", "").strip()
    names.refuse(name)
    _remove_known(described, next((b for b in connection.domains() if b.name == name), None))
    connection.refuse_unsafe_disks(described)
    return connection.define_xml(xml)


def _remove_known(described: ET.Element, domain: Domain | None) -> None:
    """Leave the disks that are new: others may be missing by now, and lie over snapshots' files."""
    devices = described.find("devices")
    if domain is None or devices is None:
        return
    known = set(disk_files(domain.xml(inactive=True)))
    for disk in devices.findall("disk"):
        alone = ET.Element("domain")
        ET.SubElement(alone, "devices").append(disk)
        if known.issuperset(disk_files(alone)):
            devices.remove(disk)


def replace(connection: Connection, domain: Domain, before: str, xml: str) -> None:
    """Put a definition in place of the one that it was made of.

    Raises MachineError, and then nothing has changed: as for another name, or if somebody else has
    changed the machine meanwhile.
    """
    described, old = _parsed(xml), ET.fromstring(before)
    for tag, verb in (("name", "tonnage vm rename gives it another"), ("uuid", "it stays")):
        if described.findtext(tag, "").strip() != old.findtext(tag, ""):
            raise MachineError(f"The {tag} of {domain.name} can't be edited: {verb}.")
    if editable(domain) != before:
        raise MachineError(f"{domain.name} was changed by somebody else meanwhile: edit it again.")
    define(connection, xml)


def _parsed(xml: str) -> ET.Element:
    try:
        found = ET.fromstring(xml)
    except ET.ParseError as error:
        raise MachineError(f"That is no XML: {error}.") from error
    if found.tag != "domain":
        raise MachineError(f"A machine's description begins with <domain>, not with <{found.tag}>.")
    return found
