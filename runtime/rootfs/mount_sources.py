"""Sources of mounts that come from the host, opened as long as the child sees the host.

The source of a bind mount is held open as a file, and copied as a mount when its turn comes. All
other sources are opened as detached mounts. Descriptors are limited, so no more than HELD_AT_ONCE
bind sources are open at a time; for the next ones the child returns to the host's root.
(getrlimit(2), RLIMIT_NOFILE)
"""

from __future__ import annotations

import os
import stat
from fcntl import F_DUPFD_CLOEXEC

from runtime.errors import InvalidConfig
from runtime.launcher import mount_calls
from runtime.linux import mount as mount_flags
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
# File systems that take no path of the host, neither as a source nor in their options. All others
# are mounted as long as the child sees the host.
_WITHOUT_PATHS = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "proc", "pstore", "ramfs", "securityfs", "sysfs",
    "tmpfs", "tracefs",
})  # fmt: skip


class BindSource(Struct):
    """The source of a mount: a detached mount, or a file of the host."""

    source: Source = -1
    is_directory: bool = True
    is_file: bool = False  # of the host, from which the mount is still to be copied
    path: str = ""  # of a file that is not opened yet


class ReservedDescriptors(Struct):
    """Numbers of descriptors for the child to use: the two roots, and the mount to attach.

    They are reserved if there are more bind sources than are held at once.
    """

    host: int
    own: int
    tree: int


class Sources(Struct):
    """All sources of a container's mounts."""

    bound: dict[int, BindSource] = {}  # noqa: RUF012 - a struct is frozen; by the mount's number
    cgroups: dict[str, Source] = {}  # noqa: RUF012 - by their controllers
    devices: dict[str, Source] = {}  # noqa: RUF012 - by their paths
    null: dict[str, Source] = {}  # noqa: RUF012 - /dev/null, by the paths to mask
    reserved: ReservedDescriptors | None = None


class SourceOpener:
    """The sources of one child, which opens them as long as it sees the host.

    `shares_mounts` is true if the mount namespace is the host's.
    """

    def __init__(self, program: Program, *, shares_mounts: bool = False) -> None:
        self._program = program
        self._shares_mounts = shares_mounts

    def binds(
        self, mounts: Sequence[Mount], bundle: str, opened: Mapping[int, int]
    ) -> dict[int, BindSource]:
        """Return the sources of bind mounts, and the mounts that the parent has opened.

        Both, like `opened`, are by the number of the mount.
        """
        sources: dict[int, BindSource] = {}
        files = 0
        for number, mount in enumerate(mounts):
            is_bind = MountOptions.of(mount.options).is_bind
            if number in opened and not is_bind:
                sources[number] = BindSource(source=opened[number])
            elif is_bind:
                path = source_path(mount, bundle)
                is_directory = _is_directory(path, normalized(mount.destination))
                if number in opened:
                    sources[number] = BindSource(source=opened[number], is_directory=is_directory)
                    continue
                files += 1
                sources[number] = (
                    BindSource(
                        source=hold(self._program, path), is_directory=is_directory, is_file=True
                    )
                    if files <= HELD_AT_ONCE
                    else BindSource(path=path, is_directory=is_directory, is_file=True)
                )
        return sources

    def file_systems(
        self, mounts: Sequence[Mount], bundle: str, root: str, opened: Mapping[int, int]
    ) -> dict[int, BindSource]:
        """Mount file systems that take paths of the host, such as an overlay's directories.

        Each is mounted at `root` for a moment, because fsconfig(2) takes no more than 256 bytes of
        an option. Relative paths are relative to the bundle.
        """
        sources: dict[int, BindSource] = {}
        for number, mount in enumerate(mounts):
            if number in opened or not is_of_host(mount):
                continue
            options = MountOptions.of(mount.options)
            step = f"mount {normalized(mount.destination)}"
            if not sources:
                self._program.call(step, syscalls.CHDIR, os.fsencode(bundle))
            self._program.call(
                step, syscalls.MOUNT, os.fsencode(mount.source) or None, os.fsencode(root),
                mount.type.encode(), options.flags, options.data or None,
            )  # fmt: skip
            sources[number] = BindSource(source=self.open(root))
            self._program.call(step, syscalls.UMOUNT2, os.fsencode(root), mount_flags.DETACH)
        return sources

    def cgroups(self, mounts: Sequence[Mount], paths: Mapping[str, str]) -> dict[str, Source]:
        """Open the container's cgroups, if it mounts them; `paths` are their paths on the host."""
        if not any(mount.type == "cgroup" for mount in mounts):
            return {}
        texts = [(name, self._program.text(os.fsencode(path))) for name, path in paths.items()]
        return self._program.part(_open_cgroups, texts, self._shares_mounts)

    def open(self, path: str) -> Source:
        """Open a detached copy of the mount at a path of the host. (open_tree(2))"""
        return self.open_at(path, os.fsencode(path))

    def open_at(self, title: str, path: bytes | int) -> Source:
        """Open a detached mount by a path that may be a text of the program."""
        source = mount_calls.open_tree(self._program, f"open {title}, to mount it", AT_FDCWD, path)
        return without_propagation(self._program, source) if self._shares_mounts else source


def needs_reserved(mounts: Sequence[Mount]) -> bool:
    """Return True if there are more bind sources than are held open at once."""
    return sum(MountOptions.of(mount.options).is_bind for mount in mounts) > HELD_AT_ONCE


def hold(program: Program, path: str) -> Result:
    """Open a file of the host, to mount it later."""
    return program.call(
        f"open {path}, to mount it", syscalls.OPENAT,
        AT_FDCWD, os.fsencode(path), os.O_PATH | os.O_CLOEXEC,
    )  # fmt: skip


def _open_cgroups(
    program: Program, texts: Sequence[tuple[str, int]], shares_mounts: bool
) -> dict[str, Source]:
    """Open cgroups, by the addresses of their paths. A part: it is the same for other paths."""
    opener = SourceOpener(program, shares_mounts=shares_mounts)
    return {name: opener.open_at(f"the cgroup of {name}", address) for name, address in texts}


def is_of_host(mount: Mount) -> bool:
    """Return True for a file system whose source or options may be paths of the host."""
    flags = MountOptions.of(mount.options).flags
    return not flags & (mount_flags.BIND | mount_flags.REMOUNT) and mount.type not in _WITHOUT_PATHS


def source_path(mount: Mount, bundle: str) -> str:
    """Return the path of a bind mount's source on the host. (OCI config.md, "Mounts")"""
    return os.path.join(bundle, mount.source)


def normalized(path: str) -> str:
    """Return a path in the container as an absolute path without dots. (OCI config.md, "Mounts")"""
    return os.path.normpath("/" + path.lstrip("/"))


def without_propagation(program: Program, source: Source) -> Source:
    """Make a detached mount a slave of the host's: mounts below it do not reach the host.

    In a mount namespace of its own, a container's mounts are slaves already.
    """
    step = "set mount propagation"
    copy = (  # because a result can be used twice at most
        source
        if isinstance(source, int)
        else program.call(step, syscalls.FCNTL, source, F_DUPFD_CLOEXEC, 3)
    )
    slave = mount_flags.mount_attr(propagation=mount_flags.SLAVE)
    mount_calls.mount_setattr(program, step, source, b"", slave, recursive=True)
    return copy


def _is_directory(path: str, destination: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise InvalidConfig(
            f"mounts: the source of {destination}, {path}: {error.strerror}."
        ) from error
