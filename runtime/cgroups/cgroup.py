"""What a container's cgroup is, whichever version the host has."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from runtime.errors import ContainerError

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.spec import Resources

_REMOVE_SECONDS = 5.0
_PAUSE_SECONDS = 0.002


class Cgroup(ABC):
    """One container's cgroup, in however many hierarchies; `directories` are ours to remove."""

    def __init__(self, directories: list[Path]) -> None:
        self.directories = directories

    @abstractmethod
    def clone_descriptor(self) -> int | None:
        """A descriptor for clone3(2) to start the child in the cgroup, where that is possible."""

    @abstractmethod
    def join_descriptors(self) -> list[int]:
        """Files into which the child writes `0` to move itself; empty where clone did it."""

    @abstractmethod
    def limit(self, resources: Resources) -> None:
        """Set what is asked for. Raises ContainerError that names the file and the value."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """What is charged to it now, page cache and kernel memory included."""

    @abstractmethod
    def close(self) -> None:
        """Close the descriptors: the child has been started."""

    def processes(self) -> list[int]:
        """The pids in it, as seen from here."""
        return [int(line) for line in (self.directories[0] / "cgroup.procs").read_text().split()]

    def remove(self) -> None:
        """Remove it, waiting for the last process to be gone.

        Raises ContainerError if it is still in use after some seconds.
        """
        deadline = time.monotonic() + _REMOVE_SECONDS
        for directory in self.directories:
            while not _removed(directory):
                if time.monotonic() > deadline:
                    raise ContainerError(f"The cgroup {directory} is still in use.")
                time.sleep(_PAUSE_SECONDS)


def make(directory: Path) -> None:
    """Make a cgroup's directory. Raises ContainerError."""
    try:
        directory.mkdir()
    except OSError as error:
        raise ContainerError(f"Can't make the cgroup {directory}: {error.strerror}.") from error


def write(path: Path, value: str) -> None:
    """Set one value. Raises ContainerError that names the file and the value."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ContainerError(f"Can't write {value!r} to {path}: {error.strerror}.") from error


def _removed(directory: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise
    return True
