"""What a process sets of itself before it execs."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from runtime.linux.libc import LIBC, check, syscall

_CLOSE_RANGE, _CLOEXEC = 436, 4
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def close_on_exec_from(first: int) -> None:
    """Close every descriptor from `first` on at exec. Raises OSError. (close_range(2))"""
    syscall(_CLOSE_RANGE, first, 0xFFFFFFFF, _CLOEXEC)


def set_hostname(name: bytes) -> None:
    """Name the UTS namespace's host. Raises OSError. (sethostname(2))"""
    check(LIBC.sethostname(name, len(name)))


def bring_loopback_up() -> None:
    """Bring `lo` up in this network namespace. Raises OSError. (netdevice(7))"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def place(descriptors: tuple[int, int, int]) -> None:
    """Make these descriptors 0, 1 and 2. Raises OSError. (dup2(2))"""
    # Lifted first, so that none is overwritten before it was placed.
    lifted = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) for descriptor in descriptors]
    for number, descriptor in enumerate(lifted):
        os.dup2(descriptor, number, inheritable=True)
