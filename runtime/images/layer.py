"""Applying a layer to a root file system: files, links, devices, whiteouts.

The root file system is the process's own root directory (chroot), so that no name and no symbolic
link of a layer leads out of it. The layers below show through an overlay, whose kernel code turns
removals into whiteouts. (OCI image-spec, layer.md)
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import InvalidConfig
from runtime.images import tar_reader
from runtime.images.tar_reader import Entry, TarReader

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_RESERVED = b".wh..wh."
# Attributes by which overlayfs describes its layers: a file that sets them changes other files.
_OVERLAY = ("trusted.overlay.", "user.overlay.")
_NEW_PARENT_MODE = 0o755
_DEVICES = {tar_reader.CHARACTER: stat.S_IFCHR, tar_reader.BLOCK: stat.S_IFBLK}


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest content of one layer. A larger layer is refused."""

    size_bytes: int = 64 << 30
    entries: int = 10_000_000


class Layer:
    """One layer, applied to the root directory of this process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size_bytes = 0
        self._entries = 0
        self._directories: set[bytes] = {b"/"}
        # Directories get their times at the end, when nothing is put into them any more.
        self._times: dict[bytes, int] = {}
        self._written: set[bytes] = set()
        self.skipped: dict[str, int] = {}

    def apply(self, reader: TarReader) -> None:
        """Apply every entry, in the order of the archive.

        Raise InvalidConfig for an invalid entry, OSError if the host refuses one.
        """
        for entry in reader:
            path = _inside(entry.name)
            self._count(entry)
            try:
                self._apply(reader, entry, path)
            except OSError as error:
                raise OSError(error.errno, f"{_shown(path)}: {error.strerror}") from None
        for path, mtime_ns in self._times.items():
            if _is_directory(path):
                os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def _apply(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        if path == b"/":
            if entry.kind != tar_reader.DIRECTORY:
                raise InvalidConfig("The layer replaces the root directory with a file.")
            self._set_attributes(path, entry)
            return
        if name.startswith(WHITEOUT):
            self._apply_whiteout(parent or b"/", name)
            return
        self._enter(parent or b"/")
        self._create(reader, entry, path)
        self._written.add(path)

    def _apply_whiteout(self, parent: bytes, name: bytes) -> None:
        """Hide files of the lower layers. Do nothing if they lack the directory."""
        if not os.path.isdir(parent):
            return
        self._enter(parent)
        if name == OPAQUE:
            self._hide_all_in(parent)
        elif not name.startswith(_RESERVED):  # aufs' own files, which old images hold
            self._hide(parent.rstrip(b"/") + b"/" + name.removeprefix(WHITEOUT))

    def _create(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        if entry.kind == tar_reader.DIRECTORY:
            self._make_directory(path)
            self._directories.add(path)
            self._set_attributes(path, entry)
            return
        try:
            self._make(reader, entry, path)
        except FileExistsError:
            self._remove(path)
            self._make(reader, entry, path)

    def _make(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        if entry.kind == tar_reader.REGULAR:
            self._write(reader, entry, path)
            return
        if entry.kind == tar_reader.HARD_LINK:
            target = _inside(entry.link)
            try:
                os.link(target, path, follow_symlinks=False)
            except FileNotFoundError:
                words = f"{_shown(path)} to {_shown(target)}, which is missing"
                raise InvalidConfig(f"The layer has a hard link {words}.") from None
            return
        if entry.kind == tar_reader.SYMLINK:
            os.symlink(entry.link, path)
        elif entry.kind == tar_reader.FIFO:
            os.mkfifo(path, 0o600)
        elif entry.kind in _DEVICES:
            if (entry.kind, entry.major, entry.minor) == (tar_reader.CHARACTER, 0, 0):
                words = "has an overlayfs whiteout, the character device 0/0"
                raise InvalidConfig(f"The layer {words}: {_shown(path)}.")
            os.mknod(path, _DEVICES[entry.kind] | 0o600, os.makedev(entry.major, entry.minor))
        else:
            raise InvalidConfig(
                f"The layer has an entry of the type {entry.kind!r}, {_shown(path)}."
            )
        self._set_attributes(path, entry)

    def _write(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            if entry.pieces is None:
                for piece in reader.content():
                    _write_all(descriptor, piece)
            else:
                os.truncate(descriptor, entry.length_bytes)
                for offset, piece in reader.pieces(entry):
                    if offset + len(piece) > entry.length_bytes:
                        raise InvalidConfig(
                            f"The layer has a sparse file {_shown(path)} beyond its end."
                        )
                    os.lseek(descriptor, offset, os.SEEK_SET)
                    _write_all(descriptor, piece)
            self._set_attributes(descriptor, entry)
        finally:
            os.close(descriptor)

    def _set_attributes(self, target: int | bytes, entry: Entry) -> None:
        """Set owner, mode, extended attributes and time, in this order: chown(2) clears setuid
        bits and file capabilities.
        """
        follow = isinstance(target, int)  # a descriptor is the file itself
        os.chown(target, entry.uid, entry.gid, follow_symlinks=follow)
        if entry.kind != tar_reader.SYMLINK:
            os.chmod(target, entry.mode)
        for name, value in entry.xattrs.items():
            self._set_xattr(target, name, value, follow=follow)
        if entry.kind == tar_reader.DIRECTORY and not isinstance(target, int):
            self._times[target] = entry.mtime_ns
        else:
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=follow)

    def _set_xattr(self, target: int | bytes, name: str, value: bytes, *, follow: bool) -> None:
        if name.startswith(_OVERLAY):
            self.skipped[name] = self.skipped.get(name, 0) + 1
            return
        try:
            os.setxattr(target, name, value, follow_symlinks=follow)
        except OSError as error:
            # A file system without labels can hold the image all the same, as with umoci.
            if error.errno not in (errno.ENOTSUP, errno.EPERM) or name == "security.capability":
                raise
            self.skipped[name] = self.skipped.get(name, 0) + 1

    def _enter(self, directory: bytes) -> None:
        """Ensure that a parent directory exists, and remember its time."""
        if directory in self._directories:
            return
        try:
            status = os.stat(directory)
        except FileNotFoundError:
            self._enter(directory.rpartition(b"/")[0] or b"/")
            os.mkdir(directory, _NEW_PARENT_MODE)
            os.chmod(directory, _NEW_PARENT_MODE)  # whatever the umask is
        else:
            if not stat.S_ISDIR(status.st_mode):
                raise InvalidConfig(
                    f"The layer puts a file below {_shown(directory)}, no directory."
                )
            self._times.setdefault(os.path.realpath(directory), status.st_mtime_ns)
        self._directories.add(directory)

    def _make_directory(self, path: bytes) -> None:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not _is_directory(path):
                self._remove(path)
                os.mkdir(path, 0o700)

    def _hide(self, path: bytes) -> None:
        """Hide a name of the lower layers. Files that this layer wrote stay."""
        below = path + b"/"
        if any(each.startswith(below) for each in self._written):
            self._hide_all_in(path)
        elif path not in self._written:
            self._remove(path, missing_ok=True)

    def _hide_all_in(self, directory: bytes) -> None:
        for name in os.listdir(directory):
            self._hide(directory.rstrip(b"/") + b"/" + name)

    def _remove(self, path: bytes, *, missing_ok: bool = False) -> None:
        """Remove a file or a directory with its content."""
        try:
            if _is_directory(path):
                shutil.rmtree(path)
                self._forget(path)
            else:
                os.unlink(path)
                # A link that led to a directory does not any more.
                self._directories = {each for each in self._directories if not _below(each, path)}
        except FileNotFoundError:
            if not missing_ok:
                raise

    def _forget(self, directory: bytes) -> None:
        """Drop the records of a removed directory and its content."""
        self._directories = {each for each in self._directories if not _below(each, directory)}
        self._written = {each for each in self._written if not _below(each, directory)}
        self._times = {path: at for path, at in self._times.items() if not _below(path, directory)}

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self.size_bytes += entry.size_bytes
        if self._entries > self._limits.entries:
            raise InvalidConfig(f"The layer has more than {self._limits.entries} entries.")
        if self.size_bytes > self._limits.size_bytes:
            raise InvalidConfig(f"The layer holds more than {self._limits.size_bytes} bytes.")


def _inside(name: bytes) -> bytes:
    """Return the absolute path of an entry's name. Raise InvalidConfig for one with `..`."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts or b"\0" in name:
        raise InvalidConfig(f"The layer has an entry with '..' in its name: {_shown(name)}.")
    return b"/" + b"/".join(parts)


def _below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory + b"/")


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, piece: bytes) -> None:
    written_bytes = os.write(descriptor, piece)
    while written_bytes < len(piece):
        written_bytes += os.write(descriptor, piece[written_bytes:])


def _shown(path: Iterable[int]) -> str:
    return os.fsdecode(bytes(path)).encode("utf-8", "backslashreplace").decode()
