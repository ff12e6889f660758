"""Network devices of the host, moved into a container by routing netlink messages.

(OCI config-linux.md, "Network Devices"; rtnetlink(7))
"""

from __future__ import annotations

import errno
import os
import socket
from _struct import Struct

from runtime.errors import ContainerError
from runtime.namespaces.namespaces import Namespaces
from runtime.spec.config import Namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.spec.config import NetDevice

_HEADER, _ATTRIBUTE = Struct("<IHHII"), Struct("<HH")
_LINK, _ADDRESS = Struct("<BxHiII"), Struct("<BBBBI")
_NEWLINK, _NEWADDR, _GETADDR = 16, 20, 22
_REQUEST, _ACK, _CREATE, _DUMP = 1, 4, 0x400, 0x300
_ERROR, _DONE = 2, 3
_IFLA_IFNAME, _IFLA_NET_NS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_PERMANENT, _UNIVERSE, _IFF_UP = 0x80, 0, 1
_MESSAGE_BYTES = 1 << 16


def check(devices: Mapping[str, NetDevice]) -> None:
    """Refuse names that no device can have. Raises ContainerError that names the field."""
    inside = [device.name or name for name, device in devices.items()]
    for name in (*devices, *inside):
        if not 0 < len(name) < 16 or "/" in name or name in {".", ".."} or name.split() != [name]:
            raise ContainerError(f"linux.netDevices: {name!r} is no name of a network device.")
    fixed = [name for name in inside if "%d" not in name]
    if len(fixed) != len(set(fixed)):
        raise ContainerError("linux.netDevices gives two devices the same name.")


def move(devices: Mapping[str, NetDevice], pid: int) -> None:
    """Move devices into the network namespace of a process, with their addresses, and up.

    Raises ContainerError.
    """
    path = f"/proc/{pid}/ns/net"
    with Namespaces((Namespace(type="network", path=path),)) as spaces:
        for name, device in devices.items():
            try:
                _move(name, device.name or name, path, spaces)
            except OSError as error:
                raise ContainerError(
                    f"linux.netDevices: can't move {name}: {error.strerror or error}."
                ) from error


def _move(name: str, inside: str, path: str, spaces: Namespaces) -> None:
    _check_free(inside, spaces)
    index = socket.if_nametoindex(name)
    with Netlink() as here:
        kept = list(here.permanent_addresses(index))
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            here.ask(
                _NEWLINK,
                _LINK.pack(0, 0, index, 0, 0)
                + _attribute(_IFLA_NET_NS_FD, target.to_bytes(4, "little"))
                + _attribute(_IFLA_IFNAME, inside.encode() + b"\0"),
            )
        finally:
            os.close(target)
    with spaces.entered(), Netlink() as there:
        if "%d" not in inside:
            index = socket.if_nametoindex(inside)
        there.ask(_NEWLINK, _LINK.pack(0, 0, index, _IFF_UP, _IFF_UP))
        for family, prefix, attributes in kept:
            head = _ADDRESS.pack(family, prefix, _IFA_F_PERMANENT, _UNIVERSE, index)
            there.ask(_NEWADDR, head + attributes, _CREATE)


def _check_free(name: str, spaces: Namespaces) -> None:
    """The kernel looks only once it has moved the device, which is then lost to the host."""
    with spaces.entered():
        if name in (taken for _, taken in socket.if_nameindex()):
            raise FileExistsError(errno.EEXIST, f"the container has a device {name}")


class Netlink:
    """A connection to the kernel's routing, in the network namespace that this thread is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self._number = 0

    def ask(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have something changed. Raises OSError."""
        for _ in self._answers(kind, body, flags | _ACK):
            pass

    def permanent_addresses(self, index: int) -> Iterator[tuple[int, int, bytes]]:
        """The addresses of a device that are to last: family, length of the prefix, attributes."""
        for body in self._answers(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0), _DUMP):
            family, prefix, flags, scope, of = _ADDRESS.unpack_from(body)
            if of == index and scope == _UNIVERSE and flags & _IFA_F_PERMANENT:
                wanted = {_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST}
                found = _attributes(body[_ADDRESS.size :])
                kept = b"".join(_attribute(k, value) for k, value in found if k in wanted)
                yield family, prefix, kept

    def _answers(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        self._number += 1
        size = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(size, kind, flags | _REQUEST, self._number, 0) + body)
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

    def __enter__(self) -> Netlink:
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
