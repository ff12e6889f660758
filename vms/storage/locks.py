"""Directories that a living process holds, by flock(2).

The kernel releases a lock when its holder dies. So a directory that a killed process left is
recognized by being unlocked.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def try_lock(directory: Path) -> int | None:
    """Return a descriptor that locks the directory, or None if another process holds it.

    A missing directory is made. Close the descriptor to release the lock. Raises OSError.
    """
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = _open(directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if directory.is_dir() and os.path.samestat(os.fstat(descriptor), directory.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.close(descriptor)  # the directory was removed between open and flock


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory alone during the block; wait for other holders. Raises OSError."""
    with _locked(directory, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Hold a directory together with other holders during the block. Raises OSError."""
    with _locked(directory, fcntl.LOCK_SH):
        yield


def remove_if_unused(directory: Path) -> None:
    """Remove a directory if it is empty and no process holds it.

    Removing a directory that is in use would unmount what is mounted on it.
    """
    with suppress(OSError), _locked(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
        directory.rmdir()


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[None]:
    descriptor = _open(directory)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    return os.open(directory, os.O_DIRECTORY | os.O_CLOEXEC)
