"""The C library, and how a call that failed becomes an OSError.

By the types that lie below the package `ctypes`, whose import would take as long as a start.
"""

from __future__ import annotations

import os
from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_USE_ERRNO,
    CFuncPtr,
    _SimpleCData,
    addressof,
    dlopen,
    dlsym,
    get_errno,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _ctypes import Array


class Int(_SimpleCData):  # type: ignore[type-arg]
    """A C int."""

    _type_ = "i"


class Long(_SimpleCData):  # type: ignore[type-arg]
    """A C long, which a size and a pointer fit into."""

    _type_ = "l"


class Char(_SimpleCData):  # type: ignore[type-arg]
    """A byte."""

    _type_ = "c"


class Function(CFuncPtr):
    """A C function that returns a long.

    It keeps the GIL: no other thread runs while this process's state is not what it should be.
    """

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = Long


# Without a name it is this process itself, which the C library is part of. (dlopen(3))
_process = dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]


def function(name: str) -> Function:
    """The C library's function of that name."""
    return Function(dlsym(_process, name))


_call = function("syscall")


def syscall(number: int, *arguments: object) -> int:
    """A system call by number. Raises OSError. (syscall(2))

    Numbers are passed as they are, bytes and buffers by their address.
    """
    result: int = _call(number, *map(_argument, arguments))
    if result < 0:
        code = get_errno()
        raise OSError(code, os.strerror(code))
    return result


def buffer(content: bytes) -> Array[Char]:
    """Memory with such a content, for a call to read or to change: `bytes` of it tells."""
    return (Char * len(content)).from_buffer_copy(content)


def address(memory: Array[Char]) -> int:
    """Where a buffer is, for as long as it is kept."""
    return addressof(memory)


def _argument(value: object) -> object:
    return Long(value) if isinstance(value, int) else value
