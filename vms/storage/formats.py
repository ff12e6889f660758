"""What a file is by its first bytes: a disk image in its format, or something packed.

A raw disk has no mark of its own, so that a file with the mark of something else is refused as one:
its guest would see that other file's bytes instead of a disk.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 1024
_PACKED = (
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
)
# The bytes, where they are, and what they are the mark of.
_MARKS = (
    (0, b"QFI\xfb\0\0\0\x01", "qcow"),
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
)
_TAR = (257, b"ustar")


def refuse_other(path: Path, format_: str) -> None:
    """Raise MachineError for a file that can't be an image of that format, with what it is."""
    head = _head(path)
    for mark, packed_by, unpack in _PACKED:
        if head.startswith(mark):
            raise MachineError(f"{path} is packed by {packed_by}: unpack it first ({unpack}).")
    if head[_TAR[0] :].startswith(_TAR[1]):
        raise MachineError(f"{path} is a tar archive: unpack it, and name the disk that is in it.")
    found = next((name for at, mark, name in _MARKS if head[at:].startswith(mark)), "raw")
    if found == format_:
        return
    if found == "raw":
        raise MachineError(
            f"{path} is no qcow2 image: name its format (raw), or convert it with qemu-img."
        )
    if found == "qcow2":
        raise MachineError(f"{path} is a qcow2 image, not a raw one: name its format (qcow2).")
    raise MachineError(f"{path} is a {found} image: qemu-img convert -O qcow2 makes one of qcow2.")


def _head(path: Path) -> bytes:
    """Opened without waiting: a pipe's reader would wait for its writer."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(f"Can't read {path}: {error.strerror}.") from error
    try:
        if not stat.S_ISREG(os.fstat(held).st_mode):
            raise MachineError(f"{path} is no regular file: disk images are.")
        return os.pread(held, _HEAD_BYTES, 0)
    except OSError as error:
        raise MachineError(f"Can't read {path}: {error.strerror}.") from error
    finally:
        os.close(held)
