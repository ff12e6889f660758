"""The archive that the kernel unpacks as its first root file system.

(Linux, Documentation/driver-api/early-userspace/buffer-format.rst: "newc")
"""

from __future__ import annotations

import stat
from typing import BinaryIO


class Writer:
    """Writes an archive of a few files, uncompressed: unpacking would cost boot time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inode = 0

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """A regular file."""
        self._entry(name, stat.S_IFREG | mode, content)

    def directory(self, name: str) -> None:
        """A directory."""
        self._entry(name, stat.S_IFDIR | 0o755)

    def device(self, name: str, major: int, minor: int) -> None:
        """A character device."""
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self) -> None:
        """The entry that ends an archive."""
        self._entry("TRAILER!!!", 0)

    def _entry(
        self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (
            self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0,
        )  # fmt: skip
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._file.write(_padded(head) + _padded(content))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
