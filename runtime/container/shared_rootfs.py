"""The root file system of a container that has no mount namespace: what it mounts, the host sees.

All of that lies below one mount, of the root on itself, and goes with it when the container is
deleted. Which mount that is is written down before it is attached: a runtime that is killed leaves
nothing that is not known.
"""

from __future__ import annotations

import os

from runtime.container.state import MOUNTED
from runtime.errors import ContainerError
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.libc import syscall
from runtime.spec.json_structs import Int64, Struct, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.state import StateDirectory


class Record(Struct):
    """A mount by its number in mountinfo, and where it is."""

    identifier: Int64
    path: str


def mount(path: str, directory: StateDirectory) -> None:
    """Mount a root on itself, apart from what the host mounts. Raises ContainerError.

    (open_tree(2), move_mount(2), mount_namespaces(7))
    """
    if path == "/":
        raise ContainerError(
            "root.path: without a mount namespace / would be mounted on for the whole host."
        )
    try:
        tree = mounts.open_tree(os.fsencode(path), recursive=True)
        try:
            _make_private(tree)
            directory.write(MOUNTED, encode(Record(identifier=_number(tree), path=path)))
            mounts.move_mount(tree, os.fsencode(path))
            _make_private(tree)  # again: what is attached where mounts are shared becomes so
        finally:
            os.close(tree)
    except OSError as error:
        raise ContainerError(f"Can't mount the root {path}: {error.strerror}.") from error


def unmount(text: bytes) -> None:
    """Unmount what was written down, with all that is below or on top. Raises ContainerError."""
    record = decode(Record, text, MOUNTED)
    path = os.fsencode(record.path)
    try:
        while _is_mounted(record.identifier, path):
            # What is shared with the host would be unmounted there as well.
            syscall(syscalls.MOUNT, None, path, None, mounts.REC | mounts.PRIVATE, None)
            syscall(syscalls.UMOUNT2, path, mounts.DETACH | mounts.UMOUNT_NOFOLLOW)
    except OSError as error:
        raise ContainerError(f"Can't unmount the root {record.path}: {error.strerror}.") from error


def _make_private(tree: int) -> None:
    mounts.mount_setattr(tree, mounts.mount_attr(propagation=mounts.PRIVATE), recursive=True)


def _number(descriptor: int) -> int:
    """Which mount a descriptor is of. (proc_pid_fdinfo(5))"""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))


def _is_mounted(identifier: int, path: bytes) -> bool:
    """Whether that mount is there. A number alone may be another's by now."""
    for sign in b"\\ \t\n":
        path = path.replace(bytes([sign]), b"\\%03o" % sign)
    with open("/proc/self/mountinfo", "rb") as file:
        return any(line.split()[:5:4] == [b"%d" % identifier, path] for line in file)
