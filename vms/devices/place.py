"""Where a device sits: on PCI, or on the bare bus of the machine that has none."""

from __future__ import annotations

from typing import Literal
from xml.etree import ElementTree as ET

from vms.elements import element

Chipset = Literal["q35", "i440fx", "microvm"]


def address(chipset: Chipset) -> ET.Element | None:
    """The address that a virtio device must be given: `microvm` alone has no PCI.

    Elsewhere libvirt finds a slot. (libvirt, "Domain XML format", Device addresses)
    """
    return element("address", type="virtio-mmio") if chipset == "microvm" else None
