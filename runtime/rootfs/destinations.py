"""Where the paths of a configuration lead inside of a container, symbolic links followed.

The parent walks through the root file system, and through what is mounted there by then, before
there is a child; so that the child, which carries out calls that are written down already, makes
what is missing where a link leads. What is found here is a plan and no promise: an image or a
volume may change meanwhile. The child stands in the root by chroot(2), out of which no path leads,
whatever becomes of it. (CVE-2021-30465)
"""

from __future__ import annotations

import os
import stat

from runtime.errors import ContainerError
from runtime.linux import mount as mounts
from runtime.rootfs.devices import with_defaults
from runtime.rootfs.mount_sources import inside, source_path
from runtime.spec.json_structs import Struct
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec.config import Device, Mount, Spec

_MOST_LINKS = 40  # as many as the kernel follows: path_resolution(7)
# File systems whose first directory is where it seems to be: masks and writes rely on it.
_NEVER_BEHIND_LINKS = frozenset({"proc", "sysfs"})
_NEW_DIRECTORY = 0o755


class Destination(Struct):
    """Where a mount is to be; the mode of the directory that it covers, where it is to have that.

    `copied` are the directories of the host, topmost first, whose content it is to begin with.
    """

    path: str
    mode: int | None = None
    copied: tuple[str, ...] = ()


class Layout(Struct):
    """Where all that a configuration names is to be made."""

    mounts: tuple[Destination, ...] = ()
    devices: tuple[tuple[str, Device], ...] = ()
    cwd: str = "/"


