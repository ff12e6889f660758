"""Archive entries of files on disk: their description and their content."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from runtime.images import tar_reader, tar_writer
from runtime.images.tar_reader import Entry

_PIECE_BYTES = 1 << 18
_KINDS = {
    stat.S_IFREG: tar_reader.REGULAR,
    stat.S_IFDIR: tar_reader.DIRECTORY,
    stat.S_IFLNK: tar_reader.SYMLINK,
    stat.S_IFCHR: tar_reader.CHARACTER,
    stat.S_IFBLK: tar_reader.BLOCK,
    stat.S_IFIFO: tar_reader.FIFO,
}


def describe(
    path: bytes,
    name: bytes,
    status: os.stat_result,
    latest_ns: int | None,
    keeps: Callable[[str], bool],
) -> Entry | None:
    """Return the entry of a file, or None for a socket, which no archive holds.

    A time later than `latest_ns` becomes that time. `keeps` chooses extended attributes by name.
    """
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    size_bytes = status.st_size if kind == tar_reader.REGULAR else 0
    device = kind in (tar_reader.CHARACTER, tar_reader.BLOCK)
    names = os.listxattr(path, follow_symlinks=False)
    return Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size_bytes=size_bytes,
        length_bytes=size_bytes,
        mtime_ns=status.st_mtime_ns if latest_ns is None else min(status.st_mtime_ns, latest_ns),
        link=os.readlink(path) if kind == tar_reader.SYMLINK else b"",
        major=os.major(status.st_rdev) if device else 0,
        minor=os.minor(status.st_rdev) if device else 0,
        xattrs={
            each: os.getxattr(path, each, follow_symlinks=False) for each in names if keeps(each)
        },
    )


def content(path: bytes, size_bytes: int) -> Iterator[bytes]:
    """Yield the content of a file and its padding, in the length of the header."""
    left_bytes = size_bytes
    with open(path, "rb", buffering=0) as file:
        while left_bytes and (piece := file.read(min(_PIECE_BYTES, left_bytes))):
            left_bytes -= len(piece)
            yield piece
    yield from tar_writer.zeros(left_bytes)
    yield tar_writer.padding(size_bytes)
