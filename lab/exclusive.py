"""What a run holds of the host while it measures: the lock, and a directory to write in."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.userland import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for what a run makes on disk, on the disk that holds the user land."""
    path = cache_directory() / f"s{os.getpid()}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


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
