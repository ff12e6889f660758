"""The destinations of mounts and devices inside a container, with symbolic links resolved.

The parent resolves them before there is a child, in the root file system and in the mounts that
will be there by then. So the child, whose calls are already written, makes missing directories
where a link leads. The result may be outdated, because an image or a volume can change meanwhile.
This is safe: the child has changed its root by chroot(2), and no path leads out of it.
(CVE-2021-30465)
"""

from __future__ import annotations

import os
import stat

from runtime.errors import InvalidConfig
from runtime.linux import mount as mounts
from runtime.rootfs.default_devices import with_defaults
from runtime.rootfs.mount_sources import normalized, source_path
from runtime.spec.json_structs import Struct
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.spec.config import Device, Mount, Spec

_MOST_LINKS = 40  # as many as the kernel follows: path_resolution(7)
# These are mounted at their very path, because masked paths and later writes rely on it.
_NEVER_BEHIND_LINKS = frozenset({"proc", "sysfs"})
_NEW_DIRECTORY = 0o755


class Destination(Struct):
    """The resolved destination of a mount.

    `mode` is the mode of the covered directory, if the mount takes it over. `copied` are the host's
    directories, topmost first, whose content the mount begins with.
    """

    path: str
    mode: int | None = None
    copied: tuple[str, ...] = ()


class Layout(Struct):
    """The resolved destinations of a configuration."""

    mounts: tuple[Destination, ...] = ()
    devices: tuple[tuple[str, Device], ...] = ()
    cwd: str = "/"


