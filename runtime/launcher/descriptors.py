"""File descriptors: given to a container, sent over sockets, closed at the end of a block."""

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


def scm_rights(descriptor: int) -> list[tuple[int, int, bytes]]:
    """Return ancillary data that sends a descriptor over a UNIX socket. (unix(7), SCM_RIGHTS)"""
    from _socket import SCM_RIGHTS, SOL_SOCKET

    return [(SOL_SOCKET, SCM_RIGHTS, pack("i", descriptor))]


def connect(path: str) -> socket:
    """Return a UNIX socket that is connected to the socket at a path. Raise OSError.

    The path may be longer than the 107 bytes of an address. (unix(7), "Pathname sockets")
    """
    from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socket

    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection


def is_open(descriptor: int) -> bool:
    """Return True if this process has the descriptor open."""
    try:
        os.get_inheritable(descriptor)
    except OSError:
        return False
    return True


def check_open(descriptors: Iterable[int], what: str) -> None:
    """Refuse descriptors that are closed: what this process opens next would get their numbers.

    Raise ContainerError that begins with `what`, the name of the option or the argument.
    """
    for descriptor in descriptors:
        if not is_open(descriptor):
            raise ContainerError(f"{what}: descriptor {descriptor} is not open.")


def check_handed_on(streams: Iterable[int], kept: int) -> None:
    """Refuse closed streams, and closed ones of `kept` descriptors from 3 on.

    Raise ContainerError.
    """
    check_open(streams, "stdin, stdout, stderr")
    check_open(range(FIRST_KEPT, FIRST_KEPT + kept), f"kept_descriptors={kept}")


def fill_streams() -> list[int]:
    """Open /dev/null for each of 0, 1 and 2 that is closed, and return these. Raise OSError."""
    closed = [number for number in _STREAMS if not is_open(number)]
    for _ in closed:
        os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)  # gets the lowest free number
    return closed


class OpenStreams:
    """A context manager that opens /dev/null for those of 0, 1 and 2 that are closed.

    Otherwise the next files that the runtime opens would get these numbers, and a container would
    have one of them as its stdin.
    """

    def __enter__(self) -> None:
        self._filled = fill_streams()

    def __exit__(self, *_: object) -> None:
        for descriptor in self._filled:
            os.close(descriptor)


class Descriptors:
    """A context manager that closes the descriptors that it was given."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def hold(self, descriptor: int) -> int:
        """Close this descriptor at the end of the block, and return it."""
        self._open.append(descriptor)
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.pop())
