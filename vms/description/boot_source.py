"""What a machine boots: a kernel that QEMU loads itself, or what its firmware finds on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

from vms.description.xml import element


@dataclass(frozen=True, slots=True)
class Firmware:
    """SeaBIOS, or OVMF with variables of the machine's own; it boots from the disks, in order.

    libvirt chooses OVMF from what is installed. (libvirt, "Domain XML format", BIOS bootloader)
    """

    kind: Literal["bios", "uefi"] = "bios"
    secure_boot: bool = False

    def objection(self) -> str:
        """BIOS knows no secure boot."""
        return "secure_boot needs uefi" if self.secure_boot and self.kind == "bios" else ""

    def elements(self, nvram: Path | None) -> Iterator[ET.Element]:
        """Below <os>. `nvram` is where the variables are kept; None leaves that to libvirt."""
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
    """A kernel that QEMU loads itself: no boot loader, and on `microvm` no firmware to speak of."""

    kernel: Path
    initrd: Path | None
    command_line: str = ""
    firmware: Firmware = Firmware()

    def elements(self, nvram: Path | None) -> Iterator[ET.Element]:
        """Below <os>."""
        yield from self.firmware.elements(nvram)
        yield element("kernel", text=self.kernel)
        if self.initrd:
            yield element("initrd", text=self.initrd)
        if self.command_line:
            yield element("cmdline", text=self.command_line)
