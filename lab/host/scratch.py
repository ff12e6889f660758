"""The scratch directory of a run: everything that the run writes to disk besides its results.

The run and its workers hold a lock on the directory (flock(2)). The kernel releases a lock when its
holder dies, so a directory without a holder belongs to a run that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import mount_namespace
from lab.paths import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "lock"
_DYING_SECONDS = 15.0
_PAUSE_SECONDS = 0.05


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory on the disk that holds the user land, and remove it after the block."""
    path = cache_directory() / f"s{os.getpid()}"
    path.mkdir(parents=True)
    try:
        with (path / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Remove a directory of the lab.

    Mounts below it are detached first, and their contents stay: they may be the host's.
    """
    mounted = [
        Path(line.split()[4].encode().decode("unicode_escape"))
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    ]
    real = path.resolve()
    for mount in reversed([each for each in mounted if real in each.parents]):
        mount_namespace.unmount(mount)
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hold(scratch: Path) -> Iterator[None]:
    """Hold the lock of a run's scratch directory during the block, if the directory has a lock."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            lock = stack.enter_context((scratch / _LOCK).open("rb"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def left_directories() -> list[Path]:
    """Return the scratch directories of runs that were killed.

    The workers of a run that is just ending get some time to release their locks.
    """
    return [path for path in sorted(cache_directory().glob("s[0-9]*")) if not _is_held(path)]


def _is_held(path: Path) -> bool:
    deadline = time.monotonic() + _DYING_SECONDS
    try:
        with (path / _LOCK).open("rb") as lock:
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
