"""Formats of files by their first bytes: disk images, compressed files, archives.

A raw disk image has no magic bytes, so a file with those of another format is refused as one: the
guest would see the bytes of that format in place of a disk.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from vms.errors import InvalidImage, os_error

if TYPE_CHECKING:
    from pathlib import Path

_HEAD_BYTES = 1024
# Magic bytes, what compresses so, and the program that unpacks it.
_COMPRESSED = (
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
)
# Offset of the magic bytes, the magic bytes, and the format.
_IMAGES = (
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
_TAR_OFFSET, _TAR = 257, b"ustar"


def refuse_other(path: Path, format_: str) -> None:
    """Raise MachineError, naming the file's real format, for a file that is not of this format."""
    head = _head(path)
    for magic, name, unpack in _COMPRESSED:
        if head.startswith(magic):
            raise InvalidImage(f"{path} is compressed with {name}: unpack it first ({unpack}).")
    if head[_TAR_OFFSET:].startswith(_TAR):
        raise InvalidImage(f"{path} is a tar archive: unpack it, and name the disk image in it.")
    actual = next((name for at, magic, name in _IMAGES if head[at:].startswith(magic)), "raw")
    if actual == format_:
        return
    if actual == "raw":
        raise InvalidImage(
            f"{path} is not a qcow2 image: name its format if it is raw, or convert it with"
            " qemu-img convert."
        )
    if actual == "qcow2":
        raise InvalidImage(f"{path} is a qcow2 image, not a raw image: name its format (qcow2).")
    raise InvalidImage(f"{path} is a {actual} image: convert it with qemu-img convert -O qcow2.")


def _head(path: Path) -> bytes:
    """Return the first KiB of a regular file. Raises MachineError."""
    try:
        # Without O_NONBLOCK, opening a FIFO would block until a writer opens it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise os_error(f"Can't read {path}", error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidImage(f"{path} is not a regular file, as a disk image must be.")
        return os.pread(descriptor, _HEAD_BYTES, 0)
    except OSError as error:
        raise os_error(f"Can't read {path}", error) from error
    finally:
        os.close(descriptor)
