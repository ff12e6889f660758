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
    """The image of each disk by its target."""
    return dict(_sources(domain.xml()))


def frozen_images(handle: libvirt.virDomainSnapshot) -> dict[str, Path]:
    """The image of each disk when a snapshot was taken, by its target."""
    with translate_errors("The snapshots can't be read"):
        described = ET.fromstring(handle.getXMLDesc()).find("domain")
    return dict(_sources(described)) if described is not None else {}


def frozen_images_of(domain: Domain) -> list[Path]:
    """The images of its disks at all of its snapshots: what its overlays may read from."""
    with translate_errors(f"The snapshots of {domain.name} can't be listed"):
        handles = domain.handle.listAllSnapshots()
    return [path for handle in handles for path in frozen_images(handle).values()]


def images_of_all(domain: Domain) -> list[Path]:
    """The images of all machines of the same libvirt, and of their snapshots."""
    with translate_errors("The machines can't be listed"):
        handles = domain.handle.connect().listAllDomains()
        return [path for handle in handles for path in _images_of(handle)]


def images_of(domain: Domain) -> list[Path]:
    """The images of one machine, as it runs and as it is defined, and of its snapshots."""
    with translate_errors(f"The disks of {domain.name} can't be listed"):
        return list(_images_of(domain.handle))


def _images_of(handle: Any) -> Iterator[Path]:
    descriptions = [handle.XMLDesc()]
    if handle.isPersistent():
        descriptions.append(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    for description in descriptions:
        yield from (path for _, path in _sources(ET.fromstring(description)))
    for snapshot in handle.listAllSnapshots():
        yield from frozen_images(snapshot).values()


def _sources(described: ET.Element) -> Iterator[tuple[str, Path]]:
    for disk in described.findall("./devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and (file := source.get("file")):
            yield target.attrib["dev"], Path(file)
