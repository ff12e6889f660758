"""The mounts of a container, as calls for a child that stands in its root file system.

The child has made that its root by chroot(2), so that no path in it, whatever an image or a volume
made of it, leads out. What comes from the host was opened before, as mounts that are not attached
anywhere. (CVE-2021-30465, CVE-2019-19921)
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.cgroups import host
from runtime.document import Struct
from runtime.errors import ContainerError
from runtime.linux import mounts, syscalls
from runtime.linux.mounts import AT_FDCWD, Options
from runtime.linux.program import Label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.destinations import Destination
    from runtime.linux.program import Program, Result
    from runtime.spec import Mount

    Source = int | Result

_O_PATH, _O_CLOEXEC = 0o10000000, 0o2000000
_F_DUPFD_CLOEXEC = 1030
# What the kernel shows of itself must be where its path says: masks and writes rely on it.
_KERNEL_S = frozenset({"proc", "sysfs"})
# File systems that have neither a path of the host for their source nor one in their options; all
# others are mounted while the host is seen.
_WITHOUT_PATHS = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "proc", "pstore", "ramfs", "securityfs", "sysfs",
    "tmpfs", "tracefs",
})  # fmt: skip


class Bound(Struct):
    """What is to be bound; what is `held` is no mount yet, but a file of the host."""

    source: Source
    is_directory: bool = True
    held: bool = False


class Sources(Struct):
    """What comes from the host: binds by the number of the mount, the rest by what it is for."""

    bound: dict[int, Bound] = {}  # noqa: RUF012 - a struct is frozen
    cgroups: dict[str, Source] = {}  # noqa: RUF012
    devices: dict[str, Source] = {}  # noqa: RUF012
    nothing: dict[str, Source] = {}  # noqa: RUF012 - what paths are masked with


class Opening:
    """While the child still sees the host, it takes what is to be mounted from there.

    `shared` is whether the mount namespace is the host's.
    """

    def __init__(self, program: Program, *, shared: bool = False) -> None:
        self._program = program
        self._shared = shared

    def binds(
        self, wanted: Sequence[Mount], bundle: str, opened: Mapping[int, int]
    ) -> dict[int, Bound]:
        """What is to be bound; `opened` are those, by number, that the runtime has opened."""
        found = {}
        for number, mount in enumerate(wanted):
            is_bind = Options.of(mount.options).is_bind
            if number in opened and not is_bind:
                found[number] = Bound(source=opened[number])
            elif is_bind:
                path = source_path(mount, bundle)
                is_directory = _is_directory(path, inside(mount.destination))
                source = opened.get(number)
                found[number] = Bound(
                    source=self._hold(path) if source is None else source,
                    is_directory=is_directory,
                    held=source is None,
                )
        return found

    def file_systems(
        self, wanted: Sequence[Mount], bundle: str, root: str, opened: Mapping[int, int]
    ) -> dict[int, Bound]:
        """File systems that are made of what the host has, such as an overlay's directories.

        Each is mounted at `root` for a moment, since fsconfig(2) takes no more than 256 bytes of an
        option. Paths that are not absolute are relative to the bundle.
        """
        found: dict[int, Bound] = {}
        for number, mount in enumerate(wanted):
            if number in opened or not is_of_host(mount):
                continue
            options = Options.of(mount.options)
            what = f"mount {inside(mount.destination)}"
            if not found:
                self._program.call(what, syscalls.CHDIR, os.fsencode(bundle))
            self._program.call(
                what, syscalls.MOUNT, os.fsencode(mount.source) or None, os.fsencode(root),
                mount.type.encode(), options.flags, options.data or None,
            )  # fmt: skip
            found[number] = Bound(source=self.open(root))
            self._program.call(what, syscalls.UMOUNT2, os.fsencode(root), mounts.DETACH)
        return found

    def cgroups(self, wanted: Sequence[Mount], paths: Mapping[str, str]) -> dict[str, Source]:
        """The container's own cgroups, if they are to be seen; `paths` are theirs on the host."""
        if not any(mount.type == "cgroup" for mount in wanted):
            return {}
        places = [(words, self._program.text(os.fsencode(path))) for words, path in paths.items()]
        return self._program.part(_open_cgroups, places, self._shared)

    def open(self, path: str) -> Source:
        """A mount of what is at a path of the host, attached nowhere. (open_tree(2))"""
        return self.open_at(path, os.fsencode(path))

    def open_at(self, what: str, path: bytes | int) -> Source:
        """The same of a path that may be a text of the program's."""
        source = self._program.call(
            f"open {what}, to mount it", syscalls.OPEN_TREE, AT_FDCWD, path,
            mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC,
        )  # fmt: skip
        return _apart(self._program, source) if self._shared else source

    def _hold(self, path: str) -> Result:
        """What is at a path of the host, to be mounted later."""
        return self._program.call(
            f"open {path}, to mount it", syscalls.OPENAT,
            AT_FDCWD, os.fsencode(path), _O_PATH | _O_CLOEXEC,
        )  # fmt: skip


