"""What a container mounts from the host, taken while its child still sees the host.

Binds are held open as files and cloned when it is their turn; all else is opened as mounts that are
not attached anywhere. Of binds only some are held at once, since descriptors are few: for the next
ones the child comes back to the host's root. (getrlimit(2), RLIMIT_NOFILE)
"""

from __future__ import annotations

import os
import stat

from runtime.errors import ContainerError
from runtime.launcher import mount_calls
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.spec.json_structs import Struct
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.launcher.program import Program, Result
    from runtime.spec.config import Mount

    Source = int | Result

HELD_AT_ONCE = 16
_O_PATH, _O_CLOEXEC = 0o10000000, 0o2000000
_F_DUPFD_CLOEXEC = 1030
# File systems that have neither a path of the host for their source nor one in their options; all
# others are mounted while the host is seen.
_WITHOUT_PATHS = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "proc", "pstore", "ramfs", "securityfs", "sysfs",
    "tmpfs", "tracefs",
})  # fmt: skip


class Bound(Struct):
    """What is to be bound; what is `held` is no mount yet, but a file of the host.

    `path` is where that is if it is not even opened yet.
    """

    source: Source = -1
    is_directory: bool = True
    held: bool = False
    path: str = ""


class Places(Struct):
    """Numbers of descriptors for the child to use: the two roots, and the mount to be attached.

    They are reserved where more is bound than is to be held at once.
    """

    host: int
    own: int
    tree: int


class Sources(Struct):
    """What comes from the host: binds by the number of the mount, the rest by what it is for."""

    bound: dict[int, Bound] = {}  # noqa: RUF012 - a struct is frozen
    cgroups: dict[str, Source] = {}  # noqa: RUF012
    devices: dict[str, Source] = {}  # noqa: RUF012
    nothing: dict[str, Source] = {}  # noqa: RUF012 - what paths are masked with
    places: Places | None = None


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
        found: dict[int, Bound] = {}
        held = 0
        for number, mount in enumerate(wanted):
            is_bind = MountOptions.of(mount.options).is_bind
            if number in opened and not is_bind:
                found[number] = Bound(source=opened[number])
            elif is_bind:
                path = source_path(mount, bundle)
                is_directory = _is_directory(path, inside(mount.destination))
                if number in opened:
                    found[number] = Bound(source=opened[number], is_directory=is_directory)
                    continue
                held += 1
                found[number] = (
                    Bound(source=hold(self._program, path), is_directory=is_directory, held=True)
                    if held <= HELD_AT_ONCE
                    else Bound(path=path, is_directory=is_directory, held=True)
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
            options = MountOptions.of(mount.options)
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
        source = mount_calls.open_tree(self._program, f"open {what}, to mount it", AT_FDCWD, path)
        return apart(self._program, source) if self._shared else source


def needs_places(wanted: Sequence[Mount]) -> bool:
    """Return True if not all that is bound is to be held open at once."""
    return sum(MountOptions.of(mount.options).is_bind for mount in wanted) > HELD_AT_ONCE


def hold(program: Program, path: str) -> Result:
    """Have what is at a path of the host held open, to be mounted later."""
    return program.call(
        f"open {path}, to mount it", syscalls.OPENAT,
        AT_FDCWD, os.fsencode(path), _O_PATH | _O_CLOEXEC,
    )  # fmt: skip


def _open_cgroups(
    program: Program, places: Sequence[tuple[str, int]], shared: bool
) -> dict[str, Source]:
    """A part, which is the same for all cgroups whose paths are as long."""
    opening = Opening(program, shared=shared)
    return {words: opening.open_at(f"the cgroup of {words}", place) for words, place in places}


def is_of_host(mount: Mount) -> bool:
    """Return True for a file system whose source or options may be paths of the host."""
    flags = MountOptions.of(mount.options).flags
    return not flags & (mounts.BIND | mounts.REMOUNT) and mount.type not in _WITHOUT_PATHS


def source_path(mount: Mount, bundle: str) -> str:
    """Where a bind mount's source is on the host. (OCI config.md, "Mounts")"""
    return os.path.join(bundle, mount.source)


def inside(path: str) -> str:
    """A path of the configuration as an absolute one without dots. (OCI config.md, "Mounts")"""
    return os.path.normpath("/" + path.lstrip("/"))


def apart(program: Program, source: Source) -> Source:
    """What is to be mounted, as a slave of the host's: what is mounted below stays here.

    In a mount namespace of its own it is so already.
    """
    what = "set mount propagation"
    again = (
        source
        if isinstance(source, int)
        else program.call(what, syscalls.FCNTL, source, _F_DUPFD_CLOEXEC, 3)
    )
    slave = mounts.mount_attr(propagation=mounts.SLAVE)
    mount_calls.mount_setattr(program, what, source, b"", slave, recursive=True)
    return again


def _is_directory(path: str, destination: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise ContainerError(
            f"mounts: {path}, which is to be mounted at {destination}: {error.strerror}."
        ) from error
