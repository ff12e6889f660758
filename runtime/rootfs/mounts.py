"""The mounts of a container, as calls for a child that stands in its root file system.

The child has made that its root by chroot(2), so that no path in it, whatever an image or a volume
made of it, leads out. What comes from the host was opened before, as mounts that are not attached
anywhere. (CVE-2021-30465, CVE-2019-19921)
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.cgroups.hierarchies import this_host
from runtime.launcher import mount_calls
from runtime.launcher.program import Label
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.rootfs.mount_sources import HELD_AT_ONCE, apart, hold
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.launcher.program import Program, Result
    from runtime.rootfs.destinations import Destination
    from runtime.rootfs.mount_sources import Bound, Source, Sources
    from runtime.spec.config import Mount

_O_PATH, _O_CLOEXEC = 0o10000000, 0o2000000
# What the kernel shows of itself must be where its path says: masks and writes rely on it.
_KERNEL_S = frozenset({"proc", "sysfs"})


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
            (mount, MountOptions.of(mount.options), destination)
            for mount, destination in zip(wanted, destinations, strict=True)
        ]
        self._sources = sources
        self._shared = shared
        self._held: dict[int, Result] = {}
        self._made = {"/"}
        self._read_only: list[tuple[str, int, bytes]] = []

    def attach(self) -> None:
        """Mount them all."""
        for number, (mount, options, place) in enumerate(self._wanted):
            destination = place.path
            if number in self._sources.bound:
                bound = self._sources.bound[number]
                if bound.path:
                    bound = bound.replace(source=self._opened(number))
                self._bind(bound, options, destination)
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
        mount_calls.move_mount(
            self._program, f"mount {destination}", tree, AT_FDCWD, os.fsencode(destination)
        )
        self._forget_below(destination)

    def _bind(self, bound: Bound, options: MountOptions, destination: str) -> None:
        source = bound.source
        if bound.is_directory:
            self.directory(destination)
        else:
            self.file(destination)
        if bound.held:
            # Cloned only now: the kernel lists mounts in the order in which they were made.
            recursive = bool(options.flags & mounts.REC)
            what = f"open what is to be mounted at {destination}"
            source = mount_calls.open_tree(self._program, what, bound.source, recursive=recursive)
            self._program.call(what, syscalls.CLOSE, bound.source)
            source = self._placed(what, source)
        if self._shared:
            source = apart(self._program, source)
        if any(options.attributes):
            mount_calls.mount_setattr(
                self._program, f"set the options of {destination}",
                source, b"", mounts.mount_attr(*options.attributes),
            )  # fmt: skip
        self.attach_at(destination, source)

    def _opened(self, number: int) -> Result:
        """Open what a mount binds, and the next ones with it, since the child is on the host then.

        What was mounted in the root by then is seen there.
        """
        if number not in self._held:
            places = self._sources.places
            assert places
            bound = self._sources.bound.items()
            waiting = sorted((each, it.path) for each, it in bound if it.path and each >= number)
            self._stand_in("the host's root", places.host)
            for each, path in waiting[:HELD_AT_ONCE]:
                self._held[each] = hold(self._program, path)
            self._stand_in("the root file system", places.own)
        return self._held.pop(number)

    def _stand_in(self, what: str, directory: int) -> None:
        self._program.call(f"go to {what}", syscalls.FCHDIR, directory)
        self._program.call(f"stand in {what}", syscalls.CHROOT, b".")

    def _placed(self, what: str, tree: Result) -> Source:
        """The tree where the one before was, which is let go of so."""
        if not self._sources.places:
            return tree
        self._program.call(what, syscalls.DUP3, tree, self._sources.places.tree, _O_CLOEXEC)
        self._program.call(what, syscalls.CLOSE, tree)
        return self._sources.places.tree

    def _mount(self, mount: Mount, options: MountOptions, place: Destination) -> None:
        destination, data = place.path, options.data
        if place.mode is not None:
            data = b",".join(filter(None, (data, b"mode=%o" % place.mode)))
        self.directory(destination)
        if mount.type in _KERNEL_S:
            what = f"mount {mount.type} at {destination}, which must be no symbolic link"
            descriptor = mount_calls.openat2(
                self._program, what, os.fsencode(destination),
                _O_PATH | _O_CLOEXEC, mounts.RESOLVE_NO_SYMLINKS,
            )  # fmt: skip
            self._program.call(what, syscalls.CLOSE, descriptor)
        flags = options.flags
        if mount.type == "tmpfs":
            flags = self.keep_writable(destination, flags, data)
        self.mount(mount.source or mount.type, destination, mount.type, flags, data)
        self._forget_below(destination)

    def _mount_cgroups(self, options: MountOptions, destination: str) -> None:
        """The container's own cgroups: one mount, or one a hierarchy below a tmpfs."""
        self.directory(destination)
        if this_host().is_v2:
            self._mount_cgroup("", "cgroup2", options, destination)
            return
        flags = self.keep_writable(destination, options.flags, b"mode=755")
        self.mount("tmpfs", destination, "tmpfs", flags, b"mode=755")
        for controllers, root in this_host().hierarchies.items():
            below = f"{destination}/{os.path.basename(root)}"
            self.directory(below)
            self._mount_cgroup(controllers, "cgroup", options, below)
            for name in controllers.split(",") if "," in controllers else ():
                self.link(os.path.basename(root), f"{destination}/{name}")

    def _mount_cgroup(
        self, controllers: str, kind: str, options: MountOptions, destination: str
    ) -> None:
        if controllers in self._sources.cgroups:
            self.attach_at(destination, self._sources.cgroups[controllers])
            self._set_attributes(destination, options.attributes)
            return
        words = "none,name=systemd" if controllers == "systemd" else controllers
        self.mount("cgroup", destination, kind, options.flags, words.encode())

    def _change(self, options: MountOptions, destination: str) -> None:
        if any(options.recursive):
            self._set_attributes(destination, options.recursive, recursive=True)
        for propagation in options.propagations:
            self.mount("", destination, "", propagation)

    def _set_attributes(
        self, destination: str, attributes: tuple[int, int], *, recursive: bool = False
    ) -> None:
        mount_calls.mount_setattr(
            self._program, f"set the options of {destination}", AT_FDCWD, os.fsencode(destination),
            mounts.mount_attr(*attributes), recursive=recursive,
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
