"""Random number generator of a machine: the guest need not wait for entropy of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from xml.etree import ElementTree as ET

from vms.description.constraints import Between
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element

_PERIOD_MS = 1000


@dataclass(frozen=True, slots=True)
class Rng:
    """The host's /dev/urandom; `bytes_per_second` keeps a guest from using up a host CPU by it."""

    bytes_per_second: Annotated[int, Between(1)] | None = None

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <rng>."""
        limit = self.bytes_per_second
        return element(
            "rng",
            element("rate", bytes=limit, period=_PERIOD_MS) if limit else None,
            element("backend", text="/dev/urandom", model="random"),
            address(chipset),
            model="virtio",
        )
