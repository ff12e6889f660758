"""The page cache before a start: cold, warm, or as it is; for the files of one target alone.

`cold`    the target's image is pushed out of the cache; what others have in it stays
`warm`    the target's image is read into the cache
`as-is`   nothing is done
`dropped` all clean pages, directory entries and inodes of the whole host are dropped, everybody's

Pages that some process has mapped or locked, or that are dirty, stay: a program that others run is
never cold. (posix_fadvise(2), proc_sys_vm(5))
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.targets.base import Target

State = Literal["cold", "warm", "as-is", "dropped"]
# Once reached, they last through a run, as long as memory does; the others are for one start.
LASTING: frozenset[State] = frozenset({"warm", "as-is"})
_DROP = Path("/proc/sys/vm/drop_caches")
_PAGES_DENTRIES_INODES = "3"
_BLOCK_BYTES = 1 << 20


def prepare(target: Target, state: State) -> None:
    """Bring the cache into the state for the target's next start."""
    if state == "dropped":
        os.sync()
        _DROP.write_text(_PAGES_DENTRIES_INODES, encoding="utf-8")
    elif state == "cold":
        push_out(target.image_paths())
    elif state == "warm":
        read_in(target.image_paths())


def push_out(paths: Iterable[Path]) -> None:
    """Push files, and all files in folders, out of the page cache."""
    for descriptor in _files(paths):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def read_in(paths: Iterable[Path]) -> None:
    """Read files, and all files in folders, into the page cache."""
    block = bytearray(_BLOCK_BYTES)
    for descriptor in _files(paths):
        while os.readv(descriptor, [block]):
            pass


def _files(paths: Iterable[Path]) -> Iterator[int]:
    """Open each regular file at or below the paths, one after the other."""
    for path in paths:
        if path.is_file() and not path.is_symlink():
            yield from _opened(str(path))
            continue
        for folder, _, names in os.walk(path):
            for name in names:
                yield from _opened(os.path.join(folder, name))  # noqa: PTH118 - tens of thousands


def _opened(path: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # a link, or gone meanwhile
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            yield descriptor
    finally:
        os.close(descriptor)
