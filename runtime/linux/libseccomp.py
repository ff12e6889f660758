"""libseccomp: compile rules into a filter program. (seccomp_init(3), seccomp_rule_add(3))

The import of this module loads the library, and raises OSError if it is not installed.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_ERROR = -1  # __NR_SCMP_ERROR

_LIBRARY = ctypes.CDLL("libseccomp.so.2")


class Comparison(ctypes.Structure):
    """A comparison of an argument of a call with one or two numbers. (struct scmp_arg_cmp)"""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


class _Version(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in ("major", "minor", "micro")]


for _name, _result, _arguments in (
    ("version", ctypes.POINTER(_Version), []),
    ("init", ctypes.c_void_p, [ctypes.c_uint32]),
    ("release", None, [ctypes.c_void_p]),
    ("arch_native", ctypes.c_uint32, []),
    ("arch_resolve_name", ctypes.c_uint32, [ctypes.c_char_p]),
    ("arch_add", ctypes.c_int, [ctypes.c_void_p, ctypes.c_uint32]),
    ("syscall_resolve_name", ctypes.c_int, [ctypes.c_char_p]),
    ("syscall_resolve_name_arch", ctypes.c_int, [ctypes.c_uint32, ctypes.c_char_p]),
    ("rule_add_array", ctypes.c_int, [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
        ctypes.POINTER(Comparison),
    ]),
    ("export_bpf", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
):  # fmt: skip
    _function = getattr(_LIBRARY, f"seccomp_{_name}")
    _function.restype, _function.argtypes = _result, _arguments


def version() -> str:
    """Return the version of the library."""
    number = _LIBRARY.seccomp_version().contents
    return f"{number.major}.{number.minor}.{number.micro}"


def path() -> str:
    """Return the path of the file that the library was loaded from."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return next(line[line.index("/") : -1] for line in maps if "/libseccomp.so" in line)


def native_architecture() -> int:
    """Return the token of this machine's architecture, which every filter begins with."""
    return int(_LIBRARY.seccomp_arch_native())


def architecture(name: str) -> int | None:
    """Return the token of an architecture; None if this library does not know it."""
    return _LIBRARY.seccomp_arch_resolve_name(name.encode()) or None


def number(name: str, architecture: int | None = None) -> int | None:
    """Return a system call's number, by default on this machine; None if the library has none.

    The number is negative if the library knows the call, but the architecture does not have it.
    """
    if architecture is None:
        result = _LIBRARY.seccomp_syscall_resolve_name(name.encode())
    else:
        result = _LIBRARY.seccomp_syscall_resolve_name_arch(architecture, name.encode())
    return None if result == _ERROR else result


class Rules:
    """A context manager in which the rules of a filter are collected.

    Every method raises OSError if the library refuses.
    """

    def __init__(self, default_action: int) -> None:
        self._context = _LIBRARY.seccomp_init(default_action)
        if not self._context:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _LIBRARY.seccomp_release(self._context)

    def add_architecture(self, token: int) -> None:
        """Apply the rules that follow to this architecture too; repetitions are ignored."""
        _check(_LIBRARY.seccomp_arch_add(self._context, token), errno.EEXIST)

    def add(self, action: int, call: int, comparisons: tuple[Comparison, ...] = ()) -> None:
        """Add a rule: return `action` for this call if all comparisons are true."""
        array = (Comparison * len(comparisons))(*comparisons)
        _check(
            _LIBRARY.seccomp_rule_add_array(self._context, action, call, len(comparisons), array)
        )

    def program(self) -> bytes:
        """Return the filter, an array of struct sock_filter."""
        with open(os.memfd_create("seccomp"), "r+b", buffering=0) as file:
            _check(_LIBRARY.seccomp_export_bpf(self._context, file.fileno()))
            file.seek(0)
            return file.read()


def _check(result: int, accepted: int = 0) -> None:
    if result < 0 and -result != accepted:
        raise OSError(-result, os.strerror(-result))
