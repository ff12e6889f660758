"""Memory by mmap(2), for what is to be executed or must stay where it is."""

from __future__ import annotations

from runtime.linux import syscalls
from runtime.linux.libc import Long, function, syscall

READ, WRITE, EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22

_memmove = function("memmove")


def allocate(size: int) -> int:
    """The address of so many zero bytes, to read and write. Raises OSError."""
    return syscall(syscalls.MMAP, None, size, READ | WRITE, _PRIVATE_ANONYMOUS, -1, 0)


def fill(address: int, content: bytes) -> None:
    """Write to the memory there."""
    _memmove(Long(address), content, Long(len(content)))


def protect(address: int, size: int, access: int) -> None:
    """Say what may be done with the memory. Raises OSError. (mprotect(2))"""
    syscall(syscalls.MPROTECT, address, size, access)


def free(address: int, size: int) -> None:
    """Give it back. Raises OSError."""
    syscall(syscalls.MUNMAP, address, size)