def _open_cgroups(
    program: Program, places: Sequence[tuple[str, int]], shared: bool
) -> dict[str, Source]:
    """A part, which is the same for all cgroups whose paths are as long."""
    opening = Opening(program, shared=shared)
    return {words: opening.open_at(f"the cgroup of {words}", place) for words, place in places}


class Mounts:
    """A container's mounts, in the order of the configuration, for a child that stands in its root.

    `attach` makes them, `finish` comes when all that is to be written below them has been.
    """

    def __init__(
        self,
        program: Program,
        wanted: Sequence[Mount],
        destinations: Sequence[Destination],
        sources: Sources,
        *,
        shared: bool = False,
    ) -> None:
        """`shared` is whether the mount namespace is the host's."""
        self._program = program
        self._wanted = [
            (mount, Options.of(mount.options), destination)
            for mount, destination in zip(wanted, destinations, strict=True)
        ]
        self._sources = sources
        self._shared = shared
        self._made = {"/"}
        self._read_only: list[tuple[str, int, bytes]] = []

    def attach(self) -> None:
        """Mount them all."""
        for number, (mount, options, place) in enumerate(self._wanted):
            destination = place.path
            if number in self._sources.bound:
                self._bind(self._sources.bound[number], options, destination)
            elif options.flags & mounts.REMOUNT:
                self.mount("", destination, "", options.flags, options.data)
            elif mount.type == "cgroup":
                self._mount_cgroups(options, destination)
            else:
                self._mount(mount, options, place)
            self._change(options, destination)

    def mounts(self, destination: str) -> bool:
        """Whether something is mounted there."""
        return any(each.path == destination for _, _, each in self._wanted)

    def binds(self, destination: str) -> bool:
        """Whether something of the host's is mounted there."""
        return any(
            each.path == destination and options.is_bind for _, options, each in self._wanted
        )

    def finish(self) -> None:
        """Make read-only what was kept writable for what is below it."""
        for destination, flags, data in self._read_only:
            self.mount("", destination, "", flags | mounts.REMOUNT, data)

    def mount(
        self, source: str, destination: str, kind: str, flags: int, data: bytes = b""
    ) -> None:
        """mount(2)"""
        self._program.call(
            f"mount {destination}", syscalls.MOUNT,
            os.fsencode(source) or None, os.fsencode(destination), kind.encode() or None,
            flags, data or None,
        )  # fmt: skip

    def keep_writable(self, destination: str, flags: int, data: bytes) -> int:
        """The flags to mount with now; a read-only mount becomes so in the end."""
        if flags & mounts.RDONLY:
            self._read_only.append((destination, flags, data))
        return flags & ~mounts.RDONLY

    def directory(self, path: str) -> None:
        """Make a directory and those that lead to it, but for those that are there."""
        make_directories(self._program, path, self._made)

    def file(self, path: str) -> None:
        """Make an empty file, unless something is there."""
        self.directory(os.path.dirname(path))
        there = Label()
        self._program.call(
            f"make the file {path}", syscalls.MKNODAT,
            AT_FDCWD, os.fsencode(path), stat.S_IFREG | 0o644, 0,
            foreseen=[(errno.EEXIST, there)],
        )  # fmt: skip
        self._program.place(there)

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link, unless something is there."""
        there = Label()
        self._program.call(
            f"make the link {path}", syscalls.SYMLINKAT,
            os.fsencode(target), AT_FDCWD, os.fsencode(path), foreseen=[(errno.EEXIST, there)],
        )  # fmt: skip
        self._program.place(there)

    def attach_at(self, destination: str, tree: Source) -> None:
        """Attach what was opened. (move_mount(2))"""
        self._program.call(
            f"mount {destination}", syscalls.MOVE_MOUNT,
            tree, b"", AT_FDCWD, os.fsencode(destination), mounts.MOVE_FROM_EMPTY_PATH,
        )  # fmt: skip
        self._forget_below(destination)

    def _bind(self, bound: Bound, options: Options, destination: str) -> None:
        source = bound.source
        if bound.is_directory:
            self.directory(destination)
        else:
            self.file(destination)
        if bound.held:
            # Cloned only now: the kernel lists mounts in the order in which they were made.
            recursive = mounts.AT_RECURSIVE if options.flags & mounts.REC else 0
            what = f"open what is to be mounted at {destination}"
            source = self._program.call(
                what, syscalls.OPEN_TREE, bound.source, b"",
                mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | mounts.AT_EMPTY_PATH
                | recursive,
            )  # fmt: skip
            self._program.call(what, syscalls.CLOSE, bound.source)
        if self._shared:
            source = _apart(self._program, source)
        if any(options.attributes):
            self._program.call(
                f"set the options of {destination}", syscalls.MOUNT_SETATTR,
                source, b"", mounts.AT_EMPTY_PATH, mounts.attributes(*options.attributes), 32,
            )  # fmt: skip
        self.attach_at(destination, source)

    def _mount(self, mount: Mount, options: Options, place: Destination) -> None:
        destination, data = place.path, options.data
        if place.mode is not None:
            data = b",".join(filter(None, (data, b"mode=%o" % place.mode)))
        self.directory(destination)
        if mount.type in _KERNEL_S:
            self._program.call(
                f"mount {mount.type} at {destination}, which must be no symbolic link",
                syscalls.OPENAT2, AT_FDCWD, os.fsencode(destination),
                mounts.open_how(_O_PATH | _O_CLOEXEC, mounts.RESOLVE_NO_SYMLINKS), 24,
            )  # fmt: skip
        flags = options.flags
        if mount.type == "tmpfs":
            flags = self.keep_writable(destination, flags, data)
        self.mount(mount.source or mount.type, destination, mount.type, flags, data)
        self._forget_below(destination)

    def _mount_cgroups(self, options: Options, destination: str) -> None:
        """The container's own cgroups: one mount, or one a hierarchy below a tmpfs."""
        self.directory(destination)
        if host.is_v2():
            self._mount_cgroup("", "cgroup2", options, destination)
            return
        flags = self.keep_writable(destination, options.flags, b"mode=755")
        self.mount("tmpfs", destination, "tmpfs", flags, b"mode=755")
        for controllers, root in host.hierarchies().items():
            below = f"{destination}/{os.path.basename(root)}"
            self.directory(below)
            self._mount_cgroup(controllers, "cgroup", options, below)
            for name in controllers.split(",") if "," in controllers else ():
                self.link(os.path.basename(root), f"{destination}/{name}")

    def _mount_cgroup(
        self, controllers: str, kind: str, options: Options, destination: str
    ) -> None:
        if controllers in self._sources.cgroups:
            self.attach_at(destination, self._sources.cgroups[controllers])
            self._set_attributes(destination, 0, options.attributes)
            return
        words = "none,name=systemd" if controllers == "systemd" else controllers
        self.mount("cgroup", destination, kind, options.flags, words.encode())

    def _change(self, options: Options, destination: str) -> None:
        if any(options.recursive):
            self._set_attributes(destination, mounts.AT_RECURSIVE, options.recursive)
        for propagation in options.propagations:
            self.mount("", destination, "", propagation)

    def _set_attributes(self, destination: str, flags: int, attributes: tuple[int, int]) -> None:
        self._program.call(
            f"set the options of {destination}", syscalls.MOUNT_SETATTR,
            AT_FDCWD, os.fsencode(destination), flags, mounts.attributes(*attributes), 32,
        )  # fmt: skip

    def _forget_below(self, destination: str) -> None:
        """What was made below is hidden by a new mount."""
        self._made = {path for path in self._made if not path.startswith(destination + "/")}


