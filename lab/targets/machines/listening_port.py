"""UNIX sockets that VMMs connect to, or whose descriptors they inherit."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class ListeningPort:
    """A UNIX socket that is listening; a context manager that closes it and removes its path.

    It can be closed once all clients have connected.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self.descriptor = self._socket.fileno()

    def accept(self, timeout_seconds: float | None = None) -> socket.socket:
        """Wait for a client and return its connection. Raise TimeoutError."""
        self._socket.settimeout(timeout_seconds)
        connection, _ = self._socket.accept()
        connection.settimeout(None)
        return connection

    def close(self) -> None:
        """Stop listening, and remove the path."""
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
