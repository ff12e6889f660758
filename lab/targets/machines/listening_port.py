"""A socket that a VMM is handed, and whose other end is read here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path


class Port:
    """A UNIX socket that listens already; its name goes when all have connected who will."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self.descriptor = self._socket.fileno()

    def accept(self, timeout_seconds: float | None = None) -> socket.socket:
        """The end of one that connected, or does so in time. Raises TimeoutError."""
        self._socket.settimeout(timeout_seconds)
        end, _ = self._socket.accept()
        end.settimeout(None)
        return end

    def close(self) -> None:
        """Listen no more, and remove the name."""
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
