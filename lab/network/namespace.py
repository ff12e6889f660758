"""Network namespaces: create one, and move the calling thread into one and back."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import Unavailable
from runtime.linux import clone

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = "/proc/thread-self/ns/net"


def make() -> int:
    """Create a network namespace and return a descriptor that keeps it alive. Raise Unavailable."""
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _failing():
            clone.unshare(clone.NEWNET)
        try:
            return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _move_to(own)
    finally:
        os.close(own)


@contextmanager
def enter(descriptor: int) -> Iterator[None]:
    """Move this thread into a network namespace for the block. Raise Unavailable.

    Processes and sockets that are created in the block stay there. (setns(2))
    """
    own = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.path.sameopenfile(own, descriptor):
            yield
            return
        _move_to(descriptor)
        try:
            yield
        finally:
            _move_to(own)
    finally:
        os.close(own)


@contextmanager
def enter_that_of(pid: int) -> Iterator[None]:
    """Move this thread into the network namespace of a process for the block.

    Raise OSError if the process has ended, and Unavailable.
    """
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with enter(descriptor):
            yield
    finally:
        os.close(descriptor)


def _move_to(descriptor: int) -> None:
    with _failing():
        clone.setns(descriptor, clone.NEWNET)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"No network namespace can be entered: {error.strerror}.") from error
