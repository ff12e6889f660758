"""Memory by mmap(2), for what is to be executed or must stay where it is."""

from __future__ import annotations

import ctypes

from runtime.linux.libc import LIBC, check

READ, WRITE, EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22

_mmap, _munmap, _mprotect = LIBC.mmap, LIBC.munmap, LIBC.mprotect
_mmap.restype = ctypes.c_ssize_t
_mmap.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
]  # fmt: skip
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def allocate(size: int) -> int:
    """The address of so many zero bytes, to read and write. Raises OSError."""
    return check(_mmap(None, size, READ | WRITE, _PRIVATE_ANONYMOUS, -1, 0))


def protect(address: int, size: int, access: int) -> None:
    """Say what may be done with the memory. Raises OSError. (mprotect(2))"""
    check(_mprotect(address, size, access))


def free(address: int, size: int) -> None:
    """Give it back. Raises OSError."""
    check(_munmap(address, size))
