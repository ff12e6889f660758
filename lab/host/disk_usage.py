"""Disk usage of files: apparent size, allocated blocks, and extents not shared with others."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# linux/fiemap.h: struct fiemap without extents, struct fiemap_extent
_FS_IOC_FIEMAP = 0xC020660B
_HEAD = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQQQLLLL")
_SYNC, _LAST, _SHARED = 1, 1, 0x2000
_EXTENTS = 128
_END = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes: sizes as `ls` shows them, allocated blocks, and blocks that no other file shares."""

    apparent: int
    allocated: int
    unique: int


def usage(paths: Iterable[Path]) -> Usage:
    """Return the usage of files and trees together, counting every inode once. Raise OSError."""
    apparent = allocated = shared = 0
    for path, status in _inodes(paths):
        apparent += status.st_size
        allocated += status.st_blocks * 512
        if stat.S_ISREG(status.st_mode) and status.st_blocks:
            shared += _shared_bytes(path)
    return Usage(apparent, allocated, allocated - shared)


def allocated_bytes(path: Path) -> int:
    """Return the bytes of disk blocks that a file or directory tree takes, every inode once."""
    return sum(status.st_blocks * 512 for _, status in _inodes([path]))


def _inodes(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    seen: set[tuple[int, int]] = set()
    stack = list(paths)
    while stack:
        path = stack.pop()
        status = path.lstat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            stack.extend(path.iterdir())


def _shared_bytes(path: Path) -> int:
    """Return the bytes of extents shared with other files; 0 if the file system can't tell.

    (Linux, Documentation/filesystems/fiemap.rst)
    """
    shared = start = 0
    with path.open("rb") as file:
        while True:
            request = bytearray(_HEAD.size + _EXTENTS * _EXTENT.size)
            _HEAD.pack_into(request, 0, start, _END - start, _SYNC, 0, _EXTENTS, 0)
            try:
                fcntl.ioctl(file, _FS_IOC_FIEMAP, request)
            except OSError:
                return 0
            mapped = _HEAD.unpack_from(request)[3]
            for number in range(mapped):
                logical, _, length, _, _, flags, *_ = _EXTENT.unpack_from(
                    request, _HEAD.size + number * _EXTENT.size
                )
                shared += length if flags & _SHARED else 0
                start = logical + length
            if not mapped or flags & _LAST:
                return shared
