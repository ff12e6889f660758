"""The C library, and how a call that failed becomes an OSError."""

from __future__ import annotations

import ctypes
import os

# PyDLL keeps the GIL: a child between clone and exec has no other thread to give it to.
LIBC = ctypes.PyDLL(None, use_errno=True)
_syscall = LIBC.syscall
_syscall.restype = ctypes.c_long


def check(result: int, path: str | bytes | None = None) -> int:
    """The result of a call, unless it is negative. Raises OSError with the call's errno."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), None if path is None else os.fsdecode(path))
    return result


def syscall(number: int, *arguments: object) -> int:
    """A system call by number. Raises OSError. (syscall(2))

    Numbers are passed as they are, bytes and ctypes' own values by their address.
    """
    return check(_syscall(number, *map(_argument, arguments)))


def _argument(value: object) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value
