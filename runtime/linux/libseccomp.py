"""libseccomp, as much of it as turns rules into a program. (seccomp_init(3), seccomp_rule_add(3))

Importing this loads the library. Raises OSError where there is none.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_ERROR = -1  # __NR_SCMP_ERROR

_LIBRARY = ctypes.CDLL("libseccomp.so.2")


class Comparison(ctypes.Structure):
    """An argument's number, the operator, and what it is compared with. (struct scmp_arg_cmp)"""

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
    """The library's version."""
    found = _LIBRARY.seccomp_version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


def path() -> str:
    """The file that the library was loaded from."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return next(line[line.index("/") : -1] for line in maps if "/libseccomp.so" in line)


def native_architecture() -> int:
    """This machine's, which every filter knows."""
    return int(_LIBRARY.seccomp_arch_native())


def architecture(name: str) -> int | None:
    """The architecture's token; None if this library knows none of that name."""
    return _LIBRARY.seccomp_arch_resolve_name(name.encode()) or None


def number(name: str, architecture: int | None = None) -> int | None:
    """A system call's number, by default on this machine; None if the library has no such call.

    It is negative where the library knows the call, but the architecture has none of that name.
    """
    if architecture is None:
        found = _LIBRARY.seccomp_syscall_resolve_name(name.encode())
    else:
        found = _LIBRARY.seccomp_syscall_resolve_name_arch(architecture, name.encode())
    return None if found == _ERROR else found


class Rules:
    """A filter in the making; a context manager. Raises OSError wherever the library refuses."""

    def __init__(self, default_action: int) -> None:
        self._context = _LIBRARY.seccomp_init(default_action)
        if not self._context:
            raise OSError(22, os.strerror(22))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _LIBRARY.seccomp_release(self._context)

    def add_architecture(self, token: int) -> None:
        """Apply the rules that follow to this architecture too; twice is no error."""
        _check(_LIBRARY.seccomp_arch_add(self._context, token), 17)

    def add(self, action: int, call: int, comparisons: tuple[Comparison, ...] = ()) -> None:
        """Do `action` on this call, if every comparison holds."""
        array = (Comparison * len(comparisons))(*comparisons)
        _check(
            _LIBRARY.seccomp_rule_add_array(self._context, action, call, len(comparisons), array)
        )

    def program(self) -> bytes:
        """An array of struct sock_filter."""
        with open(os.memfd_create("seccomp"), "r+b", buffering=0) as file:
            _check(_LIBRARY.seccomp_export_bpf(self._context, file.fileno()))
            file.seek(0)
            return file.read()


def _check(result: int, accepted: int = 0) -> None:
    if result < 0 and -result != accepted:
        raise OSError(-result, os.strerror(-result))
