"""The archive of a layer, from the upper directory of an overlay.

(OCI image-spec, layer.md, "Change Types"; Linux, overlayfs.rst, "whiteouts and opaque directories")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.images import tar_reader, tar_writer
from runtime.images.layer import OPAQUE, WHITEOUT
from runtime.images.tar_reader import Entry

_PIECE_BYTES = 1 << 18
_OPAQUE_NAMES = ("trusted.overlay.opaque", "user.overlay.opaque")
_OVERLAY = ("trusted.overlay.", "user.overlay.")
# Labels belong to the host.
_LEFT_OUT = (*_OVERLAY, "security.selinux")
_KINDS = {
    stat.S_IFREG: tar_reader.REGULAR,
    stat.S_IFDIR: tar_reader.DIRECTORY,
    stat.S_IFLNK: tar_reader.SYMLINK,
    stat.S_IFCHR: tar_reader.CHARACTER,
    stat.S_IFBLK: tar_reader.BLOCK,
    stat.S_IFIFO: tar_reader.FIFO,
}


def archive(upper: Path, latest_ns: int | None = None) -> Iterator[bytes]:
    """Yield the archive of an overlayfs layer, its entries sorted by name.

    Times later than `latest_ns` become that time (SOURCE_DATE_EPOCH). Sockets are left out, as
    docker does.
    """
    linked: dict[tuple[int, int], bytes] = {}
    for path, name in _walk(os.fsencode(upper), b""):
        status = os.lstat(path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            parent, slash, last = name.rpartition(b"/")
            yield from tar_writer.document(_empty(parent + slash + WHITEOUT + last), b"")
            continue
        entry = _entry(path, name, status, latest_ns)
        if entry is None:
            continue
        key = (status.st_dev, status.st_ino)
        if entry.kind == tar_reader.REGULAR and status.st_nlink > 1:
            if key in linked:
                entry.kind, entry.link = tar_reader.HARD_LINK, linked[key]
                entry.size_bytes = entry.length_bytes = 0
            linked.setdefault(key, name)
        yield tar_writer.header(entry)
        if entry.kind == tar_reader.REGULAR:
            yield from _content(path, entry.size_bytes)
        elif entry.kind == tar_reader.DIRECTORY and _is_opaque(path):
            yield from tar_writer.document(_empty(name + OPAQUE), b"")
    yield tar_writer.END


def _walk(directory: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the path and the name of every file, each directory before its content."""
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda each: each.name)
    for each in entries:
        name = prefix + each.name
        if each.is_dir(follow_symlinks=False):
            yield each.path, name + b"/"
            yield from _walk(each.path, name + b"/")
        else:
            yield each.path, name


def _entry(path: bytes, name: bytes, status: os.stat_result, latest_ns: int | None) -> Entry | None:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    size_bytes = status.st_size if kind == tar_reader.REGULAR else 0
    mtime_ns = status.st_mtime_ns if latest_ns is None else min(status.st_mtime_ns, latest_ns)
    device = kind in (tar_reader.CHARACTER, tar_reader.BLOCK)
    return Entry(
        name=name,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size_bytes=size_bytes,
        length_bytes=size_bytes,
        mtime_ns=mtime_ns,
        link=os.readlink(path) if kind == tar_reader.SYMLINK else b"",
        major=os.major(status.st_rdev) if device else 0,
        minor=os.minor(status.st_rdev) if device else 0,
        xattrs=_xattrs(path),
    )


def _content(path: bytes, size_bytes: int) -> Iterator[bytes]:
    """Yield the content of a file and its padding, in the length of the header."""
    left_bytes = size_bytes
    with open(path, "rb", buffering=0) as file:
        while left_bytes and (piece := file.read(min(_PIECE_BYTES, left_bytes))):
            left_bytes -= len(piece)
            yield piece
    yield bytes(left_bytes) + tar_writer.padding(size_bytes)


def _xattrs(path: bytes) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in names
        if not name.startswith(_LEFT_OUT)
    }


def _is_opaque(path: bytes) -> bool:
    names = os.listxattr(path, follow_symlinks=False)
    return any(name in names and os.getxattr(path, name) == b"y" for name in _OPAQUE_NAMES)


def _empty(name: bytes) -> Entry:
    return Entry(name, tar_reader.REGULAR, 0o600, 0, 0, 0, 0, 0, b"", 0, 0)
