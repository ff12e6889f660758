"""A network of its own for a machine whose VMM knows no network in user space.

A tap device in a network namespace: the VMM opens it there, and who asks the machine goes there to
ask. Nothing of it is seen on the host, and both go with the last who holds the namespace.
(tun(4): Documentation/networking/tuntap.rst; netdevice(7); setns(2))
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.network import namespace

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_DEVICE = Path("/dev/net/tun")
NAME = "tap0"
GUEST_ADDRESS = "10.0.2.15"  # the payload's own choice
GUEST_MAC = "52:54:00:10:02:15"
_HOST_ADDRESS, _MASK = "10.0.2.2", "255.255.255.0"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_TAP, _NO_PACKET_INFORMATION = 0x2, 0x1000
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914
_UP = 0x1
_REQUEST_BYTES = 40


class Tap:
    """The device and its namespace. Raises LabError if the host grants none."""

    def __init__(self) -> None:
        self._namespace = namespace.make()
        try:
            with self.inside():
                _make()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise LabError(f"No tap device can be made: {error.strerror}.") from error
            raise

    def inside(self) -> AbstractContextManager[None]:
        """Be in the namespace for a while: processes and sockets made there stay."""
        return namespace.enter(self._namespace)

    def close(self) -> None:
        """Let go of the namespace."""
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1


def absent() -> str:
    """Why there can be none here; empty if there can."""
    return "" if _DEVICE.exists() else "this host has no /dev/net/tun"


def _make() -> None:
    """Make it in this namespace, and bring it up."""
    device = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _TUNSETIFF, _request(struct.pack("=H", _TAP | _NO_PACKET_INFORMATION)))
        fcntl.ioctl(device, _TUNSETPERSIST, 1)
    finally:
        os.close(device)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for what, address in ((_SIOCSIFADDR, _HOST_ADDRESS), (_SIOCSIFNETMASK, _MASK)):
            there = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, what, _request(there))
        fcntl.ioctl(control, _SIOCSIFFLAGS, _request(struct.pack("=H", _UP)))


def _request(value: bytes) -> bytes:
    """A struct ifreq: the device's name, then the value."""
    return (NAME.encode().ljust(16, b"\0") + value).ljust(_REQUEST_BYTES, b"\0")
