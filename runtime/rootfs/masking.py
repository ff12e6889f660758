"""Masked and read-only paths of a container, as calls for a child in its root.

A symbolic link is followed, as in every other use of the path, and never out of the root. (OCI
config-linux.md, "Masked Paths", "Readonly Paths")
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
from runtime.rootfs.mount_sources import SourceOpener, normalized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.launcher.program import Program, Result
    from runtime.rootfs.mount_sources import Source
    from runtime.spec.config import Mount

_READ_ONLY = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
_READ_ONLY_MOUNT = mounts.mount_attr(mounts.ATTR_RDONLY)
# No such name, or a dangling link; a name below a file; a circle of links.
_ABSENT = errno.ENOENT, errno.ENOTDIR, errno.ELOOP
# Kinds of a path, as far as they are known before the container has mounted anything.
NOTHING, FILE, DIRECTORY, UNKNOWN = "nothing", "file", "directory", "unknown"
_OF_KERNEL = {"/proc": "proc", "/sys": "sysfs"}


def kinds(paths: Iterable[str], mounted: Sequence[Mount]) -> dict[str, str]:
    """Return the kind of each path, which is known in /proc and /sys: they are alike everywhere.

    That holds if the container mounts them itself, and nothing else on the way to the path.
    """
    destinations = [normalized(mount.destination) for mount in mounted]
    covered = tuple(f"{each}/" for each in destinations if each.startswith(("/proc/", "/sys/")))
    of_kernel = tuple(
        f"{destination}/"
        for mount, destination in zip(mounted, destinations, strict=True)
        if mount.type and mount.type == _OF_KERNEL.get(destination)
    )
    kinds_of_paths = {}
    for path in map(normalized, paths):
        known = path.startswith(of_kernel) and not f"{path}/".startswith(covered)
        kinds_of_paths[path] = _kind_here(path) if known else UNKNOWN
    return kinds_of_paths


def open_null(program: Program, paths: Mapping[str, str], shares_mounts: bool) -> dict[str, Source]:
    """Open the host's /dev/null for each path to mask, while the child sees the host. A part."""
    opener = SourceOpener(program, shares_mounts=shares_mounts)
    masked = (path for path, kind in paths.items() if kind in {FILE, UNKNOWN})
    return {path: opener.open("/dev/null") for path in masked}


def hide(program: Program, null: Mapping[str, Source], paths: Mapping[str, str]) -> None:
    """Mask files by the host's /dev/null, and directories by an empty one.

    The container's own /dev/null may lead elsewhere. (CVE-2025-31133)
    """
    for path, kind in paths.items():
        if kind == UNKNOWN:
            _hide_unknown(program, null[path], path)
        elif kind != NOTHING:
            _hide_known(program, null.get(path), path)


def protect(program: Program, paths: Mapping[str, str]) -> None:
    """Make paths read-only, with all mounts below them."""
    for path, kind in paths.items():
        if kind == NOTHING:
            continue
        absent = Label()
        step = f"make {path} read-only"
        place = _open_if_there(program, step, path, absent)
        tree = mount_calls.open_tree(program, step, place, recursive=True)
        mount_calls.mount_setattr(program, step, tree, b"", _READ_ONLY_MOUNT, recursive=True)
        mount_calls.move_mount(program, step, tree, place)
        program.place(absent)


def _hide_unknown(program: Program, null: Source, path: str) -> None:
    """Mask a path that may be a file, a directory, a link to either, or absent."""
    absent, hidden, is_directory = Label(), Label(), Label()
    step = f"mask {path}"
    place = _open_if_there(program, step, path, absent)
    mount_calls.move_mount(
        program, step, null, place, then=hidden, foreseen=[(errno.EINVAL, is_directory)]
    )
    program.place(is_directory)
    program.call(step, *_empty_directory(path))
    program.place(hidden)
    program.call(step, syscalls.CLOSE, place)
    program.place(absent)


def _hide_known(program: Program, null: Source | None, path: str) -> None:
    """Mask a path of a known kind, by `null` if it is a file. Another kind is an error."""
    absent = Label()
    step = f"mask {path}"
    if null is None:
        foreseen = [(errno.ENOENT, absent), (errno.ELOOP, absent)]
        program.call(step, *_empty_directory(path), foreseen=foreseen)
    else:
        mount_calls.move_mount(
            program, step, null, AT_FDCWD, os.fsencode(path), follow_link=_follows(path),
            foreseen=[(code, absent) for code in _ABSENT],
        )  # fmt: skip
    program.place(absent)


def _empty_directory(path: str) -> tuple[int, bytes, bytes, bytes, int, bytes]:
    """Return the call that mounts an empty directory."""
    options = b"size=0k,nr_inodes=1"
    return syscalls.MOUNT, b"tmpfs", os.fsencode(path), b"tmpfs", _READ_ONLY, options


def _open_if_there(program: Program, step: str, path: str, absent: Label) -> Result:
    """Open a path, so that all later calls are about the same file."""
    return program.call(
        step, syscalls.OPENAT, AT_FDCWD, os.fsencode(path), os.O_PATH | os.O_CLOEXEC,
        foreseen=[(code, absent) for code in _ABSENT],
    )  # fmt: skip


def _follows(path: str) -> bool:
    """Return False for a link of /proc, which leads each process elsewhere and is itself masked."""
    return not path.startswith("/proc/")


_kinds: dict[str, str] = {}


def _kind_here(path: str) -> str:
    """Return the kind of a path in this process's /proc or /sys."""
    if path not in _kinds:
        try:
            mode = os.stat(path, follow_symlinks=_follows(path)).st_mode
            _kinds[path] = DIRECTORY if stat.S_ISDIR(mode) else FILE
        except OSError:
            _kinds[path] = NOTHING
    return _kinds[path]