class Resolver:
    """A resolver of paths in the file system of a container that is not mounted yet."""

    def __init__(self, trees: Sequence[str]) -> None:
        """Resolve in `trees`, the host's directories that the root consists of, topmost first."""
        # The host's directories that each mount shows, by the mount's destination.
        self._shown: dict[str, tuple[str, ...]] = {"": tuple(trees)}
        self._created: set[str] = set()  # directories on the way to a destination
        self._resolved: dict[str, str] = {}

    def lay_out(self, spec: Spec, cwd: str, bundle: str) -> Layout:
        """Return the destinations of mounts and devices, and the working directory.

        Raise InvalidConfig.
        """
        return Layout(
            mounts=tuple([self._mount(each, bundle) for each in spec.mounts]),
            devices=tuple(
                [
                    (self._device(path), device)
                    for path, device in with_defaults(spec.linux.devices).items()
                ]
            ),
            cwd=self.resolve(normalized(cwd)),
        )

    def _mount(self, mount: Mount, bundle: str) -> Destination:
        """Add a mount, in which later paths are resolved."""
        options = MountOptions.of(mount.options)
        path = normalized(mount.destination)
        if mount.type not in _NEVER_BEHIND_LINKS or options.is_bind:
            path = self.resolve(path)
        if options.flags & mounts.REMOUNT and not options.is_bind:
            return Destination(path=path)
        mode: int | None = None
        shown: tuple[str, ...] = ()
        if options.is_bind:
            shown = (source_path(mount, bundle),)
        elif mount.type == "tmpfs":
            mode = None if options.has("mode") else self._mode(path)
            shown = self._copied(path) if options.has("tmpcopyup") else ()
        elif mount.type == "overlay":
            shown = overlay_trees(options.data.decode(), bundle)
        self._cover(path, shown)
        return Destination(path=path, mode=mode, copied=() if options.is_bind else shown)

    def _device(self, path: str) -> str:
        """Return the path of a device, with links resolved in its directory alone.

        A link at the path itself is another file, which `devices.check_existing` refuses.
        """
        directory, _, name = path.rpartition("/")
        directory = self.resolve(directory or "/")
        return f"{directory.rstrip('/')}/{name}"

    def _copied(self, path: str) -> tuple[str, ...]:
        candidates = (f"{directory}/{below}" for directory, below in self._candidates(path))
        return tuple([each for each in candidates if os.path.isdir(each)])

    def resolve(self, path: str) -> str:
        """Resolve an absolute path without dots. Raise InvalidConfig for a circle of links.

        A missing part is taken for a directory or a file that will be made.
        """
        if path not in self._resolved:
            self._resolved[path] = self._walk(path)
        return self._resolved[path]

    def _candidates(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield where on the host a resolved path may be, in the order of precedence.

        Each is a directory and a path in it, or a file and an empty path.
        """
        mount_point = path
        while mount_point not in self._shown:
            mount_point = mount_point.rpartition("/")[0]
        for directory in self._shown[mount_point]:
            yield directory, path[len(mount_point) + 1 :]

    def status(self, path: str) -> os.stat_result | None:
        """Return the status of a resolved path, or None if it does not exist."""
        for directory, below in self._candidates(path):
            try:
                return os.lstat(f"{directory}/{below}" if below else directory)
            except OSError:
                continue
        return None

    def status_in_image(self, path: str) -> os.stat_result | None:
        """Return the status of a resolved path, or None if it is below a mount or missing."""
        is_below_mount = any(
            mount_point and path.startswith(f"{mount_point}/") for mount_point in self._shown
        )
        return None if is_below_mount else self.status(path)

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """Return the content of a file of the container, or None if it can't be read."""
        for directory, below in self._candidates(self.resolve(path)):
            content = read_in(directory, below, most_bytes)
            if content is not None:
                return content
        return None

    def _walk(self, path: str) -> str:
        resolved, links = "", 0
        names = path.split("/")[::-1]
        while names:
            name = names.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                resolved = resolved.rpartition("/")[0]
                continue
            target = self._link(f"{resolved}/{name}")
            if target is None:
                resolved += f"/{name}"
                continue
            links += 1
            if links > _MOST_LINKS:
                raise InvalidConfig(
                    f"The path {path} leads through more than {_MOST_LINKS} symbolic links in the"
                    " container: choose another, or mend the links."
                )
            if target.startswith("/"):
                resolved = ""
            names += target.split("/")[::-1]
        return resolved or "/"

    def _link(self, path: str) -> str | None:
        """Return the target of a symbolic link, or None for another file and for a mount."""
        if path in self._shown:
            return None
        for directory, below in self._candidates(path):
            candidate = f"{directory}/{below}"
            try:
                if not stat.S_ISLNK(os.lstat(candidate).st_mode):
                    return None
                return os.readlink(candidate)
            except OSError:
                continue
        return None

    def _mode(self, path: str) -> int | None:
        """Return the mode of a directory that exists, or is made for an earlier mount."""
        status = self.status(path)
        if status and stat.S_ISDIR(status.st_mode):
            return stat.S_IMODE(status.st_mode)
        return _NEW_DIRECTORY if path in self._created else None

    def _cover(self, destination: str, shown: tuple[str, ...]) -> None:
        below = f"{destination}/"
        self._shown = {
            mount_point: trees
            for mount_point, trees in self._shown.items()
            if not mount_point.startswith(below)
        }
        self._shown[destination] = shown
        self._created = {path for path in self._created if not f"{path}/".startswith(below)}
        self._resolved.clear()
        while destination := destination.rpartition("/")[0]:
            self._created.add(destination)


def overlay_trees(options: str, bundle: str) -> tuple[str, ...]:
    """Return the directories of an overlay, topmost first. (overlayfs.rst in the kernel)"""
    upper, lower = [], []
    for word in _split(options, ","):
        key, _, value = word.partition("=")
        if key == "upperdir":
            upper = [value]
        elif key == "lowerdir":
            lower = _split(value, ":")
    paths = (_unescaped(each) for each in (*upper, *lower) if each)
    return tuple([os.path.join(bundle, path) for path in paths])


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that has no backslash before it."""
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _unescaped(text: str) -> str:
    return "\\".join(part.replace("\\", "") for part in text.split("\\\\"))


def read_in(directory: str, path: str, most_bytes: int) -> bytes | None:
    """Return the content of a regular file of a tree, or None if it can't be read. (openat2(2))

    No link leads out of the tree. An empty path stands for the file `directory` itself.
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
