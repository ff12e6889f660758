"""Sockets between host and guest without a network. (vsock(7))"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from xml.etree import ElementTree as ET

from vms.description.constraints import Between
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element

_FIRST = 3  # 0 to 2 stand for the hypervisor, the loopback and the host


@dataclass(frozen=True, slots=True)
class Vsock:
    """A context ID on the host's vsock; with None libvirt chooses a free ID."""

    context_id: Annotated[int, Between(_FIRST, 0xFFFFFFFE)] | None = None

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <vsock>."""
        cid = self.context_id
        return element(
            "vsock",
            element("cid", auto=False, address=cid) if cid else element("cid", auto=True),
            address(chipset),
            model="virtio",
        )
