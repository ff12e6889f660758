"""Definitions of machines as libvirt's XML: shown, created and replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from vms.description import names
from vms.errors import InvalidDescription, InvalidState
from vms.libvirt_errors import translate_errors
from vms.storage.backing_file_policy import disk_files

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.domain.domain import Domain


def text(domain: Domain, *, inactive: bool = False, secrets: bool = False) -> str:
    """Return a machine's XML, as it runs or as it is defined. Raises MachineError."""
    flags = (inactive and libvirt.VIR_DOMAIN_XML_INACTIVE) | (
        secrets and libvirt.VIR_DOMAIN_XML_SECURE
    )
    with translate_errors(f"Can't read the description of {domain.name}"):
        return str(domain.handle.XMLDesc(flags))


def editable(domain: Domain) -> str:
    """Return the definition with its secrets, for editing.

    Raises MachineError, also for a machine that is not defined.
    """
    with translate_errors(f"{domain.name} can't be edited"):
        if not domain.handle.isPersistent():
            raise InvalidState(
                f"{domain.name} can't be edited: it is transient, so libvirt keeps no definition."
            )
    return text(domain, inactive=True, secrets=True)


def define(connection: Connection, xml: str) -> Domain:
    """Define a machine, or replace its definition.

    The policy for disk images applies to the disks that the machine did not have before. Raises
    MachineError, and then nothing has changed.
    """
    description = _parsed(xml)
    name = description.findtext("name", "").strip()
    names.refuse(name)
    existing = next((domain for domain in connection.domains() if domain.name == name), None)
    _remove_known(description, existing)
    connection.refuse_unsafe_disks(description)
    return connection.define_xml(xml)


def _remove_known(description: ET.Element, domain: Domain | None) -> None:
    """Remove the disks that the machine has already from the description.

    They may be missing by now, or read from the files of snapshots.
    """
    devices = description.find("devices")
    if domain is None or devices is None:
        return
    known = set(disk_files(domain.xml(inactive=True)))
    for disk in devices.findall("disk"):
        alone = ET.Element("domain")
        ET.SubElement(alone, "devices").append(disk)
        if known.issuperset(disk_files(alone)):
            devices.remove(disk)


def replace(connection: Connection, domain: Domain, before: str, xml: str) -> None:
    """Replace the definition `before` by an edited one.

    Raises MachineError if the name or the UUID was edited, or if the machine has changed since
    `before`; then nothing has changed.
    """
    description, old = _parsed(xml), ET.fromstring(before)
    for tag, advice in (("name", "use tonnage vm rename"), ("uuid", "leave it as it is")):
        if description.findtext(tag, "").strip() != old.findtext(tag, ""):
            raise InvalidDescription(f"The {tag} of {domain.name} can't be edited: {advice}.")
    if editable(domain) != before:
        raise InvalidState(
            f"{domain.name} was changed by another client while it was edited: edit it again."
        )
    define(connection, xml)


def _parsed(xml: str) -> ET.Element:
    try:
        description = ET.fromstring(xml)
    except ET.ParseError as error:
        raise InvalidDescription(f"The description is not well-formed XML: {error}.") from error
    if description.tag != "domain":
        raise InvalidDescription(
            f"The root element of a description must be <domain>, not <{description.tag}>."
        )
    return description
