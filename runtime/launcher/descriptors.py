"""Descriptors that a container is given, that are to be closed in the end, or sent to others."""

from __future__ import annotations

import os
from _struct import pack

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable
    from typing import Self

_STREAMS = range(3)
FIRST_KEPT = 3  # behind the streams, as sd_listen_fds(3) has it


def rights(descriptor: int) -> list[tuple[int, int, bytes]]:
    """Return what sends a descriptor along with a UNIX socket's message. (unix(7), SCM_RIGHTS)"""
    from _socket import SCM_RIGHTS, SOL_SOCKET

    return [(SOL_SOCKET, SCM_RIGHTS, pack("i", descriptor))]


def connected(path: str) -> socket:
    """Return a UNIX socket that is connected to one at a path of any length. Raise OSError.

    (unix(7), "Pathname sockets"; an address holds 107 bytes)
    """
    from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socket

    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{place}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(place)
    return connection


def is_open(descriptor: int) -> bool:
    """Return True if this process has that descriptor."""
    try:
        os.get_inheritable(descriptor)
    except OSError:
        return False
    return True


def check_open(descriptors: Iterable[int], what: str) -> None:
    """Refuse descriptors that this process does not have: what it opens next would be there.

    Raise ContainerError; `what` names who wants them.
    """
    for descriptor in descriptors:
        if not is_open(descriptor):
            raise ContainerError(f"{what}: descriptor {descriptor} is not open.")


def check_handed_on(streams: Iterable[int], kept: int) -> None:
    """Refuse streams and `kept` descriptors behind them that are not open. Raise ContainerError."""
    check_open(streams, "stdin, stdout, stderr")
    check_open(range(FIRST_KEPT, FIRST_KEPT + kept), f"kept_descriptors={kept}")


def fill_streams() -> list[int]:
    """Open /dev/null at those of 0, 1 and 2 that are closed, and return these. Raise OSError."""
    closed = [number for number in _STREAMS if not is_open(number)]
    for _ in closed:
        os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)  # at the lowest that is free
    return closed


class OpenStreams:
    """A context manager in which 0, 1 and 2 are open, of /dev/null where they were closed.

    Otherwise what the runtime opens for itself would be at these numbers, and a container would
    have it for its stdin.
    """

    def __enter__(self) -> None:
        self._filled = fill_streams()

    def __exit__(self, *_: object) -> None:
        for descriptor in self._filled:
            os.close(descriptor)


class Descriptors:
    """A context manager that closes what it holds."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self, descriptor: int) -> int:
        """Hold one more."""
        self._held.append(descriptor)
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.pop())
