"""Which host a libvirt is on: what its descriptions name by path lies there, and maybe not here.

A path in a description leads to a file of libvirt's host. Whatever opens, writes, copies or removes
such a file itself goes through `Host` first, which refuses where that is another host; what libvirt
does itself (its snapshots, its streams) works on either.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vms.errors import MachineError

_LOCAL_TRANSPORTS = {"", "unix"}


@dataclass(frozen=True, slots=True)
class Host:
    """The host of a libvirt: this one, or another that was reached by the address."""

    address: str = ""
    is_here: bool = True

    def require_here(self, failed: str) -> None:
        """Raise MachineError if it is another host; `failed` begins its sentence."""
        if not self.is_here:
            raise MachineError(
                f"{failed}: {self.address} leads to another host, whose files can't be reached"
                " through libvirt: run tonnage on that host."
            )

    def path(self, path: Path) -> Path:
        """The whole path of a file of that host. Raises MachineError if only this one tells it."""
        if not self.is_here and not path.is_absolute():
            raise MachineError(
                f"{path} is looked for on another host ({self.address}): give its whole path there."
            )
        return path.absolute()


HERE = Host()


def of(handle: Any, address: str) -> Host:
    """The host of an open libvirt.

    Its own address counts as well as the one asked for, which may be an alias; and a socket may
    have been forwarded from a host of another name. (libvirt, "Connection URIs", URI aliases)
    """
    here = is_local(address) and is_local(handle.getURI()) and _is_this(handle.getHostname())
    return HERE if here else Host(address, is_here=False)


def is_local(uri: str) -> bool:
    """Return True if the address names no other host, and no command or network to reach one."""
    parts = urlsplit(uri)
    _, _, transport = parts.scheme.partition("+")
    return not parts.netloc and transport in _LOCAL_TRANSPORTS


def is_embedded(uri: str) -> bool:
    """Return True if a libvirt at that address is part of this process."""
    return urlsplit(uri).path == "/embed"


def _is_this(name: str) -> bool:
    """Return True for this host's name, be it with its domain or without."""
    return name.partition(".")[0] == socket.gethostname().partition(".")[0]
