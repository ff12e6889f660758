"""The state of the page cache before a start, for the image of one target.

`cold`    the target's image is evicted from the cache; other files stay
`warm`    the target's image is read into the cache
`as-is`   the cache is not changed
`dropped` all clean pages, directory entries and inodes of the whole host are dropped

Pages that are dirty, or that some process has mapped or locked, stay: a program that other
processes run is never cold. (posix_fadvise(2), proc_sys_vm(5))
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
# States that last through a run while memory suffices; the others are prepared before each start.
LASTING: frozenset[State] = frozenset({"warm", "as-is"})
_DROP = Path("/proc/sys/vm/drop_caches")
_PAGES_DENTRIES_INODES = "3"
_BLOCK_BYTES = 1 << 20


def prepare(target: Target, state: State) -> None:
    """Bring the page cache into a state for the target's next start."""
    if state == "dropped":
        os.sync()
        _DROP.write_text(_PAGES_DENTRIES_INODES, encoding="utf-8")
    elif state == "cold":
        evict(target.image_paths())
    elif state == "warm":
        read_in(target.image_paths())


def evict(paths: Iterable[Path]) -> None:
    """Evict files, and all files in directories, from the page cache."""
    for descriptor in _files(paths):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def read_in(paths: Iterable[Path]) -> None:
    """Read files, and all files in directories, into the page cache."""
    block = bytearray(_BLOCK_BYTES)
    for descriptor in _files(paths):
        while os.readv(descriptor, [block]):
            pass


def _files(paths: Iterable[Path]) -> Iterator[int]:
    """Yield a descriptor of each regular file at or below the paths, one after the other."""
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
        return  # a symbolic link, or removed meanwhile
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            yield descriptor
    finally:
        os.close(descriptor)
