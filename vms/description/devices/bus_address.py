"""Bus addresses of devices: PCI, a port of PCI Express, or the MMIO bus of a microvm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element

Chipset = Literal["q35", "i440fx", "microvm"]
# Elements whose device occupies a port of its own on PCI Express.
_ON_PORTS = frozenset({"disk", "filesystem", "interface", "rng", "vsock", "memballoon", "video"})


def address(chipset: Chipset) -> ET.Element | None:
    """Return <address> for a virtio device on a `microvm`, which has no PCI.

    Return None on other chipsets, where libvirt chooses a slot. (libvirt, "Domain XML format",
    Device addresses)
    """
    return element("address", type="virtio-mmio") if chipset == "microvm" else None


def root_ports(devices: Sequence[ET.Element], spare: int, chipset: Chipset) -> Iterator[ET.Element]:
    """Yield the ports of a q35: one for each device, and `spare` ones for devices plugged in later.

    By itself libvirt makes one spare port only. The bus is described as well, so that libvirt gives
    it number 0. (libvirt, "PCI topology and hotplug")
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
