"""Connections to the UNIX sockets of a machine's serial ports."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from vms.errors import os_error

if TYPE_CHECKING:
    from pathlib import Path


def connected(port: Path | socket.socket) -> socket.socket:
    """Return a socket connected to a port's path; return a socket as it is.

    Raises MachineError.
    """
    if isinstance(port, socket.socket):
        return port
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(port))
    except OSError as error:
        line.close()
        raise os_error(f"Can't connect to {port}", error) from error
    return line
