"""Mounts: mount(2), open_tree(2), mount_setattr(2), fsopen(2), openat2(2), with their constants.

The functions make the calls in this process; for a child they are written into its program by
runtime.launcher.mount_calls.
"""

from __future__ import annotations

from _struct import Struct

from runtime.linux import syscalls
from runtime.linux.libc import call, syscall

AT_FDCWD = -100
AT_EMPTY_PATH, AT_RECURSIVE = 0x1000, 0x8000

# mount(2)
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
SYNCHRONOUS, REMOUNT, MANDLOCK, DIRSYNC, NOSYMFOLLOW = 16, 32, 64, 128, 256
NOATIME, NODIRATIME, BIND, REC, SILENT = 1024, 2048, 4096, 16384, 32768
UNBINDABLE, PRIVATE, SLAVE, SHARED = (1 << bit for bit in (17, 18, 19, 20))
RELATIME, IVERSION, STRICTATIME, LAZYTIME = 1 << 21, 1 << 23, 1 << 24, 1 << 25

# umount2(2)
DETACH, UMOUNT_NOFOLLOW = 2, 8

# open_tree(2), move_mount(2)
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0o2000000
MOVE_FROM_EMPTY_PATH, MOVE_TO_SYMLINKS, MOVE_TO_EMPTY_PATH = 0x04, 0x10, 0x40

# mount_setattr(2); NOATIME and STRICTATIME are values of the field ATIME.
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
ATTR_ATIME, ATTR_NOATIME, ATTR_STRICTATIME = 0x70, 0x10, 0x20
ATTR_NODIRATIME, ATTR_IDMAP, ATTR_NOSYMFOLLOW = 0x80, 0x100000, 0x200000
_MOUNT_ATTR = Struct("<4Q")

# fsopen(2), fsconfig(2), fsmount(2)
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CREATE = 0, 1, 6

# openat2(2)
RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x04, 0x08, 0x10
_OPEN_HOW = Struct("<3Q")


def mount_attr(
    set_attributes: int = 0,
    clear_attributes: int = 0,
    propagation: int = 0,
    user_namespace: int = 0,
) -> bytes:
    """Return struct mount_attr. (mount_setattr(2))"""
    return _MOUNT_ATTR.pack(set_attributes, clear_attributes, propagation, user_namespace)


def open_how(flags: int, resolve: int) -> bytes:
    """Return struct open_how. (openat2(2))"""
    return _OPEN_HOW.pack(flags, 0, resolve)


def mount(
    source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None
) -> None:
    """Mount a file system, or change a mount. Raise OSError. (mount(2))"""
    call("mount", source, target, kind, flags, data)


def unmount(target: bytes, flags: int = 0) -> None:
    """Unmount what is mounted at a path. Raise OSError. (umount2(2))"""
    call("umount2", target, flags)


def open_tree(path: bytes, *, recursive: bool = False) -> int:
    """Return a detached copy of the mount at `path`. Raise OSError.

    `recursive` copies the mounts below it as well.
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return syscall(syscalls.OPEN_TREE, AT_FDCWD, path, flags)


def move_mount(tree: int, path: bytes) -> None:
    """Attach a detached mount at `path`. Raise OSError."""
    syscall(syscalls.MOVE_MOUNT, tree, b"", AT_FDCWD, path, MOVE_FROM_EMPTY_PATH)


def mount_setattr(tree: int, attributes: bytes, *, recursive: bool = False) -> None:
    """Change a mount that a descriptor is of, by a struct mount_attr. Raise OSError.

    `recursive` changes the mounts below it as well.
    """
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall(syscalls.MOUNT_SETATTR, tree, b"", flags, attributes, len(attributes))


def open_file_system(kind: bytes) -> int:
    """Return a context in which a file system of this type is configured. Raise OSError."""
    return syscall(syscalls.FSOPEN, kind, _FSOPEN_CLOEXEC)


def configure(context: int, key: bytes, value: bytes | None) -> None:
    """Set an option of the file system; None for an option without a value. Raise OSError."""
    command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
    syscall(syscalls.FSCONFIG, context, command, key, value, 0)


def mount_file_system(context: int) -> int:
    """Create the file system and return a detached mount of it. Raise OSError."""
    syscall(syscalls.FSCONFIG, context, _FSCONFIG_CREATE, None, None, 0)
    return syscall(syscalls.FSMOUNT, context, _FSMOUNT_CLOEXEC, 0)


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """Open a file relative to a directory, with limits on how the path may lead. Raise OSError."""
    how = open_how(flags, resolve)
    return syscall(syscalls.OPENAT2, directory, path, how, len(how))
