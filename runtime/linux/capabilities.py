"""capset(2) and the bounding and ambient sets. (capabilities(7), prctl(2))"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.linux.libc import LIBC, check

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
    "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_SET_KEEPCAPS, _CAPBSET_DROP, _CAP_AMBIENT, _SET_NO_NEW_PRIVS = 8, 24, 47, 38
_AMBIENT_CLEAR_ALL, _AMBIENT_RAISE = 4, 2

_prctl = LIBC.prctl
_prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@functools.cache
def last_known() -> int:
    """The highest capability that this kernel knows. (/proc/sys/kernel/cap_last_cap)"""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_bytes())


def mask(names: Iterable[str]) -> int:
    """The set as bits; names that no kernel has are left out."""
    return sum(1 << NUMBERS[name] for name in set(names) if name in NUMBERS)


def set_bounding(kept: int, last: int) -> None:
    """Drop everything else from the bounding set. Raises OSError."""
    for number in range(last + 1):
        if not kept >> number & 1:
            check(_prctl(_CAPBSET_DROP, number, 0, 0, 0))


def keep_across_setuid() -> None:
    """Keep the permitted set when the user changes to one that is not root. Raises OSError."""
    check(_prctl(_SET_KEEPCAPS, 1, 0, 0, 0))


class ThreadSets:
    """A thread's three sets as capset(2) takes them; calling it sets them. Raises OSError."""

    def __init__(self, effective: int, permitted: int, inheritable: int) -> None:
        self._header = _Header(_VERSION_3, 0)
        self._data = (_Data * 2)(
        *(_Data(*(bits >> shift & 0xFFFFFFFF for bits in (effective, permitted, inheritable)))
          for shift in (0, 32))
    )  # fmt: skip
        self._arguments = ctypes.byref(self._header), ctypes.byref(self._data)

    def __call__(self) -> None:
        """Set them for the calling thread."""
        check(LIBC.capset(*self._arguments))


def set_ambient(raised: int, last: int) -> None:
    """Make the ambient set exactly this. Raises OSError."""
    check(_prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0))
    for number in range(last + 1):
        if raised >> number & 1:
            check(_prctl(_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0))


def forbid_new_privileges() -> None:
    """No exec from here on grants what this process has not. Raises OSError."""
    check(_prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
