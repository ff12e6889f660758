"""Archives in the cpio format "newc", which the kernel unpacks as its first root file system.

(Linux, Documentation/driver-api/early-userspace/buffer-format.rst)
"""

from __future__ import annotations

import stat
from typing import BinaryIO


class Writer:
    """A writer of uncompressed archives: to unpack them would cost boot time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inode = 0

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Write a regular file."""
        self._entry(name, stat.S_IFREG | mode, content)

    def directory(self, name: str) -> None:
        """Write a directory."""
        self._entry(name, stat.S_IFDIR | 0o755)

    def device(self, name: str, major: int, minor: int) -> None:
        """Write a character device."""
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self) -> None:
        """Write the entry that ends an archive."""
        self._entry("TRAILER!!!", 0)

    def _entry(
        self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (
            self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0,
        )  # fmt: skip
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._file.write(_padded(header) + _padded(content))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
