"""The directory of a new layer, in overlayfs' format: what the layer adds, hides and replaces.

Files are written there directly, without an overlay: that takes half the time, and a layer can be
unpacked before those below it are complete. A parent that the archive lacks is then assumed to be
new, and a removed file to be there; both are settled at the end. No name and no symbolic link leads
out of the directory: links are followed here, part by part, and each directory is opened without
following any. (Linux, filesystems/overlayfs.rst; openat2(2))
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections import OrderedDict

from runtime.errors import InvalidConfig
from runtime.images import file_attributes
from runtime.images.file_attributes import Place
from runtime.images.lower_layers import LayersMissing, LowerLayers, is_whiteout
from runtime.linux import mount

_MOST_OPEN = 64
_DEEPEST = 400  # so that a tree can be removed by a function that calls itself for each level
_MOST_LINKS = 40  # as the kernel follows in one path (path_resolution(7))
_NEW_PARENT_MODE = 0o755
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_COPIED_AT_ONCE_BYTES = 1 << 24


class UpperTree:
    """The tree below `root`, a descriptor of the layer's directory.

    `opaque` is the attribute of directories that hide those below them: `trusted.overlay.opaque`,
    or `user.overlay.opaque` in a user namespace. Paths are absolute in the tree.
    """

    def __init__(self, root: int, lower: LowerLayers, opaque: str) -> None:
        self._root = root
        self._lower = lower
        self._opaque = opaque
        self._open: OrderedDict[bytes, int] = OrderedDict()
        # Directories of archives, and the paths that they have without links.
        self._resolved: dict[bytes, bytes] = {b"/": b"/"}
        # What the layer's own entries wrote, and the directories that lead there; other files of
        # the tree are copies from below.
        self._written: set[bytes] = {b"/"}
        # What was assumed before the lower layers were complete: directories that are new, and
        # whether they still lack attributes; whiteouts that hide something.
        self._assumed_new: dict[bytes, bool] = {}
        self._assumed_below: set[bytes] = set()
        # Directories get their times at the end, when nothing is put into them any more.
        self.times: dict[bytes, int] = {}
        self.skipped: dict[str, int] = {}

    def place(self, path: bytes) -> Place:
        """Return the place of a path. Missing parents are created, as they are below or anew.

        Raise InvalidConfig if a parent is not a directory.
        """
        above, _, name = path.rpartition(b"/")
        if not name:
            return Place(b"/", self._root, b".")
        parent = self._resolve(above or b"/", create=True)
        assert parent is not None
        return Place(_join(parent, name), self._descriptor(parent), name)

    def mark_written(self, place: Place) -> None:
        """Remember that the layer wrote a name: whiteouts of the layer don't hide it."""
        self._drop_link(place.path)
        path = place.path
        while path not in self._written:
            self._written.add(path)
            path = path.rpartition(b"/")[0] or b"/"

    def make_directory(self, place: Place) -> None:
        """Ensure that a directory is in the layer. It replaces a file of another type."""
        try:
            os.mkdir(place.name, 0o700, dir_fd=place.directory)
        except FileExistsError:
            status = _status(place)
            if status is None or not stat.S_ISDIR(status.st_mode):
                self.remove(place)
                self._make_opaque_directory(place)
        self._drop_link(place.path)
        if place.path in self._assumed_new:
            self._assumed_new[place.path] = False
        self._resolved[place.path] = place.path

    def remove(self, place: Place) -> None:
        """Remove a name of the layer, with all that is in it."""
        status = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(place.name, dir_fd=place.directory)
        else:
            os.unlink(place.name, dir_fd=place.directory)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            self._forget(place.path)

    def hide(self, path: bytes) -> None:
        """Hide a name of the lower layers. What this layer wrote stays."""
        above, _, name = path.rpartition(b"/")
        parent = self._resolve(above or b"/", create=False)
        if parent is None:
            return
        place = Place(_join(parent, name), self._descriptor(parent), name)
        status = _status(place)
        if status is not None and place.path in self._written:
            if stat.S_ISDIR(status.st_mode):
                self._hide_below(place)
            return
        if status is not None:
            self.remove(place)
        self._drop_link(place.path)
        if self._hides(parent):
            return
        if not self._lower.are_complete:
            self._assumed_below.add(place.path)
        elif not self._lower.has(place.path):
            return  # a directory that only this layer has would show a whiteout among its files
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=self._descriptor(parent))

    def hide_all_in(self, directory: bytes) -> None:
        """Hide all names of the lower layers in a directory. What this layer wrote stays."""
        real = self._resolve(directory, create=False)
        if real is not None:
            above, _, name = real.rpartition(b"/")
            self._hide_below(Place(real, self._descriptor(above or b"/"), name or b"."))

    def link_target(self, path: bytes) -> Place | None:
        """Return the place of a file that a hard link leads to, or None if there is none.

        A file of the lower layers is copied into the layer, as overlayfs does.
        """
        above, _, name = path.rpartition(b"/")
        parent = self._resolve(above or b"/", create=False)
        if parent is None:
            return None
        place = Place(_join(parent, name), self._descriptor(parent), name)
        status = _status(place)
        if status is None and not self._hides(parent):
            return place if self._copy_up(place) else None
        return None if status is None or is_whiteout(status) else place

    def settle(self) -> None:
        """Wait for the lower layers if anything was assumed of them, and correct it.

        Raise LayersMissing if a directory that was assumed to be new is a link or a file there.
        """
        for path in sorted(self._assumed_new):  # parents first
            descriptor = self._lower.open(path)
            if descriptor is None:
                continue
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISDIR(status.st_mode):
                    raise LayersMissing(shown(path))
                if self._assumed_new[path]:
                    self._copy_attributes(descriptor, status, self.place(path))
                    self.times[path] = status.st_mtime_ns
            finally:
                os.close(descriptor)
        for path in self._assumed_below:
            place = self.place(path)
            present = _status(place)
            if present and is_whiteout(present) and not self._lower.has(path):
                os.unlink(place.name, dir_fd=place.directory)

    def write_times(self) -> None:
        """Set the times of all directories of the layer."""
        for path, mtime_ns in self.times.items():
            name = path.lstrip(b"/") or b"."
            file_attributes.write_time(Place(path, self._root, name), mtime_ns)

    def _resolve(self, directory: bytes, *, create: bool, links: int = _MOST_LINKS) -> bytes | None:
        """Return a directory's path without links, after putting it into the layer.

        Return None if it does not exist and must not be created.
        """
        unknown = []
        while (current := self._resolved.get(directory)) is None:
            above, _, name = directory.rpartition(b"/")
            directory = above or b"/"
            unknown.append(name)
        for name in reversed(unknown):
            found = self._enter(current, name, create=create, links=links)
            if found is None:
                return None
            directory = _join(directory, name)
            self._resolved[directory] = current = found
        return current

    def _enter(self, parent: bytes, name: bytes, *, create: bool, links: int) -> bytes | None:
        """Return the path of the directory `name` in `parent`. See `_resolve`."""
        place = Place(_join(parent, name), self._descriptor(parent), name)
        status = _status(place)
        if status is None and not self._hides(parent):
            return self._enter_below(place, parent, create=create, links=links)
        if status is None or is_whiteout(status):
            if not create:
                return None
            if status is not None:
                self.remove(place)
            self._make_opaque_directory(place)
            os.chmod(name, _NEW_PARENT_MODE, dir_fd=place.directory)
            return place.path
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=place.directory)
            return self._follow(place, parent, target, create=create, links=links)
        if stat.S_ISDIR(status.st_mode):
            return place.path
        if create:
            raise InvalidConfig(f"The layer puts a file below {shown(place.path)}, no directory.")
        return None

    def _enter_below(
        self, place: Place, parent: bytes, *, create: bool, links: int
    ) -> bytes | None:
        """Return the path of a directory of the lower layers, after copying it without content."""
        assumes = create and not self._lower.are_complete
        descriptor = None if assumes else self._lower.open(place.path)
        if descriptor is None:
            if not create:
                return None
            if assumes:
                self._assumed_new[place.path] = True
            os.mkdir(place.name, dir_fd=place.directory)
            os.chmod(place.name, _NEW_PARENT_MODE, dir_fd=place.directory)  # whatever the umask is
            return place.path
        try:
            status = os.fstat(descriptor)
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(b"", dir_fd=descriptor)
                return self._follow(place, parent, target, create=create, links=links)
            if not stat.S_ISDIR(status.st_mode):
                if not create:
                    return None
                words = f"{shown(place.path)}, no directory"
                raise InvalidConfig(f"The layer puts a file below {words}.")
            os.mkdir(place.name, 0o700, dir_fd=place.directory)
            self._copy_attributes(descriptor, status, place)
            self.times[place.path] = status.st_mtime_ns
            return place.path
        finally:
            os.close(descriptor)

    def _follow(
        self, link: Place, parent: bytes, target: bytes, *, create: bool, links: int
    ) -> bytes | None:
        """Return the path of the directory that a link in `parent` leads to, inside the tree."""
        if links == 0:
            raise InvalidConfig(f"The layer has too many links on a path: {shown(link.path)}.")
        current = b"/" if target.startswith(b"/") else parent
        for part in target.split(b"/"):
            if part == b"..":
                current = current.rpartition(b"/")[0] or b"/"
            elif part not in (b"", b"."):
                found = self._resolve(_join(current, part), create=create, links=links - 1)
                if found is None:
                    return None
                current = found
        return current

    def _descriptor(self, directory: bytes) -> int:
        """Return a descriptor of a directory. The least recently used one may be closed for it."""
        if directory == b"/":
            return self._root
        found = self._open.get(directory)
        if found is not None:
            self._open.move_to_end(directory)
            return found
        if directory.count(b"/") > _DEEPEST:
            words = f"more than {_DEEPEST} directories in one another"
            raise InvalidConfig(f"The layer has {words}: {shown(directory[:60])}….")
        if len(self._open) == _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])
        resolve = mount.RESOLVE_BENEATH | mount.RESOLVE_NO_SYMLINKS
        found = mount.openat2(self._root, directory.lstrip(b"/"), _DIRECTORY, resolve)
        self._open[directory] = found
        return found

    def _hides(self, directory: bytes) -> bool:
        """Return True if the layer hides what the lower layers have in a directory."""
        # By their paths, which have no links: opening them could close a descriptor in use.
        while directory != b"/":
            try:
                os.getxattr(b"/proc/self/fd/%d%b" % (self._root, directory), self._opaque)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                    raise
                directory = directory.rpartition(b"/")[0] or b"/"
            else:
                return True
        return False

    def _hide_below(self, place: Place) -> None:
        """Make a directory opaque, and remove from it what this layer did not write.

        overlayfs merges the root directories of all layers. There each name is hidden.
        """
        if place.path == b"/":
            for name in self._lower.names():
                self.hide(b"/" + name)
            return
        os.setxattr(place.through_proc, self._opaque, b"y")
        for name in os.listdir(place.through_proc):
            path = _join(place.path, name)
            if path not in self._written:
                self.remove(Place(path, self._descriptor(place.path), name))

    def _make_opaque_directory(self, place: Place) -> None:
        os.mkdir(place.name, 0o700, dir_fd=place.directory)
        os.setxattr(place.through_proc, self._opaque, b"y")

    def _copy_up(self, place: Place) -> bool:
        """Copy a file of the lower layers into the layer. Return False if there is none."""
        descriptor = self._lower.open(place.path)
        if descriptor is None:
            return False
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise InvalidConfig(
                    f"The layer has a hard link to a directory, {shown(place.path)}."
                )
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(b"", dir_fd=descriptor), place.name, dir_fd=place.directory)
            elif stat.S_ISREG(status.st_mode):
                _copy_content(descriptor, place)
            else:
                os.mknod(place.name, status.st_mode, status.st_rdev, dir_fd=place.directory)
            self._copy_attributes(descriptor, status, place)
            file_attributes.write_time(place, status.st_mtime_ns)
        finally:
            os.close(descriptor)
        return True

    def _copy_attributes(self, descriptor: int, status: os.stat_result, place: Place) -> None:
        mode = None if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
        xattrs = file_attributes.xattrs_of(descriptor)
        file_attributes.write(place, status.st_uid, status.st_gid, mode, xattrs, self.skipped)

    def _drop_link(self, path: bytes) -> None:
        """Drop what is known of a link of the lower layers whose name is now another file's."""
        if self._resolved.get(path, path) != path:
            self._forget(path)

    def _forget(self, path: bytes) -> None:
        """Drop what is known of a removed directory or link, and of all below it."""
        self._resolved = {
            name: real
            for name, real in self._resolved.items()
            if not _below(name, path) and not _below(real, path)
        }
        self._written = {each for each in self._written if not _below(each, path)}
        for each in self._assumed_new:
            if _below(each, path):
                self._assumed_new[each] = False
        self._assumed_below = {each for each in self._assumed_below if not _below(each, path)}
        self.times = {each: at for each, at in self.times.items() if not _below(each, path)}
        for each in [each for each in self._open if _below(each, path)]:
            os.close(self._open.pop(each))


def shown(path: bytes) -> str:
    """Return a path for a message."""
    return os.fsdecode(path).encode("utf-8", "backslashreplace").decode()


def _status(place: Place) -> os.stat_result | None:
    """Return the status of a name in the layer; None if it is not there."""
    try:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _copy_content(descriptor: int, place: Place) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        open(f"/proc/self/fd/{descriptor}", "rb", buffering=0) as source,
        open(os.open(place.name, flags, 0o600, dir_fd=place.directory), "wb", buffering=0) as copy,
    ):
        while os.sendfile(copy.fileno(), source.fileno(), None, _COPIED_AT_ONCE_BYTES):
            pass


def _join(directory: bytes, name: bytes) -> bytes:
    return directory.rstrip(b"/") + b"/" + name


def _below(path: bytes, directory: bytes) -> bool:
    return path == directory or path.startswith(directory + b"/")
