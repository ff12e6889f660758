"""Paths that a container must not read, or must not write to, as calls for a child in its root.

A path stands for what it leads to, as every use of it does: a symbolic link is followed, and no
further than the root. (OCI config-linux.md, "Masked Paths", "Readonly Paths")
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.launcher import mount_calls
from runtime.launcher.program import Label
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.rootfs.mount_sources import Opening, inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.launcher.program import Program, Result
    from runtime.rootfs.mount_sources import Source
    from runtime.spec.config import Mount

_O_PATH, _O_CLOEXEC = 0o10000000, 0o2000000
_READ_ONLY = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
_READ_ONLY_MOUNT = mounts.mount_attr(mounts.ATTR_RDONLY)
# A path leads to nothing: no such name, a link that leads nowhere, a name below a file, a circle.
_NOTHING_THERE = errno.ENOENT, errno.ENOTDIR, errno.ELOOP
# What is known of a path before the container has mounted anything.
NOTHING, FILE, DIRECTORY, UNKNOWN = "nothing", "file", "directory", "unknown"
_OF_KERNEL = {"/proc": "proc", "/sys": "sysfs"}


def kinds(paths: Iterable[str], mounted: Sequence[Mount]) -> dict[str, str]:
    """What there is at each path, where that is known: /proc and /sys are alike everywhere.

    They are what they seem if the container mounts them there, and nothing else on the way.
    """
    below = [inside(mount.destination) for mount in mounted]
    covered = tuple(f"{each}/" for each in below if each.startswith(("/proc/", "/sys/")))
    of_kernel = tuple(
        f"{destination}/"
        for mount, destination in zip(mounted, below, strict=True)
        if mount.type and mount.type == _OF_KERNEL.get(destination)
    )
    found = {}
    for path in map(inside, paths):
        known = path.startswith(of_kernel) and not f"{path}/".startswith(covered)
        found[path] = _kind_here(path) if known else UNKNOWN
    return found


def open_nothing(program: Program, paths: Mapping[str, str], shared: bool) -> dict[str, Source]:
    """A part: the host's /dev/null for each path to be masked, while the host is still seen."""
    opening = Opening(program, shared=shared)
    wanted = (path for path, kind in paths.items() if kind in {FILE, UNKNOWN})
    return {path: opening.open("/dev/null") for path in wanted}


def hide(program: Program, nothing: Mapping[str, Source], paths: Mapping[str, str]) -> None:
    """Mask paths: files by the host's /dev/null, directories by an empty one.

    The host's, since what the container has by that name may lead elsewhere. (CVE-2025-31133)
    """
    for path, kind in paths.items():
        if kind == UNKNOWN:
            _hide_unknown(program, nothing[path], path)
        elif kind != NOTHING:
            _hide_known(program, nothing.get(path), path)


def protect(program: Program, paths: Mapping[str, str]) -> None:
    """Make what is at paths read-only, and all below it."""
    for path, kind in paths.items():
        if kind == NOTHING:
            continue
        absent = Label()
        what = f"make {path} read-only"
        place = _open_if_there(program, what, path, absent)
        tree = mount_calls.open_tree(program, what, place, recursive=True)
        mount_calls.mount_setattr(program, what, tree, b"", _READ_ONLY_MOUNT, recursive=True)
        mount_calls.move_mount(program, what, tree, place)
        program.place(absent)


def _hide_unknown(program: Program, nothing: Source, path: str) -> None:
    """Mask what may be a file, a directory, a link to either, or nothing at all."""
    absent, hidden, is_directory = Label(), Label(), Label()
    what = f"mask {path}"
    place = _open_if_there(program, what, path, absent)
    mount_calls.move_mount(
        program, what, nothing, place, then=hidden, foreseen=[(errno.EINVAL, is_directory)]
    )
    program.place(is_directory)
    program.call(what, *_empty_directory(path))
    program.place(hidden)
    program.call(what, syscalls.CLOSE, place)
    program.place(absent)


def _hide_known(program: Program, nothing: Source | None, path: str) -> None:
    """Mask a path of which it is known what it is; it is an error if it is something else."""
    absent = Label()
    what = f"mask {path}"
    if nothing is None:
        foreseen = [(errno.ENOENT, absent), (errno.ELOOP, absent)]
        program.call(what, *_empty_directory(path), foreseen=foreseen)
    else:
        mount_calls.move_mount(
            program, what, nothing, AT_FDCWD, os.fsencode(path), follow_link=_follows(path),
            foreseen=[(code, absent) for code in _NOTHING_THERE],
        )  # fmt: skip
    program.place(absent)


def _empty_directory(path: str) -> tuple[int, bytes, bytes, bytes, int, bytes]:
    """The call that mounts one."""
    options = b"size=0k,nr_inodes=1"
    return syscalls.MOUNT, b"tmpfs", os.fsencode(path), b"tmpfs", _READ_ONLY, options


def _open_if_there(program: Program, what: str, path: str, absent: Label) -> Result:
    """What a path leads to, held by a descriptor, so that it is the same for all that follows."""
    return program.call(
        what, syscalls.OPENAT, AT_FDCWD, os.fsencode(path), _O_PATH | _O_CLOEXEC,
        foreseen=[(code, absent) for code in _NOTHING_THERE],
    )  # fmt: skip


def _follows(path: str) -> bool:
    """Return False for a link of /proc, which leads each process elsewhere and is itself masked."""
    return not path.startswith("/proc/")


_kinds: dict[str, str] = {}


def _kind_here(path: str) -> str:
    """What is at a path of this process's /proc or /sys."""
    if path not in _kinds:
        try:
            mode = os.stat(path, follow_symlinks=_follows(path)).st_mode
            _kinds[path] = DIRECTORY if stat.S_ISDIR(mode) else FILE
        except OSError:
            _kinds[path] = NOTHING
    return _kinds[path]
