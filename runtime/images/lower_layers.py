"""The layers below a new one, as one tree in which names are looked up."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from functools import cached_property

from runtime.linux import clone, mount

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class LayersMissing(Exception):
    """A layer needs a file of the layers below, which are not unpacked yet."""


class LowerLayers:
    """The directories of the layers below, topmost first; None if they are not unpacked yet.

    Most layers never look anything up in them: they hold each directory that they change, and
    remove nothing. So layers can be unpacked at once, and the tree is mounted by the first look-up,
    at `mount_point` in a mount namespace of its own.
    """

    def __init__(self, directories: Sequence[str] | None, mount_point: str) -> None:
        self._directories = directories
        self._mount_point = mount_point

    def open(self, path: bytes) -> int | None:
        """Return a descriptor (O_PATH) of a path, whose last part may be a symbolic link.

        Return None if there is no such file, or if a link or another file is on the way to it.
        Raise LayersMissing.
        """
        if self._root is None:
            return None
        resolve = mount.RESOLVE_BENEATH | mount.RESOLVE_NO_SYMLINKS
        try:
            descriptor = mount.openat2(self._root, path.lstrip(b"/") or b".", _PATH, resolve)
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError) or is_link_loop(error):
                return None
            raise
        if is_whiteout(os.fstat(descriptor)):  # of a layer that was not mounted as an overlay
            os.close(descriptor)
            return None
        return descriptor

    @cached_property
    def _root(self) -> int | None:
        if self._directories is None:
            raise LayersMissing
        if not self._directories:
            return None
        root = self._directories[0]
        if len(self._directories) > 1:
            clone.unshare(clone.NEWNS)
            mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
            root = self._mount_point
            # Relative names: the options of mount(2) have room for one page.
            options = f"lowerdir={':'.join(self._directories)}"
            mount.mount(b"overlay", os.fsencode(root), b"overlay", 0, os.fsencode(options))
        return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def is_whiteout(status: os.stat_result) -> bool:
    """Return True for overlayfs' mark of a removed name, the character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_link_loop(error: OSError) -> bool:
    """Return True if a path was refused because of a symbolic link on it."""
    return error.errno == errno.ELOOP
