"""The C library, and how a call that failed becomes an OSError."""

from __future__ import annotations

import ctypes
import os

# PyDLL keeps the GIL: a child between clone and exec has no other thread to give it to.
LIBC = ctypes.PyDLL(None, use_errno=True)


def check(result: int, path: str | bytes | None = None) -> int:
    """The result of a call, unless it is negative. Raises OSError with the call's errno."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), None if path is None else os.fsdecode(path))
    return result


def syscall(number: int, *arguments: object) -> int:
    """A system call by number, for those that the C library does not wrap. (syscall(2))"""
    return check(LIBC.syscall(number, *arguments))
