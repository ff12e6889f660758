"""Memory of a machine: its size limits, its backing on the host, and its balloon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from xml.etree import ElementTree as ET

from vms.description.constraints import Between
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element

_SLOTS = 16  # for memory modules (DIMMs)


@dataclass(frozen=True, slots=True)
class Memory:
    """Settings of the memory that the host gives a machine.

    `maximum_mib` leaves room for memory that is plugged in while the machine runs. `shared` lets
    another process map the memory, as virtiofsd does; it must then come from a memfd or a file.
    `mergeable` allows the kernel to share equal pages with other machines (KSM), and
    `transparent_huge_pages` allows it to combine pages into huge ones. (madvise(2), MADV_MERGEABLE
    and MADV_HUGEPAGE; prctl(2), PR_SET_THP_DISABLE)
    """

    maximum_mib: Annotated[int, Between(16)] | None = None
    source: Literal["anonymous", "memfd", "file"] = "anonymous"
    shared: bool = False
    locked: bool = False
    huge_page_kib: Annotated[int, Between(4)] | None = None
    mergeable: bool = True
    transparent_huge_pages: bool = True

    def objection(self) -> str:
        """Return the conflict between fields, if any: anonymous memory can't be shared."""
        if self.shared and self.source == "anonymous":
            return "shared needs source memfd or file"
        return ""

    def room(self) -> ET.Element | None:
        """Return <maxMemory>, or None if no memory can be plugged in."""
        if not self.maximum_mib:
            return None
        return element("maxMemory", text=self.maximum_mib, slots=_SLOTS, unit="MiB")

    def cell(self, mib: int, vcpus: int) -> ET.Element | None:
        """Return <numa> with one cell, which memory modules need; None if none can be plugged in.

        The cell has all CPUs and all memory that the machine begins with.
        """
        if not self.maximum_mib:
            return None
        cpus = f"0-{vcpus - 1}" if vcpus > 1 else "0"
        return element("numa", element("cell", id=0, cpus=cpus, memory=mib, unit="MiB"))

    def backing(self, *, shared: bool) -> ET.Element | None:
        """Return <memoryBacking>, or None for the defaults; `shared` if a device demands it."""
        source = "memfd" if shared and self.source == "anonymous" else self.source
        page = self.huge_page_kib
        children = [
            element("hugepages", element("page", size=page, unit="KiB")) if page else None,
            None if self.mergeable else element("nosharepages"),
            element("locked") if self.locked else None,
            None if source == "anonymous" else element("source", type=source),
            element("access", mode="shared") if shared or self.shared else None,
        ]
        return element("memoryBacking", *children) if any(c is not None for c in children) else None


@dataclass(frozen=True, slots=True)
class Balloon:
    """A virtio balloon: the host takes memory back, and the guest reports free memory.

    With `free_page_reporting` the guest returns free pages unasked. `deflate_on_oom` gives the
    guest its memory back before it kills processes for lack of memory. `statistics_seconds` is the
    interval at which the guest reports its own figures; 0 is never.
    """

    free_page_reporting: bool = True
    deflate_on_oom: bool = True
    statistics_seconds: Annotated[int, Between(0)] = 0

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <memballoon>."""
        return element(
            "memballoon",
            element("stats", period=self.statistics_seconds) if self.statistics_seconds else None,
            address(chipset),
            model="virtio",
            autodeflate="on" if self.deflate_on_oom else None,
            freePageReporting="on" if self.free_page_reporting else None,
        )
