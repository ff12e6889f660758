"""The root file system of a container in the host's mount namespace.

All mounts of the container lie below one mount, of the root on itself, and are unmounted with it
when the container is deleted. That mount is recorded before it is attached, so that it can be found
if the runtime is killed.
"""

from __future__ import annotations

import os

from runtime.container.state import MOUNTED
from runtime.errors import ContainerError, InvalidConfig
from runtime.linux import mount as mounts
from runtime.spec.json_structs import Int64, Struct, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.state import StateDirectory


class MountRecord(Struct):
    """The ID of a mount in mountinfo, and its path."""

    identifier: Int64
    path: str


def mount(path: str, directory: StateDirectory) -> None:
    """Mount a root on itself, without propagation from or to the host. Raise ContainerError.

    (open_tree(2), move_mount(2), mount_namespaces(7))
    """
    if path == "/":
        raise InvalidConfig(
            "root.path: without a mount namespace, the container's mounts on / would cover the"
            " host's files: add a mount namespace, or choose another root."
        )
    try:
        tree = mounts.open_tree(os.fsencode(path), recursive=True)
        try:
            _make_private(tree)
            directory.write(MOUNTED, encode(MountRecord(identifier=_number(tree), path=path)))
            mounts.move_mount(tree, os.fsencode(path))
            _make_private(tree)  # again, because a mount attached to a shared mount becomes shared
        finally:
            os.close(tree)
    except OSError as error:
        raise ContainerError(f"Can't mount the root {path}: {error.strerror}.") from error


def unmount(text: bytes) -> None:
    """Unmount a recorded root, with all mounts below it and on it. Raise ContainerError."""
    record = decode(MountRecord, text, MOUNTED)
    path = os.fsencode(record.path)
    try:
        while _is_mounted(record.identifier, path):
            # A mount that is shared with the host would be unmounted there as well.
            mounts.mount(None, path, None, mounts.REC | mounts.PRIVATE)
            mounts.unmount(path, mounts.DETACH | mounts.UMOUNT_NOFOLLOW)
    except OSError as error:
        raise ContainerError(f"Can't unmount the root {record.path}: {error.strerror}.") from error


def _make_private(tree: int) -> None:
    mounts.mount_setattr(tree, mounts.mount_attr(propagation=mounts.PRIVATE), recursive=True)


def _number(descriptor: int) -> int:
    """Return the ID of the mount that a descriptor is of. (proc_pid_fdinfo(5))"""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))


def _is_mounted(identifier: int, path: bytes) -> bool:
    """Return True if that mount is at that path; an ID alone may be reused for another mount."""
    for character in b"\\ \t\n":
        path = path.replace(bytes([character]), b"\\%03o" % character)
    with open("/proc/self/mountinfo", "rb") as file:
        return any(line.split()[:5:4] == [b"%d" % identifier, path] for line in file)