class Resolver:
    """The file system of one container as it will be, of which nothing is there yet."""

    def __init__(self, trees: Sequence[str]) -> None:
        """`trees` are the directories of the host that its root shows, topmost first."""
        self._shown: dict[str, tuple[str, ...]] = {
            "": tuple(trees)
        }  # what each mount shows, by its place
        self._made: set[str] = set()
        self._known: dict[str, str] = {}

    def lay_out(self, spec: Spec, cwd: str, bundle: str) -> Layout:
        """Where the mounts, the devices and the working directory are. Raises ContainerError."""
        return Layout(
            mounts=tuple([self._mount(each, bundle) for each in spec.mounts]),
            devices=tuple(
                [
                    (self._device(path), device)
                    for path, device in with_defaults(spec.linux.devices).items()
                ]
            ),
            cwd=self.resolve(inside(cwd)),
        )

    def _mount(self, wanted: Mount, bundle: str) -> Destination:
        """Add a mount, which all that is asked for later sees."""
        options = MountOptions.of(wanted.options)
        path = inside(wanted.destination)
        if wanted.type not in _NEVER_BEHIND_LINKS or options.is_bind:
            path = self.resolve(path)
        if options.flags & mounts.REMOUNT and not options.is_bind:
            return Destination(path=path)
        mode: int | None = None
        shown: tuple[str, ...] = ()
        if options.is_bind:
            shown = (source_path(wanted, bundle),)
        elif wanted.type == "tmpfs":
            mode = None if options.has("mode") else self._mode(path)
            shown = self._copied(path) if options.has("tmpcopyup") else ()
        elif wanted.type == "overlay":
            shown = overlay_trees(options.data.decode(), bundle)
        self._cover(path, shown)
        return Destination(path=path, mode=mode, copied=() if options.is_bind else shown)

    def _device(self, path: str) -> str:
        """Where a device is made: a link in its own place is something else that is there."""
        directory, _, name = path.rpartition("/")
        directory = self.resolve(directory or "/")
        return f"{directory.rstrip('/')}/{name}"

    def _copied(self, path: str) -> tuple[str, ...]:
        places = (f"{directory}/{below}" for directory, below in self.places(path))
        return tuple([each for each in places if os.path.isdir(each)])

    def resolve(self, path: str) -> str:
        """Where an absolute path without dots leads. Raises ContainerError for links in a circle.

        What is not there is taken to be made, as a directory or a file.
        """
        if path not in self._known:
            self._known[path] = self._walk(path)
        return self._known[path]

    def places(self, path: str) -> Iterator[tuple[str, str]]:
        """Where on the host a path that was resolved may be found, the first that has it first.

        Each is a directory and a path in it, or a file and an empty path.
        """
        place = path
        while place not in self._shown:
            place = place.rpartition("/")[0]
        for directory in self._shown[place]:
            yield directory, path[len(place) + 1 :]

    def found(self, path: str) -> os.stat_result | None:
        """What there is at a path that was resolved; None if nothing is known to be there."""
        for directory, below in self.places(path):
            try:
                return os.lstat(f"{directory}/{below}" if below else directory)
            except OSError:
                continue
        return None

    def found_in_image(self, path: str) -> os.stat_result | None:
        """The same, if no mount hides what the image has there."""
        is_below_mount = any(place and path.startswith(f"{place}/") for place in self._shown)
        return None if is_below_mount else self.found(path)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """A file of the container's; None if there is none, or none that this process may read."""
        for directory, below in self.places(self.resolve(path)):
            content = read_in(directory, below, most_bytes)
            if content is not None:
                return content
        return None

    def _walk(self, path: str) -> str:
        done, links = "", 0
        waiting = path.split("/")[::-1]
        while waiting:
            name = waiting.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                done = done.rpartition("/")[0]
                continue
            target = self._link(f"{done}/{name}")
            if target is None:
                done += f"/{name}"
                continue
            links += 1
            if links > _MOST_LINKS:
                raise ContainerError(f"{path} leads through more than {_MOST_LINKS} links.")
            if target.startswith("/"):
                done = ""
            waiting += target.split("/")[::-1]
        return done or "/"

    def _link(self, path: str) -> str | None:
        """What a symbolic link holds; None for all else. The first mount on a path hides it."""
        if path in self._shown:
            return None
        for directory, below in self.places(path):
            whole = f"{directory}/{below}"
            try:
                if not stat.S_ISLNK(os.lstat(whole).st_mode):
                    return None
                return os.readlink(whole)
            except OSError:
                continue
        return None

    def _mode(self, path: str) -> int | None:
        """The mode of a directory that is there, or is made on the way to an earlier mount."""
        found = self.found(path)
        if found and stat.S_ISDIR(found.st_mode):
            return stat.S_IMODE(found.st_mode)
        return _NEW_DIRECTORY if path in self._made else None

    def _cover(self, destination: str, shown: tuple[str, ...]) -> None:
        below = f"{destination}/"
        self._shown = {
            place: each for place, each in self._shown.items() if not place.startswith(below)
        }
        self._shown[destination] = shown
        self._made = {path for path in self._made if not f"{path}/".startswith(below)}
        self._known.clear()
        while destination := destination.rpartition("/")[0]:
            self._made.add(destination)


def overlay_trees(options: str, bundle: str) -> tuple[str, ...]:
    """The directories that an overlay shows, topmost first. (overlayfs.rst in the kernel)"""
    upper, lower = [], []
    for word in _split(options, ","):
        key, _, value = word.partition("=")
        if key == "upperdir":
            upper = [value]
        elif key == "lowerdir":
            lower = _split(value, ":")
    named = (_unescaped(each) for each in (*upper, *lower) if each)
    return tuple([os.path.join(bundle, each) for each in named])


def _split(text: str, sign: str) -> list[str]:
    """Split at a sign, but where a backslash stands before it."""
    parts = [""]
    escaped = False
    for each in text:
        if each == sign and not escaped:
            parts.append("")
        else:
            parts[-1] += each
        escaped = each == "\\" and not escaped
    return parts


def _unescaped(text: str) -> str:
    return "\\".join(part.replace("\\", "") for part in text.split("\\\\"))


def read_in(directory: str, path: str, most_bytes: int) -> bytes | None:
    """A regular file of a tree, out of which no link leads; None if it can't be read. (openat2(2))

    An empty path is the file `directory` itself.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        if not path:
            file = os.open(directory, flags)
        else:
            root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                file = mounts.openat2(root, os.fsencode(path), flags, mounts.RESOLVE_IN_ROOT)
            finally:
                os.close(root)
    except OSError:
        return None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return None
        return os.read(file, min(status.st_size, most_bytes))
    except OSError:
        return None
    finally:
        os.close(file)
