"""The user land as a machine's disk: one ext4 file system in a qcow2 image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.userland.cache_entry import cache_entry, digest
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DISK_BYTES = 2 << 30


def build_disk(tree: Path, progress: Callable[[str], None]) -> Path:
    """Return the disk image of a tree. Raises LabError, MachineError."""
    with cache_entry("disk", digest(tree.parent.name, str(DISK_BYTES))) as (directory, staging):
        if staging:
            progress("making the machine's disk")
            disks.build_disk(tree, staging / "base.qcow2", DISK_BYTES)
    return directory / "base.qcow2"


def build_shipped_disk(disk: Path, progress: Callable[[str], None]) -> Path:
    """Return a copy of a disk with compressed clusters, as cloud images are distributed.

    Raises LabError, MachineError.
    """
    with cache_entry("shipped-disk", digest(disk.parent.name)) as (directory, staging):
        if staging:
            progress("compressing the machine's disk")
            disks.compress(disk, staging / "base.qcow2")
    return directory / "base.qcow2"
