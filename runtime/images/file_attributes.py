"""Attributes of files in a layer: owner, mode, extended attributes, time.

They are set in this order: chown(2) clears setuid bits and file capabilities, and the time is set
when nothing else changes any more.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import NamedTuple

# Attributes by which overlayfs describes its layers: a file that sets them changes other files.
OVERLAY = ("trusted.overlay.", "user.overlay.")


class Place(NamedTuple):
    """A name in an open directory of the layer, and its path there, without symbolic links."""

    path: bytes
    directory: int
    name: bytes

    @property
    def through_proc(self) -> bytes:
        """A path for calls that take no directory, such as setxattr(2)."""
        return b"/proc/self/fd/%d/%b" % (self.directory, self.name)


def write(
    target: Place | int,
    uid: int,
    gid: int,
    mode: int | None,
    xattrs: Mapping[str, bytes],
    skipped: dict[str, int],
) -> None:
    """Set owner, mode and extended attributes of a name, or of an open file.

    `mode` is None for symbolic links, which have none. Attributes of overlayfs, and labels where
    the file system has none, are counted in `skipped`. Raise OSError.
    """
    if isinstance(target, int):
        os.fchown(target, uid, gid)
        if mode is not None:
            os.fchmod(target, mode)
    else:
        os.chown(target.name, uid, gid, dir_fd=target.directory, follow_symlinks=False)
        if mode is not None:
            os.chmod(target.name, mode, dir_fd=target.directory)
    for name, value in xattrs.items():
        _write_xattr(target, name, value, skipped)


def write_time(target: Place | int, mtime_ns: int) -> None:
    """Set the times of a name, or of an open file. Raise OSError."""
    times = (mtime_ns, mtime_ns)
    if isinstance(target, int):
        os.utime(target, ns=times)
    else:
        os.utime(target.name, ns=times, dir_fd=target.directory, follow_symlinks=False)


def xattrs_of(descriptor: int) -> dict[str, bytes]:
    """Return the extended attributes of an open file, which may be open by O_PATH."""
    path = f"/proc/self/fd/{descriptor}"
    names = [name for name in os.listxattr(path) if not name.startswith(OVERLAY)]
    return {name: os.getxattr(path, name) for name in names}


def _write_xattr(target: Place | int, name: str, value: bytes, skipped: dict[str, int]) -> None:
    if name.startswith(OVERLAY):
        skipped[name] = skipped.get(name, 0) + 1
        return
    try:
        if isinstance(target, int):
            os.setxattr(target, name, value)
        else:
            os.setxattr(target.through_proc, name, value, follow_symlinks=False)
    except OSError as error:
        # A file system without labels can hold the image all the same, as with umoci.
        if error.errno not in (errno.ENOTSUP, errno.EPERM) or name == "security.capability":
            raise
        skipped[name] = skipped.get(name, 0) + 1
