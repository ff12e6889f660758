"""A machine's disk from an image: its files as one ext4 file system, and what its init starts.

The init is the payload in the machine's initramfs, as for the common user land. The disk has one
file that the image has not, which names the command with its user, variables and directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.host import mount_namespace
from lab.host.disk_usage import usage
from lab.paths import APPLICATION_ON_DISK
from lab.userland.cache_entry import cache_entry, digest
from vms.errors import MachineError
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.userland.application import Application

SMALLEST_BYTES = 2 << 30  # as the disk of the common user land
_MIB = 1 << 20
_ROOM_BYTES = 512 * _MIB
_BYTES_PER_INODE = 16 << 10  # mke2fs.conf(5)
_FULL = ("Could not allocate", "No space", "no free space", "too small")


def build_image_disk(
    layers: Sequence[Path],
    application: Application,
    progress: Callable[[str], None],
    size_bytes: int | None = None,
) -> Path:
    """Return the qcow2 disk of an image whose layers are `layers`, topmost first.

    Without a size it is large enough for twice the image. Raises LabError, MachineError.
    """
    words = application.start_words()
    key = digest(application.digest, *words, str(size_bytes))
    with cache_entry("image-disk", key) as (directory, staging):
        if staging:
            size_bytes = size_bytes or default_size_bytes(layers)
            progress(f"making a disk from {application.reference}")
            _build(layers, words, staging, size_bytes, application.reference)
    return directory / "base.qcow2"


def default_size_bytes(layers: Sequence[Path]) -> int:
    """Return a size with room for twice the image's bytes and files, in whole MiB."""
    content = usage(layers).apparent
    inodes = sum(
        len(folders) + len(names) for each in layers for _, folders, names in os.walk(each)
    )
    size_bytes = max(SMALLEST_BYTES, 2 * content + _ROOM_BYTES, 2 * inodes * _BYTES_PER_INODE)
    return -(-size_bytes // _MIB) * _MIB


def _build(
    layers: Sequence[Path], words: Sequence[str], staging: Path, size_bytes: int, reference: str
) -> None:
    """Write the disk from a mount of the layers, which only the calling thread sees."""
    added, tree = staging / "added", staging / "tree"
    tree.mkdir()
    file = added / APPLICATION_ON_DISK.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"".join(word.encode() + b"\0" for word in words))
    file.chmod(0o600)  # variables may be secrets

    def write() -> None:
        mount_namespace.mount_layers((*layers, added), tree)
        disks.build_disk(tree, staging / "base.qcow2", size_bytes)

    try:
        mount_namespace.call_privately(write)
    except MachineError as error:
        if any(sign in str(error) for sign in _FULL):
            raise InvalidConfig(
                f"A disk of {size_bytes // _MIB} MiB is too small for {reference}:"
                " give a larger --size."
            ) from error
        raise
    file.unlink()
    file.parent.rmdir()
    added.rmdir()
    tree.rmdir()
