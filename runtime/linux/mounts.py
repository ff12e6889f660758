"""mount(2), umount2(2), pivot_root(2)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from runtime.linux.libc import LIBC, check

if TYPE_CHECKING:
    from collections.abc import Iterable

RDONLY = 1
NOSUID = 2
NODEV = 4
NOEXEC = 8
REMOUNT = 32
NOATIME = 1024
BIND = 4096
REC = 16384
PRIVATE = 1 << 18
SLAVE = 1 << 19
RELATIME = 1 << 21
STRICTATIME = 1 << 24
DETACH = 2

# The options of mount(8) that are flags of mount(2): (bit, whether the option sets it).
OPTIONS = {
    "ro": (RDONLY, True),
    "rw": (RDONLY, False),
    "nosuid": (NOSUID, True),
    "suid": (NOSUID, False),
    "nodev": (NODEV, True),
    "dev": (NODEV, False),
    "noexec": (NOEXEC, True),
    "exec": (NOEXEC, False),
    "noatime": (NOATIME, True),
    "relatime": (RELATIME, True),
    "strictatime": (STRICTATIME, True),
    "bind": (BIND, True),
    "rbind": (BIND | REC, True),
}

_mount = LIBC.mount
_mount.argtypes = [
    ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p,
]  # fmt: skip
_pivot_root = LIBC.pivot_root
_pivot_root.argtypes = [ctypes.c_char_p, ctypes.c_char_p]


def mount(
    source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None
) -> None:
    """Mount. Raises OSError. (mount(2))"""
    check(_mount(source, target, kind, flags, data), target)


def unmount(target: bytes, flags: int = 0) -> None:
    """Unmount. Raises OSError. (umount2(2))"""
    check(LIBC.umount2(target, flags), target)


def pivot_root(new: bytes, old: bytes) -> None:
    """Make `new` the root mount and put the old one at `old`. Raises OSError. (pivot_root(2))"""
    check(_pivot_root(new, old), new)


def split_options(options: Iterable[str]) -> tuple[int, bytes]:
    """The flags and the data of mount(2) for options as mount(8) spells them."""
    flags, data = 0, []
    for option in options:
        if option in OPTIONS:
            bit, sets = OPTIONS[option]
            flags = flags | bit if sets else flags & ~bit
        else:
            data.append(option)
    return flags, ",".join(data).encode()
