"""Boot sources: a kernel that QEMU loads itself, or firmware that boots from a disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element


@dataclass(frozen=True, slots=True)
class Firmware:
    """SeaBIOS, or OVMF with the machine's own variables; the firmware tries the disks in order.

    libvirt chooses an OVMF of those installed. (libvirt, "Domain XML format", BIOS bootloader)
    """

    kind: Literal["bios", "uefi"] = "bios"
    secure_boot: bool = False

    def objection(self) -> str:
        """Return the conflict between fields, if any: BIOS has no secure boot."""
        return "secure_boot needs uefi" if self.secure_boot and self.kind == "bios" else ""

    def elements(self, nvram: Path | None) -> Iterator[ET.Element]:
        """Yield the elements below <os>. Without a path for the variables libvirt chooses one."""
        if self.kind == "bios":
            return
        features = ("secure-boot", "enrolled-keys")
        yield element(
            "firmware",
            *(element("feature", enabled=self.secure_boot, name=name) for name in features),
        )
        if nvram:
            yield element("nvram", text=nvram)


@dataclass(frozen=True, slots=True)
class DirectKernel:
    """A kernel that QEMU loads itself: no boot loader, and on `microvm` hardly any firmware."""

    kernel: Path
    initrd: Path | None
    command_line: str = ""
    firmware: Firmware = Firmware()

    def elements(self, nvram: Path | None) -> Iterator[ET.Element]:
        """Yield the elements below <os> but for the command line, which the machine completes."""
        yield from self.firmware.elements(nvram)
        yield element("kernel", text=self.kernel)
        if self.initrd:
            yield element("initrd", text=self.initrd)
