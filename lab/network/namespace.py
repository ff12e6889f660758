"""Into a network namespace and back, for the thread that calls. (setns(2), unshare(2))"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)


def make() -> int:
    """Make one and come back; a descriptor of it, with which it lasts. Raises LabError."""
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _call("setns", own, _CLONE_NEWNET)
    finally:
        os.close(own)


@contextmanager
def enter(descriptor: int) -> Iterator[None]:
    """Be there for a while: processes and sockets that are made there stay. Raises LabError."""
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("setns", descriptor, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", own, _CLONE_NEWNET)
    finally:
        os.close(own)


def _call(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments):
        raise LabError(f"No network namespace can be had: {os.strerror(ctypes.get_errno())}.")
