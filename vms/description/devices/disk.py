"""Disks and CD-ROM drives."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from xml.etree import ElementTree as ET

from vms.description.constraints import Like
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element

_LETTERS = string.ascii_lowercase


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk image on virtio-blk; the first is the guest's /dev/vda.

    `io` is the way QEMU accesses the file (None: QEMU chooses); native needs a cache of none or
    directsync. With `own_thread` QEMU serves the disk by an iothread, beside its main thread. With
    `discard` blocks that the guest trims are returned to the host's file system.
    """

    path: Path
    format: Literal["qcow2", "raw"] = "qcow2"
    cache: Literal["none", "writeback", "writethrough", "directsync", "unsafe"] = "writeback"
    io: Literal["native", "threads", "io_uring"] | None = None
    own_thread: bool = False
    read_only: bool = False
    discard: bool = False
    serial: Annotated[str, Like(r"[A-Za-z0-9_.+-]{1,20}", "up to 20 letters, digits, _ . + -")] | (
        None
    ) = None

    def objection(self) -> str:
        """Return the conflict between fields, if any: Linux AIO needs O_DIRECT. (io_submit(2))"""
        if self.io == "native" and self.cache not in {"none", "directsync"}:
            return "io native needs cache none or directsync"
        return ""

    def element(self, number: int, chipset: Chipset, *, boots: bool) -> ET.Element:
        """Return <disk>. With `boots` the firmware tries to boot from it."""
        return element(
            "disk",
            element(
                "driver",
                name="qemu",
                type=self.format,
                cache=self.cache,
                io=self.io,
                iothread=number + 1 if self.own_thread else None,
                discard="unmap" if self.discard else None,
            ),
            element("source", file=self.path),
            element("target", dev=f"vd{_letters(number)}", bus="virtio"),
            element("readonly") if self.read_only else None,
            element("serial", text=self.serial) if self.serial else None,
            element("boot", order=number + 1) if boots else None,
            address(chipset),
            type="file",
            device="disk",
        )


@dataclass(frozen=True, slots=True)
class Cdrom:
    """A CD-ROM drive with the ISO image in it; None leaves it empty."""

    medium: Path | None = None

    def element(self, number: int, chipset: Chipset, *, order: int | None) -> ET.Element:
        """Return <disk>. `order` is its place in the firmware's boot order."""
        sata = chipset == "q35"
        return element(
            "disk",
            element("driver", name="qemu", type="raw"),
            element("source", file=self.medium) if self.medium else None,
            element(
                "target",
                dev=f"{'sd' if sata else 'hd'}{_letters(number)}",
                bus="sata" if sata else "ide",
            ),
            element("readonly"),
            element("boot", order=order) if order else None,
            type="file",
            device="cdrom",
        )


def _letters(number: int) -> str:
    """Return a to z, then aa, ab, …: the suffixes of Linux's disk names."""
    name = ""
    while number >= 0:
        number, last = divmod(number, len(_LETTERS))
        name = _LETTERS[last] + name
        number -= 1
    return name
