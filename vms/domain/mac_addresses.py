"""MAC addresses of all machines of a libvirt: no two machines share one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vms.description import mac
from vms.errors import AlreadyExists
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterable


def refuse_taken(handle: Any, name: str, addresses: Iterable[str]) -> None:
    """Raise AlreadyExists if a machine other than `name` has one of these MAC addresses."""
    canonical = {mac.canonical(address) for address in addresses}
    if not canonical:
        return
    with translate_errors("Can't read the MAC addresses of other machines"):
        others = [other for other in handle.listAllDomains() if other.name() != name]
        for other in others:
            for address in sorted(canonical & mac.of(ET.fromstring(other.XMLDesc()))):
                raise AlreadyExists(
                    f"{other.name()} has a card with the address {address}: choose another address."
                )
