"""The archive of a layer, from the upper directory of an overlay.

(OCI image-spec, layer.md, "Change Types"; Linux, overlayfs.rst, "whiteouts and opaque directories")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path

from runtime.images import file_entry, tar_reader, tar_writer
from runtime.images.layer import OPAQUE, WHITEOUT
from runtime.images.tar_reader import Entry

_OPAQUE_NAMES = ("trusted.overlay.opaque", "user.overlay.opaque")
_OVERLAY = ("trusted.overlay.", "user.overlay.")
# Labels belong to the host.
_LEFT_OUT = (*_OVERLAY, "security.selinux")


def archive(upper: Path, latest_ns: int | None = None) -> Generator[bytes, None, None]:
    """Yield the archive of an overlayfs layer, its entries sorted by name.

    Times later than `latest_ns` become that time (SOURCE_DATE_EPOCH). Sockets are left out, as
    docker does.
    """
    links = file_entry.Links()
    for path, name in _walk(os.fsencode(upper), b""):
        status = os.lstat(path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            parent, slash, last = name.rpartition(b"/")
            yield from tar_writer.document(_empty(parent + slash + WHITEOUT + last), b"")
            continue
        entry = file_entry.describe(path, name, status, latest_ns, is_kept)
        if entry is None:
            continue
        links.resolve(entry, status)
        yield tar_writer.header(entry)
        if entry.kind == tar_reader.REGULAR:
            yield from file_entry.content(path, entry.size_bytes)
        elif entry.kind == tar_reader.DIRECTORY and is_opaque(path):
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


def is_kept(attribute: str) -> bool:
    """Return True for an extended attribute that an archive holds, by its name."""
    return not attribute.startswith(_LEFT_OUT)


def is_opaque(path: bytes) -> bool:
    """Return True if a directory of a layer hides those of the layers below."""
    names = os.listxattr(path, follow_symlinks=False)
    return any(name in names and os.getxattr(path, name) == b"y" for name in _OPAQUE_NAMES)


def _empty(name: bytes) -> Entry:
    return Entry(name, tar_reader.REGULAR, 0o600, 0, 0, 0, 0, 0, b"", 0, 0)
