"""Functions of the C library and system calls, with OSError for a failure.

They are called through the C types of `_ctypes`: importing the package `ctypes` above it takes as
long as a container's start.
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
    """A C long, which holds a size or a pointer too."""

    _type_ = "l"


class Char(_SimpleCData):  # type: ignore[type-arg]
    """A C char."""

    _type_ = "c"


class Function(CFuncPtr):
    """A C function that returns a long.

    Calls keep the GIL: no other thread runs while the process is in a state that only the caller
    may see, such as another namespace.
    """

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = Long


class _IntFunction(CFuncPtr):
    """A C function that returns an int. Calls release the GIL, since some take long."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = Int


# dlopen(3) without a name returns the process itself, which the C library is part of.
_process = dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]


def function(name: str) -> Function:
    """Return a function of the C library."""
    return Function(dlsym(_process, name))


_syscall = function("syscall")


def syscall(number: int, *arguments: object) -> int:
    """Make a system call by its number and return its result. Raise OSError. (syscall(2))

    Integers are passed as they are, bytes and buffers by their address.
    """
    result: int = _syscall(number, *map(_argument, arguments))
    if result < 0:
        code = get_errno()
        raise OSError(code, os.strerror(code))
    return result


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library that returns an int and sets errno. Raise OSError."""
    result: int = _IntFunction(dlsym(_process, name))(*map(_argument, arguments))
    if result < 0:
        code = get_errno()
        raise OSError(code, os.strerror(code))
    return result


def buffer(content: bytes) -> Array[Char]:
    """Return memory that a call can read and change; `bytes(...)` of it returns the content."""
    return (Char * len(content)).from_buffer_copy(content)


def address(memory: Array[Char]) -> int:
    """Return the address of a buffer, which is valid as long as the buffer is referenced."""
    return addressof(memory)


def _argument(value: object) -> object:
    return Long(value) if isinstance(value, int) else value
