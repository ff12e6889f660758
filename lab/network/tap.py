"""A tap device in a network namespace, for a machine whose VMM has no user-mode network.

The VMM opens the device in the namespace, and requests to the machine are sent from there. The host
does not see either. Both disappear with the last process or descriptor that holds the namespace.
(Linux, Documentation/networking/tuntap.rst; netdevice(7); setns(2))
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import Unavailable
from lab.network import namespace

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_DEVICE = Path("/dev/net/tun")
NAME = "tap0"
GUEST_ADDRESS = "10.0.2.15"  # set by the payload
GUEST_MAC = "52:54:00:10:02:15"
_HOST_ADDRESS, _MASK = "10.0.2.2", "255.255.255.0"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_TAP, _NO_PACKET_INFORMATION = 0x2, 0x1000
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914
_UP = 0x1
_REQUEST_BYTES = 40


class Tap:
    """The device and its namespace. Raise Unavailable if they can't be made."""

    def __init__(self) -> None:
        self._namespace = namespace.make()
        try:
            with self.inside():
                _make()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise Unavailable(f"No tap device can be made: {error.strerror}.") from error
            raise

    def inside(self) -> AbstractContextManager[None]:
        """Enter the namespace for the block; processes and sockets made there stay in it."""
        return namespace.enter(self._namespace)

    def close(self) -> None:
        """Release the namespace."""
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1


def absent() -> str:
    """Return the reason why this host has no tap devices; empty if it has."""
    return "" if _DEVICE.exists() else "this host has no /dev/net/tun"


def _make() -> None:
    """Make the device in the current namespace, and bring it up."""
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
    """Return a struct ifreq: the device's name, then the value."""
    return (NAME.encode().ljust(16, b"\0") + value).ljust(_REQUEST_BYTES, b"\0")
