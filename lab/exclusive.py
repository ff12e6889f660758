"""What a run holds of the host while it measures: the lock, and a directory to write in."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.userland import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "lock"
_DYING_SECONDS = 15.0
_PAUSE_SECONDS = 0.05


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for what a run makes on disk, on the disk that holds the user land.

    It and its workers hold its lock, which tells a living run's from one that was left.
    """
    path = cache_directory() / f"s{os.getpid()}"
    path.mkdir(parents=True)
    try:
        with (path / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hold(scratch: Path) -> Iterator[None]:
    """Take part in holding a run's directory, if it is one that is locked."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            lock = stack.enter_context((scratch / _LOCK).open("r"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def left_directories() -> list[Path]:
    """The directories of runs that are gone; the workers of a run that is dying are waited for."""
    return [path for path in sorted(cache_directory().glob("s[0-9]*")) if not _is_held(path)]


def _is_held(path: Path) -> bool:
    deadline = time.monotonic() + _DYING_SECONDS
    try:
        with (path / _LOCK).open("r") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return True
                    time.sleep(_PAUSE_SECONDS)
                else:
                    return False
    except FileNotFoundError:
        return False


@contextmanager
def measurement_lock() -> Iterator[None]:
    """Hold the host for one measurement at a time.

    Raises LabError that says which process holds it. (flock(2): the lock dies with its holder.)
    """
    path = cache_directory() / "measuring.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LabError(
                f"Process {lock.read().strip() or '?'} is measuring on this host; wait for it,"
                " since two measurements at once spoil both."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
