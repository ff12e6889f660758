"""Descriptors that are to be closed in the end, or sent to others."""

from __future__ import annotations

import os
from _struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


def rights(descriptor: int) -> list[tuple[int, int, bytes]]:
    """What sends a descriptor along with a message of a UNIX socket. (unix(7), SCM_RIGHTS)"""
    from _socket import SCM_RIGHTS, SOL_SOCKET

    return [(SOL_SOCKET, SCM_RIGHTS, pack("i", descriptor))]


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
