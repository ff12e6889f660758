"""Where a device sits: on PCI, on a port of PCI Express, or on the bare bus of a microvm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element

Chipset = Literal["q35", "i440fx", "microvm"]
# Elements that each take a port of their own on a machine with PCI Express.
_ON_PORTS = frozenset({"disk", "filesystem", "interface", "rng", "vsock", "memballoon", "video"})


def address(chipset: Chipset) -> ET.Element | None:
    """The address that a virtio device must be given: `microvm` alone has no PCI.

    Elsewhere libvirt finds a slot. (libvirt, "Domain XML format", Device addresses)
    """
    return element("address", type="virtio-mmio") if chipset == "microvm" else None


def root_ports(devices: Sequence[ET.Element], spare: int, chipset: Chipset) -> Iterator[ET.Element]:
    """Ports for the devices of a q35, and spare ones that more can be plugged into.

    libvirt makes those that are used, and one more. It gives the bus no other number than 0 if it
    is described as well. (libvirt, "PCI topology and hotplug")
    """
    if chipset != "q35" or not spare:
        return
    used = sum(map(_takes_port, devices))
    yield element("controller", type="pci", index=0, model="pcie-root")
    for number in range(1, used + spare + 1):
        yield element("controller", type="pci", index=number, model="pcie-root-port")


def _takes_port(device: ET.Element) -> bool:
    if device.tag == "controller":
        return device.get("type") == "virtio-serial"
    if device.get("device") == "cdrom":
        return False
    return device.tag in _ON_PORTS and device.get("model") != "none"
