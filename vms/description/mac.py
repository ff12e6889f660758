"""MAC addresses, compared by value: case and separators make no difference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from xml.etree import ElementTree as ET

from vms.description.constraints import Like

_SEPARATORS = re.compile("[:.-]")
# Six bytes; unicast, so the lowest bit of the first is clear. QEMU takes all zeros for no address.
_UNICAST = (
    r"(?!0[0:.-]*0$)[0-9A-Fa-f][02468ACEace]"
    r"(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f]{4}){2})"
)
Mac = Annotated[str, Like(_UNICAST, "a unicast address such as 52:54:00:12:34:56")]


@dataclass(frozen=True, slots=True)
class Address:
    """An address on its own, to be validated before use."""

    address: Mac


def canonical(address: str) -> str:
    """Return an address in libvirt's notation."""
    digits = _SEPARATORS.sub("", address).lower()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def of(description: ET.Element) -> set[str]:
    """Return the addresses of a machine's network cards."""
    macs = description.findall("./devices/interface/mac")
    return {canonical(mac.get("address", "")) for mac in macs}
