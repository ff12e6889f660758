"""Network devices of the host that are moved into a container. (OCI config-linux.md)

See "Network Devices" there.
"""

from __future__ import annotations

import errno
import os
import socket

from runtime.errors import InvalidConfig, Unavailable
from runtime.linux.netlink import Netlink
from runtime.namespaces.namespaces import Namespaces
from runtime.spec.config import Namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.spec.config import NetDevice

_NAME_BYTES = 16  # IFNAMSIZ, with a NUL


def check(devices: Mapping[str, NetDevice]) -> None:
    """Refuse names that no device can have, and names that are given twice. Raise InvalidConfig."""
    inside = [device.name or name for name, device in devices.items()]
    for name in (*devices, *inside):
        fits = 0 < len(name) < _NAME_BYTES and "/" not in name and name.split() == [name]
        if not fits or name in {".", ".."}:
            raise InvalidConfig(
                f"linux.netDevices: {name!r} can't be the name of a network device."
            )
    fixed = [name for name in inside if "%d" not in name]  # the kernel numbers the others
    if len(fixed) != len(set(fixed)):
        raise InvalidConfig("linux.netDevices: two devices have the same name in the container.")


def move(devices: Mapping[str, NetDevice], pid: int) -> None:
    """Move devices with their addresses into the network namespace of a process; bring them up.

    Raise ContainerError.
    """
    path = f"/proc/{pid}/ns/net"
    with Namespaces((Namespace(type="network", path=path),)) as spaces:
        for name, device in devices.items():
            try:
                _move(name, device.name or name, path, spaces)
            except OSError as error:
                raise Unavailable(
                    f"linux.netDevices: can't move {name}: {error.strerror or error}."
                ) from error


def _move(name: str, inside: str, path: str, spaces: Namespaces) -> None:
    _check_free(inside, spaces)
    index = socket.if_nametoindex(name)
    with Netlink() as host:
        addresses = list(host.permanent_addresses(index))
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            host.move_link(index, namespace, inside)
        finally:
            os.close(namespace)
    with spaces.entered(), Netlink() as container:
        if "%d" not in inside:
            index = socket.if_nametoindex(inside)
        container.bring_up(index)
        for address in addresses:
            container.add_permanent_address(index, address)


def _check_free(name: str, spaces: Namespaces) -> None:
    """Refuse a name that the container has: the kernel would move the device before it fails."""
    with spaces.entered():
        if name in (existing for _, existing in socket.if_nameindex()):
            raise FileExistsError(errno.EEXIST, f"the container has a device {name}")
