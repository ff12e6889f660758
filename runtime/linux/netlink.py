"""Network devices and their addresses, by messages to the kernel. (netlink(7), rtnetlink(7))"""

from __future__ import annotations

import os
import socket
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, TypeAlias

    # An address: its family, the length of its prefix, its attributes as the kernel encodes them.
    Address: TypeAlias = tuple[int, int, bytes]

# struct nlmsghdr, struct rtattr, struct ifinfomsg, struct ifaddrmsg
_HEADER, _ATTRIBUTE = Struct("<IHHII"), Struct("<HH")
_LINK, _ADDRESS = Struct("<BxHiII"), Struct("<BBBBI")
_NEWLINK, _NEWADDR, _GETADDR = 16, 20, 22
_REQUEST, _ACK, _CREATE, _DUMP = 1, 4, 0x400, 0x300
_ERROR, _DONE = 2, 3
_IFLA_IFNAME, _IFLA_NET_NS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_PERMANENT, _UNIVERSE, _IFF_UP = 0x80, 0, 1
_MESSAGE_BYTES = 1 << 16


class Netlink:
    """A socket to the kernel in the network namespace of this thread; a context manager.

    All methods raise OSError.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._sequence = 0

    def move_link(self, index: int, namespace: int, name: str) -> None:
        """Move a device into the network namespace of a descriptor, and rename it."""
        self._request(
            _NEWLINK,
            _LINK.pack(0, 0, index, 0, 0)
            + _attribute(_IFLA_NET_NS_FD, namespace.to_bytes(4, "little"))
            + _attribute(_IFLA_IFNAME, name.encode() + b"\0"),
        )

    def bring_up(self, index: int) -> None:
        """Bring a device up."""
        self._request(_NEWLINK, _LINK.pack(0, 0, index, _IFF_UP, _IFF_UP))

    def permanent_addresses(self, index: int) -> Iterator[Address]:
        """Return the addresses of a device that are permanent and of global scope."""
        for body in self._exchange(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0), _DUMP):
            family, prefix, flags, scope, device = _ADDRESS.unpack_from(body)
            if device == index and scope == _UNIVERSE and flags & _IFA_F_PERMANENT:
                attributes = b"".join(
                    _attribute(kind, value)
                    for kind, value in _attributes(body[_ADDRESS.size :])
                    if kind in {_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST}
                )
                yield family, prefix, attributes

    def add_permanent_address(self, index: int, address: Address) -> None:
        """Add an address to a device."""
        family, prefix, attributes = address
        head = _ADDRESS.pack(family, prefix, _IFA_F_PERMANENT, _UNIVERSE, index)
        self._request(_NEWADDR, head + attributes, _CREATE)

    def _request(self, kind: int, body: bytes, flags: int = 0) -> None:
        for _ in self._exchange(kind, body, flags | _ACK):
            pass

    def _exchange(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        """Send a request, and return the bodies of the messages that answer it."""
        self._sequence += 1
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags | _REQUEST, self._sequence, 0) + body)
        while True:
            data = self._socket.recv(_MESSAGE_BYTES)
            while data:
                length, kind, *_ = _HEADER.unpack_from(data)
                answer, data = data[_HEADER.size : length], data[length + 3 & ~3 :]
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    code = -int.from_bytes(answer[:4], "little", signed=True)
                    if code:
                        raise OSError(code, os.strerror(code))
                    return
                yield answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : size]
        data = data[size + 3 & ~3 :]
