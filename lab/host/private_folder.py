"""Temporary folders of servers and notebooks, which `tonnage clean` removes once nobody uses them.

The holders keep a lock on the folder (flock(2)). The kernel releases it when the last holder dies,
so a folder without a holder was left by a process that was killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "lock"


@contextmanager
def private_folder(prefix: str) -> Iterator[tuple[Path, int]]:
    """Make a folder that its user alone may read (mode 0700), and remove it after the block.

    Yield it with the descriptor of its lock: a child that inherits that holds the folder as well.
    """
    path = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
    try:
        # The lock is taken before it has its name: a folder with a free lock is nobody's.
        with (path / f"{_LOCK}.new").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            (path / f"{_LOCK}.new").rename(path / _LOCK)
            yield path, lock.fileno()
    finally:
        shutil.rmtree(path, ignore_errors=True)


def clean(prefix: str) -> list[str]:
    """Remove the folders of processes that were killed; return a line for each."""
    removed = []
    for path in removable(f"{prefix}*"):
        if _is_left(path, prefix):
            shutil.rmtree(path, ignore_errors=True)
            removed.append(f"removed {path}")
    return removed


def removable(pattern: str) -> list[Path]:
    """Return the temporary folders of that name which this user may remove.

    Anyone may write to the directory they are in. So links don't count, which lead elsewhere, and
    other users' folders are root's to remove.
    """
    found = []
    for path in sorted(Path(tempfile.gettempdir()).glob(pattern)):
        with suppress(FileNotFoundError):  # removed just now
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and os.geteuid() in {0, status.st_uid}:
                found.append(path)
    return found


def _is_left(path: Path, prefix: str) -> bool:
    with suppress(OSError):
        # A named pipe or a link that another user made must neither block nor lead elsewhere.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(path / _LOCK, flags)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True
    maker = path.name.removeprefix(prefix).partition("-")[0]
    return not (maker.isdigit() and Path("/proc", maker).exists())
