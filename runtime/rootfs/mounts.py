"""The mounts of a container, as calls for a child in the container's root file system.

The child has changed its root by chroot(2), so that no path leads out of it, whatever an image or a
volume contains. Sources from the host were opened before. (CVE-2021-30465, CVE-2019-19921)
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.cgroups.hierarchies import this_host
from runtime.launcher import mount_calls
from runtime.launcher.program import Label
from runtime.linux import mount as mount_flags
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.rootfs.mount_sources import HELD_AT_ONCE, hold, without_propagation
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.launcher.program import Program, Result
    from runtime.rootfs.destinations import Destination
    from runtime.rootfs.mount_sources import BindSource, Source, Sources
    from runtime.spec.config import Mount

# These must be mounted at their very path, because masked paths and later writes rely on it.
_OF_KERNEL = frozenset({"proc", "sysfs"})


class Mounts:
    """The mounts of a container, in the order of the configuration.

    `attach` makes them; `finish` follows when all files below them are written.
    """

    def __init__(
        self,
        program: Program,
        mounts: Sequence[Mount],
        destinations: Sequence[Destination],
        sources: Sources,
        *,
        shares_mounts: bool = False,
    ) -> None:
        """Set up the mounts; `shares_mounts` is true in the host's mount namespace."""
        self._program = program
        self._mounts = [
            (mount, MountOptions.of(mount.options), destination)
            for mount, destination in zip(mounts, destinations, strict=True)
        ]
        self._sources = sources
        self._shares_mounts = shares_mounts
        self._held: dict[int, Result] = {}
        self._existing = {"/"}  # directories that were made, and are visible
        self._read_only: list[tuple[str, int, bytes]] = []

    def attach(self) -> None:
        """Make all mounts."""
        for number, (mount, options, target) in enumerate(self._mounts):
            destination = target.path
            if number in self._sources.bound:
                bound = self._sources.bound[number]
                if bound.path:
                    bound = bound.replace(source=self._opened(number))
                self._bind(bound, options, destination)
            elif options.flags & mount_flags.REMOUNT:
                self.mount("", destination, "", options.flags, options.data)
            elif mount.type == "cgroup":
                self._mount_cgroups(options, destination)
            else:
                self._mount(mount, options, target)
            self._change(options, destination)

    def mounts(self, destination: str) -> bool:
        """Return True if there is a mount at a path."""
        return any(target.path == destination for _, _, target in self._mounts)

    def binds(self, destination: str) -> bool:
        """Return True if there is a bind mount at a path."""
        return any(
            target.path == destination and options.is_bind for _, options, target in self._mounts
        )

    def finish(self) -> None:
        """Make mounts read-only that were kept writable for the files below them."""
        for destination, flags, data in self._read_only:
            self.mount("", destination, "", flags | mount_flags.REMOUNT, data)

    def mount(
        self, source: str, destination: str, kind: str, flags: int, data: bytes = b""
    ) -> None:
        """Mount a file system, or change a mount. (mount(2))"""
        self._program.call(
            f"mount {destination}", syscalls.MOUNT,
            os.fsencode(source) or None, os.fsencode(destination), kind.encode() or None,
            flags, data or None,
        )  # fmt: skip

    def keep_writable(self, destination: str, flags: int, data: bytes) -> int:
        """Return the flags for the first mount(2); `finish` makes a read-only mount read-only."""
        if flags & mount_flags.RDONLY:
            self._read_only.append((destination, flags, data))
        return flags & ~mount_flags.RDONLY

    def directory(self, path: str) -> None:
        """Make a directory and its parents, unless they exist."""
        make_directories(self._program, path, self._existing)

    def file(self, path: str) -> None:
        """Make an empty file, unless the path exists."""
        self.directory(os.path.dirname(path))
        exists = Label()
        self._program.call(
            f"make the file {path}", syscalls.MKNODAT,
            AT_FDCWD, os.fsencode(path), stat.S_IFREG | 0o644, 0,
            foreseen=[(errno.EEXIST, exists)],
        )  # fmt: skip
        self._program.place(exists)

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link, unless the path exists."""
        exists = Label()
        self._program.call(
            f"make the link {path}", syscalls.SYMLINKAT,
            os.fsencode(target), AT_FDCWD, os.fsencode(path), foreseen=[(errno.EEXIST, exists)],
        )  # fmt: skip
        self._program.place(exists)

    def attach_at(self, destination: str, tree: Source) -> None:
        """Attach a detached mount. (move_mount(2))"""
        mount_calls.move_mount(
            self._program, f"mount {destination}", tree, AT_FDCWD, os.fsencode(destination)
        )
        self._forget_below(destination)

    def _bind(self, bound: BindSource, options: MountOptions, destination: str) -> None:
        source = bound.source
        if bound.is_directory:
            self.directory(destination)
        else:
            self.file(destination)
        if bound.is_file:
            # Copied only now: the kernel lists mounts in the order in which they were made.
            recursive = bool(options.flags & mount_flags.REC)
            step = f"open the source of {destination}"
            tree = mount_calls.open_tree(self._program, step, bound.source, recursive=recursive)
            self._program.call(step, syscalls.CLOSE, bound.source)
            source = self._at_reserved(step, tree)
        if self._shares_mounts:
            source = without_propagation(self._program, source)
        if any(options.attributes):
            mount_calls.mount_setattr(
                self._program, f"set the options of {destination}",
                source, b"", mount_flags.mount_attr(*options.attributes),
            )  # fmt: skip
        self.attach_at(destination, source)

    def _opened(self, number: int) -> Result:
        """Open the source of a bind mount, and the next ones, while the child is on the host.

        The host sees the mounts that were made in the root by then.
        """
        if number not in self._held:
            reserved = self._sources.reserved
            assert reserved
            bound = self._sources.bound.items()
            waiting = sorted(
                (other, source.path) for other, source in bound if source.path and other >= number
            )
            self._change_root("the host's", reserved.host)
            for other, path in waiting[:HELD_AT_ONCE]:
                self._held[other] = hold(self._program, path)
            self._change_root("the container's", reserved.own)
        return self._held.pop(number)

    def _change_root(self, owner: str, directory: int) -> None:
        self._program.call(f"enter {owner} root", syscalls.FCHDIR, directory)
        self._program.call(f"change the root to {owner}", syscalls.CHROOT, b".")

    def _at_reserved(self, step: str, tree: Result) -> Source:
        """Move a mount to its reserved descriptor, if there is one, and close the one before."""
        if not self._sources.reserved:
            return tree
        self._program.call(step, syscalls.DUP3, tree, self._sources.reserved.tree, os.O_CLOEXEC)
        self._program.call(step, syscalls.CLOSE, tree)
        return self._sources.reserved.tree

    def _mount(self, mount: Mount, options: MountOptions, target: Destination) -> None:
        destination, data = target.path, options.data
        if target.mode is not None:
            data = b",".join(filter(None, (data, b"mode=%o" % target.mode)))
        self.directory(destination)
        if mount.type in _OF_KERNEL:
            step = f"mount {mount.type} at {destination}, which must be no symbolic link"
            descriptor = mount_calls.openat2(
                self._program, step, os.fsencode(destination),
                os.O_PATH | os.O_CLOEXEC, mount_flags.RESOLVE_NO_SYMLINKS,
            )  # fmt: skip
            self._program.call(step, syscalls.CLOSE, descriptor)
        flags = options.flags
        if mount.type == "tmpfs":
            flags = self.keep_writable(destination, flags, data)
        self.mount(mount.source or mount.type, destination, mount.type, flags, data)
        self._forget_below(destination)

    def _mount_cgroups(self, options: MountOptions, destination: str) -> None:
        """Mount the container's cgroups: one mount, or a mount a hierarchy below a tmpfs."""
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
        data = "none,name=systemd" if controllers == "systemd" else controllers
        self.mount("cgroup", destination, kind, options.flags, data.encode())

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
            mount_flags.mount_attr(*attributes), recursive=recursive,
        )  # fmt: skip

    def _forget_below(self, destination: str) -> None:
        """Forget the directories below a new mount, which hides them."""
        self._existing = {path for path in self._existing if not path.startswith(destination + "/")}


def make_directories(program: Program, path: str, existing: set[str]) -> None:
    """Make a directory and its parents, but for those that are known to exist."""
    if path in existing:
        return
    make_directories(program, os.path.dirname(path), existing)
    existing.add(path)
    exists = Label()
    program.call(
        f"make the directory {path}", syscalls.MKDIRAT, AT_FDCWD, os.fsencode(path), 0o755,
        foreseen=[(errno.EEXIST, exists)],
    )  # fmt: skip
    program.place(exists)
