"""The layers below a new one, as one tree in which names are looked up."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Sequence
from functools import cached_property

from runtime.linux import clone, mount

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class LayersMissing(Exception):
    """An assumption on the layers below was wrong: the layer must be unpacked again."""


class LowerLayers:
    """The directories of the layers below, topmost first.

    They are complete when `ready`, the descriptor of a pipe, is at its end; None if they are
    complete already. The tree is mounted by the first look-up, which waits for that, at
    `mount_point` in a mount namespace of its own, with further options for overlayfs.
    """

    def __init__(
        self,
        directories: Sequence[str],
        mount_point: str,
        ready: int | None = None,
        options: str = "",
    ) -> None:
        self._directories = directories
        self._mount_point = mount_point
        self._ready = ready
        self._options = options

    @property
    def are_complete(self) -> bool:
        """True if a look-up does not have to wait."""
        return self._ready is None or bool(select.select([self._ready], [], [], 0)[0])

    def open(self, path: bytes) -> int | None:
        """Return a descriptor (O_PATH) of a path, whose last part may be a symbolic link.

        Return None if there is no such file, or if a link or another file is on the way to it.
        """
        if self._root is None:
            return None
        resolve = mount.RESOLVE_BENEATH | mount.RESOLVE_NO_SYMLINKS
        try:
            descriptor = mount.openat2(self._root, path.lstrip(b"/") or b".", _PATH, resolve)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        if is_whiteout(os.fstat(descriptor)):  # of a layer that was not mounted as an overlay
            os.close(descriptor)
            return None
        return descriptor

    def has(self, path: bytes) -> bool:
        """Return True if there is a file at the path."""
        descriptor = self.open(path)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def names(self) -> list[bytes]:
        """Return the names in the root directory."""
        if self._root is None:
            return []
        found = os.listdir(b"/proc/self/fd/%d" % self._root)
        return [name for name in found if self.has(b"/" + name)]

    @cached_property
    def _root(self) -> int | None:
        if not self._directories:
            return None
        if self._ready is not None:
            os.read(self._ready, 1)
        root = self._directories[0]
        if len(self._directories) > 1:
            clone.unshare(clone.NEWNS)
            mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
            root = self._mount_point
            # Relative names: the options of mount(2) have room for one page.
            options = f"lowerdir={':'.join(self._directories)}{self._options}"
            mount.mount(b"overlay", os.fsencode(root), b"overlay", 0, os.fsencode(options))
        return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def is_whiteout(status: os.stat_result) -> bool:
    """Return True for overlayfs' mark of a removed name, the character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
