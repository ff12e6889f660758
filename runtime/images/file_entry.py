"""Archive entries of files on disk: their description and their content."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import IO

from runtime.images import tar_reader, tar_writer
from runtime.images.tar_reader import Entry

_PIECE_BYTES = 1 << 18
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's block is (stat(2))
_KINDS = {
    stat.S_IFREG: tar_reader.REGULAR,
    stat.S_IFDIR: tar_reader.DIRECTORY,
    stat.S_IFLNK: tar_reader.SYMLINK,
    stat.S_IFCHR: tar_reader.CHARACTER,
    stat.S_IFBLK: tar_reader.BLOCK,
    stat.S_IFIFO: tar_reader.FIFO,
}


class Links:
    """The files of an archive that have several names, each by its first name."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, int], bytes] = {}

    def resolve(self, entry: Entry, status: os.stat_result) -> None:
        """Make the entry a hard link if the archive has its file by another name already."""
        if status.st_nlink < 2 or entry.kind == tar_reader.DIRECTORY:
            return
        first = self._names.setdefault((status.st_dev, status.st_ino), entry.name)
        if first != entry.name:
            entry.kind, entry.link = tar_reader.HARD_LINK, first
            entry.size_bytes = entry.length_bytes = 0
            entry.major = entry.minor = 0


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
    with open(path, "rb", buffering=0) as file:
        yield from _read(file, size_bytes)
    yield tar_writer.padding(size_bytes)


def sparse_pieces(path: bytes, status: os.stat_result) -> list[tuple[int, int]] | None:
    """Return offset and size of each part of a file that is not a hole; None without holes.

    A file that ends with a hole has an empty piece at its end, as GNU tar writes it.
    """
    size_bytes = status.st_size
    if status.st_blocks * _BLOCK_BYTES >= size_bytes:
        return None
    pieces = []
    with open(path, "rb", buffering=0) as file:
        end = 0
        while end < size_bytes:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:  # there is only a hole left
                    raise
                break
            end = min(os.lseek(file.fileno(), start, os.SEEK_HOLE), size_bytes)
            pieces.append((start, end - start))
    if pieces == [(0, size_bytes)]:
        return None
    return pieces if end == size_bytes else [*pieces, (size_bytes, 0)]


def sparse_content(path: bytes, pieces: list[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the parts of a file that are not holes, and the padding behind them."""
    total_bytes = 0
    with open(path, "rb", buffering=0) as file:
        for offset, size_bytes in pieces:
            file.seek(offset)
            yield from _read(file, size_bytes)
            total_bytes += size_bytes
    yield tar_writer.padding(total_bytes)


def _read(file: IO[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield this many bytes; zeros for those that are missing at the end of the file."""
    left_bytes = size_bytes
    while left_bytes and (piece := file.read(min(_PIECE_BYTES, left_bytes))):
        left_bytes -= len(piece)
        yield piece
    yield from tar_writer.zeros(left_bytes)
