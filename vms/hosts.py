"""Hosts of libvirts: the files that a description names may be on another host than this one.

A path in a description refers to a file of libvirt's host. Code that opens, writes, copies or
removes such a file itself asks `Host` first, which refuses if that is another host. What libvirt
does itself (snapshots, streams) works on either.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vms.errors import InvalidDescription, Unavailable

_LOCAL_TRANSPORTS = {"", "unix"}


@dataclass(frozen=True, slots=True)
class Host:
    """The host of a libvirt: this host, or another one that is reached at the address."""

    address: str = ""
    is_here: bool = True

    def require_here(self, failed: str) -> None:
        """Raise Unavailable if this is another host; `failed` begins the message."""
        if not self.is_here:
            raise Unavailable(
                f"{failed}: {self.address} leads to another host, whose files can't be reached"
                " through libvirt: run tonnage on that host."
            )

    def path(self, path: Path) -> Path:
        """Return the absolute path of a file of the host.

        Raise InvalidDescription for a relative path on another host.
        """
        if not self.is_here and not path.is_absolute():
            raise InvalidDescription(
                f"{path} is a relative path, but the file is on another host ({self.address}): give"
                " its absolute path there."
            )
        return path.absolute()


HERE = Host()


def of(handle: Any, address: str) -> Host:
    """Return the host of an open libvirt.

    Both the address that was opened and the one that libvirt reports must be local: the first may
    be an alias. The host name is compared too, since a socket may be forwarded from another host.
    (libvirt, "Connection URIs", URI aliases)
    """
    here = is_local(address) and is_local(handle.getURI()) and _is_this_host(handle.getHostname())
    return HERE if here else Host(address, is_here=False)


def is_local(uri: str) -> bool:
    """Return True if the address names no other host, and no command or network to reach one."""
    parts = urlsplit(uri)
    _, _, transport = parts.scheme.partition("+")
    return not parts.netloc and transport in _LOCAL_TRANSPORTS


def is_embedded(uri: str) -> bool:
    """Return True if a libvirt at that address is embedded in this process."""
    return urlsplit(uri).path == "/embed"


def _is_this_host(name: str) -> bool:
    """Return True for the name of this host, with or without its domain."""
    return name.partition(".")[0] == socket.gethostname().partition(".")[0]