def make_directories(program: Program, path: str, there: set[str]) -> None:
    """Make a directory and those that lead to it, but for those that are known to be there."""
    if path in there:
        return
    make_directories(program, os.path.dirname(path), there)
    there.add(path)
    exists = Label()
    program.call(
        f"make the directory {path}", syscalls.MKDIRAT, AT_FDCWD, os.fsencode(path), 0o755,
        foreseen=[(errno.EEXIST, exists)],
    )  # fmt: skip
    program.place(exists)


def is_of_host(mount: Mount) -> bool:
    """Return True for a file system whose source or options may be paths of the host."""
    flags = Options.of(mount.options).flags
    return not flags & (mounts.BIND | mounts.REMOUNT) and mount.type not in _WITHOUT_PATHS


def source_path(mount: Mount, bundle: str) -> str:
    """Where a bind mount's source is on the host. (OCI config.md, "Mounts")"""
    return os.path.join(bundle, mount.source)


def inside(path: str) -> str:
    """A path of the configuration as an absolute one without dots. (OCI config.md, "Mounts")"""
    return os.path.normpath("/" + path.lstrip("/"))


def _apart(program: Program, source: Source) -> Source:
    """What is to be mounted, as a slave of the host's: what is mounted below stays here.

    In a mount namespace of its own it is so already.
    """
    what = "set mount propagation"
    again = program.call(what, syscalls.FCNTL, source, _F_DUPFD_CLOEXEC, 3)
    program.call(
        what, syscalls.MOUNT_SETATTR, source, b"", mounts.AT_EMPTY_PATH | mounts.AT_RECURSIVE,
        mounts.attributes(0, 0, mounts.SLAVE), 32,
    )  # fmt: skip
    return again


def _is_directory(path: str, destination: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise ContainerError(
            f"mounts: {path}, which is to be mounted at {destination}: {error.strerror}."
        ) from error
