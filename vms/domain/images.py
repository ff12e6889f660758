"""Image files of machines: those of their disks, and those that their snapshots froze."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.domain.domain import Domain


def images(domain: Domain) -> dict[str, Path]:
    """Return the present image of each disk, by the disk's target."""
    return dict(_sources(domain.xml()))


def frozen_images(handle: libvirt.virDomainSnapshot) -> dict[str, Path]:
    """Return the image of each disk when a snapshot was taken, by the disk's target."""
    with translate_errors("Can't read the snapshots"):
        description = ET.fromstring(handle.getXMLDesc()).find("domain")
    return dict(_sources(description)) if description is not None else {}


def frozen_images_of(domain: Domain) -> list[Path]:
    """Return the images that all snapshots froze: the overlays of a machine may read from these."""
    with translate_errors(f"Can't list the snapshots of {domain.name}"):
        handles = domain.handle.listAllSnapshots()
    return [path for handle in handles for path in frozen_images(handle).values()]


def images_of_all(domain: Domain) -> list[Path]:
    """Return the images of all machines of a domain's libvirt, and of their snapshots."""
    with translate_errors("Can't list the machines"):
        handles = domain.handle.connect().listAllDomains()
        return [path for handle in handles for path in _images_of(handle)]


def images_of(domain: Domain) -> list[Path]:
    """Return the images of a machine as it runs, as it is defined, and of its snapshots."""
    with translate_errors(f"Can't list the disks of {domain.name}"):
        return list(_images_of(domain.handle))


def _images_of(handle: Any) -> Iterator[Path]:
    descriptions = [handle.XMLDesc()]
    if handle.isPersistent():
        descriptions.append(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    for description in descriptions:
        yield from (path for _, path in _sources(ET.fromstring(description)))
    for snapshot in handle.listAllSnapshots():
        yield from frozen_images(snapshot).values()


def _sources(description: ET.Element) -> Iterator[tuple[str, Path]]:
    for disk in description.findall("./devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and (file := source.get("file")):
            yield target.attrib["dev"], Path(file)
