"""Applying a layer to the tree of a new snapshot: files, links, devices, whiteouts.

(OCI image-spec, layer.md)
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from runtime.errors import InvalidConfig
from runtime.images import file_attributes, tar_reader
from runtime.images.file_attributes import Place
from runtime.images.tar_reader import Entry, TarReader
from runtime.images.upper_tree import UpperTree, shown

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_RESERVED = b".wh..wh."
_DEVICES = {tar_reader.CHARACTER: stat.S_IFCHR, tar_reader.BLOCK: stat.S_IFBLK}
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest content of one layer. A larger layer is refused."""

    size_bytes: int = 64 << 30
    entries: int = 10_000_000


class Layer:
    """One layer, applied to a tree."""

    def __init__(self, tree: UpperTree, limits: Limits) -> None:
        self._tree = tree
        self._limits = limits
        self._entries = 0
        self.size_bytes = 0

    def apply(self, reader: TarReader) -> None:
        """Apply every entry, in the order of the archive.

        Raise InvalidConfig for an invalid entry, OSError if the host refuses one, LayersMissing if
        the layer must be unpacked again.
        """
        for entry in reader:
            path = _inside(entry.name)
            self._count(entry)
            try:
                self._apply(reader, entry, path)
            except OSError as error:
                raise OSError(error.errno, f"{shown(path)}: {error.strerror}") from None
        self._tree.settle()
        self._tree.write_times()

    def _apply(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        if name.startswith(WHITEOUT):
            self._apply_whiteout(parent or b"/", name)
        elif entry.kind == tar_reader.DIRECTORY:
            self._make_directory(entry, path)
        elif not name:
            raise InvalidConfig("The layer replaces the root directory with a file.")
        else:
            self._replace(reader, entry, path)

    def _apply_whiteout(self, parent: bytes, name: bytes) -> None:
        """Hide files of the lower layers. Nothing is done if they lack the directory."""
        if name == OPAQUE:
            self._tree.hide_all_in(parent)
            return
        if name.startswith(_RESERVED):  # aufs' own files, which old images hold
            return
        hidden = name.removeprefix(WHITEOUT)
        if hidden in (b"", b".", b".."):
            raise InvalidConfig(f"The layer has a whiteout of no name: {shown(name)}.")
        self._tree.hide(parent.rstrip(b"/") + b"/" + hidden)

    def _make_directory(self, entry: Entry, path: bytes) -> None:
        place = self._tree.place(path)
        if path != b"/":
            self._tree.make_directory(place)
        self._set_attributes(place, entry)
        self._tree.times[place.path] = entry.mtime_ns
        self._tree.mark_written(place)

    def _replace(self, reader: TarReader, entry: Entry, path: bytes) -> None:
        """Make a file that is not a directory, in place of what the layer has there."""
        place = self._tree.place(path)
        try:
            self._make(reader, entry, place)
        except FileExistsError:
            place = self._tree.place(path)
            self._tree.remove(place)
            self._make(reader, entry, place)
        self._tree.mark_written(place)

    def _make(self, reader: TarReader, entry: Entry, place: Place) -> None:
        if entry.kind == tar_reader.REGULAR:
            self._write(reader, entry, place)
            return
        if entry.kind == tar_reader.HARD_LINK:
            self._link(entry, place.path)
            return
        if entry.kind == tar_reader.SYMLINK:
            os.symlink(entry.link, place.name, dir_fd=place.directory)
        elif entry.kind == tar_reader.FIFO:
            os.mkfifo(place.name, 0o600, dir_fd=place.directory)
        elif entry.kind in _DEVICES:
            if (entry.kind, entry.major, entry.minor) == (tar_reader.CHARACTER, 0, 0):
                words = "has an overlayfs whiteout, the character device 0/0"
                raise InvalidConfig(f"The layer {words}: {shown(place.path)}.")
            device = os.makedev(entry.major, entry.minor)
            os.mknod(place.name, _DEVICES[entry.kind] | 0o600, device, dir_fd=place.directory)
        else:
            words = f"an entry of the type {entry.kind!r}, {shown(place.path)}"
            raise InvalidConfig(f"The layer has {words}.")
        self._set_attributes(place, entry)
        file_attributes.write_time(place, entry.mtime_ns)

    def _link(self, entry: Entry, path: bytes) -> None:
        target = self._tree.link_target(_inside(entry.link))
        if target is None:
            words = f"{shown(path)} to {shown(_inside(entry.link))}, which is missing"
            raise InvalidConfig(f"The layer has a hard link {words}.")
        place = self._tree.place(path)  # its directory may have been closed for the target's
        os.link(
            target.name, place.name, src_dir_fd=target.directory, dst_dir_fd=place.directory,
            follow_symlinks=False,
        )  # fmt: skip

    def _write(self, reader: TarReader, entry: Entry, place: Place) -> None:
        descriptor = os.open(place.name, _NEW, 0o600, dir_fd=place.directory)
        try:
            if entry.pieces is None:
                for piece in reader.content():
                    _write_all(descriptor, piece)
            else:
                self._write_pieces(reader, entry, descriptor, place)
            self._set_attributes(descriptor, entry)
            file_attributes.write_time(descriptor, entry.mtime_ns)
        finally:
            os.close(descriptor)

    def _write_pieces(self, reader: TarReader, entry: Entry, descriptor: int, place: Place) -> None:
        """Write the parts of a sparse file that are not holes."""
        os.truncate(descriptor, entry.length_bytes)
        for offset, piece in reader.pieces(entry):
            if offset + len(piece) > entry.length_bytes:
                words = f"a sparse file {shown(place.path)} beyond its end"
                raise InvalidConfig(f"The layer has {words}.")
            os.lseek(descriptor, offset, os.SEEK_SET)
            _write_all(descriptor, piece)

    def _set_attributes(self, target: Place | int, entry: Entry) -> None:
        mode = None if entry.kind == tar_reader.SYMLINK else entry.mode
        skipped = self._tree.skipped
        file_attributes.write(target, entry.uid, entry.gid, mode, entry.xattrs, skipped)

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
        raise InvalidConfig(f"The layer has an entry with '..' in its name: {shown(name)}.")
    return b"/" + b"/".join(parts)


def _write_all(descriptor: int, piece: bytes) -> None:
    written_bytes = os.write(descriptor, piece)
    while written_bytes < len(piece):
        written_bytes += os.write(descriptor, piece[written_bytes:])
