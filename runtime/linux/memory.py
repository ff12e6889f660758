"""Memory at a fixed address, which may be executed. (mmap(2), mprotect(2))"""

from __future__ import annotations

from runtime.linux import syscalls
from runtime.linux.libc import Long, function, syscall

READ, WRITE, EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22

_memmove = function("memmove")


def allocate(size: int) -> int:
    """Return the address of `size` zero bytes that can be read and written. Raise OSError."""
    return syscall(syscalls.MMAP, None, size, READ | WRITE, _PRIVATE_ANONYMOUS, -1, 0)


def fill(address: int, content: bytes) -> None:
    """Write to memory."""
    _memmove(Long(address), content, Long(len(content)))


def protect(address: int, size: int, access: int) -> None:
    """Set the allowed access: READ, WRITE, EXECUTE. Raise OSError."""
    syscall(syscalls.MPROTECT, address, size, access)


def free(address: int, size: int) -> None:
    """Unmap memory. Raise OSError. (munmap(2))"""
    syscall(syscalls.MUNMAP, address, size)
