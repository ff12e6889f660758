"""A file for the pid of a process, by --pid-file."""

from __future__ import annotations

import os
import stat

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_NAME_BYTES = 255


class PidFile:
    """A context manager, entered before the process starts, so that a bad path is refused early.

    A regular file is written under another name and renamed, since a reader must not find it empty.
    Other files, such as /dev/null or a pipe, are written directly. Without a path nothing is
    written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._target = self._aside = ""
        self._descriptor = -1

    def write(self, pid: int) -> None:
        """Write the pid. Raise ContainerError."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, str(pid).encode())
            if self._aside:
                os.rename(self._aside, self._target)
                self._aside = ""
        except OSError as error:
            raise self._failure(error) from error

    def _open(self) -> None:
        try:
            is_file = stat.S_ISREG(os.stat(self._path).st_mode)
        except FileNotFoundError:
            is_file = True
        if not is_file:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            return
        self._target = os.path.realpath(self._path)
        directory, name = os.path.split(os.fsencode(self._target))
        aside = os.fsdecode(os.path.join(directory, b"." + name[: _NAME_BYTES - 1]))
        _remove(aside)  # the remains of a runtime that was killed, or another user's link
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(aside, flags, 0o644)
        self._aside = aside

    def _failure(self, error: OSError) -> ContainerError:
        return ContainerError(f"--pid-file {self._path}: {error.strerror}.")

    def __enter__(self) -> Self:
        try:
            if self._path:
                self._open()
        except OSError as error:
            raise self._failure(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._aside:
            _remove(self._aside)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
