"""The proxy counts the bytes of both directions, and ends connections that clients keep open."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lab.delivery import counting_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Serve connections: each request of four bytes gets the answer."""

    def serve() -> None:
        try:
            while True:
                client, _ = listener.accept()
                threading.Thread(target=reply, args=(client,), daemon=True).start()
        except OSError:
            return

    def reply(client: socket.socket) -> None:
        with client:
            while client.recv(4, socket.MSG_WAITALL):
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def connected(host: str) -> socket.socket:
    address, _, port = host.rpartition(":")
    return socket.create_connection((address, int(port)), timeout=10)


def ask(client: socket.socket, size_bytes: int) -> None:
    client.sendall(b"ping")
    received = b""
    while len(received) < size_bytes:
        received += client.recv(1 << 20)
    assert len(received) == size_bytes


def test_both_directions_are_counted() -> None:
    with answering(b"x" * 1_000_003) as server, counting_proxy.counting(server) as count:
        with connected(count.host) as one, connected(count.host) as other:
            ask(one, 1_000_003)
            ask(other, 1_000_003)
            ask(one, 1_000_003)
        assert count.take() == 3 * (4 + 1_000_003)
        assert count.take() == 0


def test_a_connection_that_the_client_keeps_is_ended() -> None:
    with answering(b"pong") as server:
        began = time.monotonic()
        with counting_proxy.counting(server) as count:
            client = connected(count.host)
            ask(client, 4)
        assert time.monotonic() - began < counting_proxy._END_SECONDS
        with client:
            assert client.recv(1) == b""


def test_a_server_that_is_not_there_closes_the_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with counting_proxy.counting(f"127.0.0.1:{port}") as count, connected(count.host) as client:
        assert client.recv(1) == b""
        assert count.take() == 0


def test_an_error_in_the_block_ends_the_proxy() -> None:
    before = threading.active_count()
    with (
        answering(b"pong") as server,
        pytest.raises(ZeroDivisionError),
        counting_proxy.counting(server),
    ):
        raise ZeroDivisionError
    assert threading.active_count() <= before
