"""A proxy in front of a server that counts the bytes of both directions.

Copying costs time, so what it counts is not timed.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.delivery.registry import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_BYTES = 1 << 18
_END_SECONDS = 5.0


@dataclass(slots=True)
class Count:
    """The bytes that a proxy passed on, and HOST:PORT of the proxy."""

    host: str
    size_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size_bytes: int) -> None:
        """Count more bytes."""
        with self._lock:
            self.size_bytes += size_bytes

    def take(self) -> int:
        """Return the bytes since the last call."""
        with self._lock:
            taken, self.size_bytes = self.size_bytes, 0
        return taken


@contextmanager
def counting(server: str) -> Iterator[Count]:
    """Run a proxy in front of the server HOST:PORT during the block."""
    host, _, port = server.rpartition(":")
    with socket.create_server((LOOPBACK, 0)) as listener:
        count = Count(f"{LOOPBACK}:{listener.getsockname()[1]}")
        thread = threading.Thread(target=_serve, args=(listener, (host, int(port)), count))
        thread.start()
        try:
            yield count
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
            thread.join()


def _serve(listener: socket.socket, server: tuple[str, int], count: Count) -> None:
    """Serve connections until the listener is shut down, and end those that are still open."""
    open_now: list[tuple[threading.Thread, socket.socket]] = []
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            thread = threading.Thread(target=_connect, args=(client, server, count), daemon=True)
            thread.start()
            open_now = [*(each for each in open_now if each[0].is_alive()), (thread, client)]
    for _, client in open_now:  # clients keep idle connections open
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
    for thread, _ in open_now:
        thread.join(_END_SECONDS)


def _connect(client: socket.socket, server: tuple[str, int], count: Count) -> None:
    """Pass on the bytes of one connection, in both directions, until both ends are closed."""
    with client, suppress(OSError), socket.create_connection(server) as upstream:
        back = threading.Thread(target=_copy, args=(upstream, client, count), daemon=True)
        back.start()
        _copy(client, upstream, count)
        back.join()


def _copy(source: socket.socket, target: socket.socket, count: Count) -> None:
    """Copy until the source ends or either end fails; then the target gets the end as well."""
    with suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            count.add(len(piece))
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
