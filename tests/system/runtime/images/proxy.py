"""A proxy on loopback that refuses large requests, or cuts one of them off."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")
_REFUSED = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_PIECE_BYTES = 65536


@dataclass
class Proxy:
    """Forwards connections to a port, each with one request.

    A request with more than `most_bytes` is answered by 413. The first `cuts` requests with more
    than `cut_at_bytes` are cut off there.
    """

    target: int
    most_bytes: int | None = None
    cut_at_bytes: int = 0
    cuts: int = 0
    requests: list[bytes] = field(default_factory=list)
    host: str = ""

    def serve(self, client: socket.socket) -> None:
        """Forward one connection."""
        with client, suppress(OSError):
            head = client.recv(_PIECE_BYTES)
            if head.startswith(b"\x16"):  # a client that tries TLS first
                return
            while b"\r\n\r\n" not in head:
                piece = client.recv(_PIECE_BYTES)
                if not piece:
                    return
                head += piece
            self.requests.append(head.partition(b" ")[0])
            found = _LENGTH.search(head)
            size_bytes = int(found[1]) if found else 0
            if self.most_bytes is not None and size_bytes > self.most_bytes:
                self._refuse(client)
                return
            left_bytes = None
            if self.cuts and size_bytes > self.cut_at_bytes:
                self.cuts -= 1
                left_bytes = self.cut_at_bytes
            self._forward(client, head, left_bytes)

    def _refuse(self, client: socket.socket) -> None:
        client.sendall(_REFUSED)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(0.2)
        while client.recv(_PIECE_BYTES):  # so that the answer is not lost by a reset
            pass

    def _forward(self, client: socket.socket, head: bytes, left_bytes: int | None) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            back = threading.Thread(target=_copy, args=(server, client))
            back.start()
            server.sendall(head)
            while piece := client.recv(_PIECE_BYTES):
                if left_bytes is not None:
                    left_bytes -= len(piece)
                    if left_bytes < 0:
                        break
                server.sendall(piece)
            for each in (server, client):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            back.join()


@contextmanager
def forwarding(proxy: Proxy) -> Iterator[Proxy]:
    """Run a proxy until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.host = f"127.0.0.1:{listener.getsockname()[1]}"
        threads: list[threading.Thread] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threads.append(threading.Thread(target=proxy.serve, args=(client,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for each in threads:
                each.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
