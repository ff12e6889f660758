"""Capabilities by name and as bit masks. (capabilities(7), capget(2), linux/capability.h)"""

from __future__ import annotations

from _struct import Struct

from runtime.lazy import remembered
from runtime.linux import syscalls
from runtime.linux.libc import buffer, syscall

TYPE_CHECKING = False
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
# struct __user_cap_header_struct; two of struct __user_cap_data_struct
_HEADER, _DATA = Struct("<Ii"), Struct("<6I")


@remembered
def last_known() -> int:
    """Return the highest capability of this kernel. (/proc/sys/kernel/cap_last_cap)"""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def mask(names: Iterable[str]) -> int:
    """Return the bit mask of these capabilities, without names that no kernel has."""
    return sum(1 << NUMBERS[name] for name in set(names) if name in NUMBERS)


def own_permitted() -> int:
    """Return the permitted capabilities of this process as a bit mask. Raise OSError."""
    data = buffer(bytes(_DATA.size))
    syscall(syscalls.CAPGET, header(), data)
    _, low, _, _, high, _ = _DATA.unpack(bytes(data))
    return int(low) | int(high) << 32


def header() -> bytes:
    """Return the first argument of capset(2): the version, and this thread."""
    return _HEADER.pack(_VERSION_3, 0)


def sets(effective: int, permitted: int, inheritable: int) -> bytes:
    """Return the second argument of capset(2): the lower halves of the masks, then the upper."""
    masks = (effective, permitted, inheritable)
    return _DATA.pack(*(bits >> shift & 0xFFFFFFFF for shift in (0, 32) for bits in masks))
