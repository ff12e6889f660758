"""Directories of the host that a machine can mount."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree as ET

from vms.description.constraints import Like
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element


@dataclass(frozen=True, slots=True)
class Share:
    """A directory that the guest mounts by its tag: `mount -t virtiofs TAG /mnt`, or `-t 9p`.

    virtiofs is faster, and needs virtiofsd and a PCI bus. Only 9p can be read-only: the virtiofsd
    of Debian 12 is too old for that.
    """

    directory: Path
    tag: Annotated[str, Like(r"[A-Za-z0-9_.-]{1,31}", "up to 31 letters, digits, _ . -")]
    driver: Literal["virtiofs", "9p"] = "virtiofs"
    read_only: bool = False

    def objection(self) -> str:
        """Return the conflict between fields, if any; libvirt's own message gives no advice."""
        if self.read_only and self.driver == "virtiofs":
            return "read_only needs driver 9p"
        return ""

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <filesystem>."""
        virtiofs = self.driver == "virtiofs"
        return element(
            "filesystem",
            element("driver", type="virtiofs") if virtiofs else None,
            element("source", dir=self.directory),
            element("target", dir=self.tag),
            element("readonly") if self.read_only else None,
            address(chipset),
            type="mount",
            accessmode="passthrough",
        )
