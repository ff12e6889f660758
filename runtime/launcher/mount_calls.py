"""Calls of a child's program that open, attach and change mounts.

(open_tree(2), move_mount(2), mount_setattr(2), openat2(2))
"""

from __future__ import annotations

from runtime.launcher.program import Block
from runtime.linux import mount, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from runtime.launcher.program import Label, Program, Result

    Descriptor: TypeAlias = "int | Result"


def open_tree(
    program: Program,
    what: str,
    directory: Descriptor,
    path: bytes | int = b"",
    *,
    recursive: bool = False,
) -> Result:
    """Open a detached copy of the mount at a path, or at the descriptor if there is no path.

    `recursive` copies the mounts below it as well. The path may be a text of the program.
    """
    flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC | _flags(path, recursive)
    return program.call(what, syscalls.OPEN_TREE, directory, path, flags)


def move_mount(
    program: Program,
    what: str,
    tree: Descriptor,
    directory: Descriptor,
    path: bytes = b"",
    *,
    follow_link: bool = False,
    then: Label | None = None,
    foreseen: Iterable[tuple[int, Label]] = (),
) -> Result:
    """Attach a detached mount at a path, or at the descriptor if there is no path.

    `follow_link` follows a symbolic link that the path ends in.
    """
    flags = mount.MOVE_FROM_EMPTY_PATH
    if follow_link:
        flags |= mount.MOVE_TO_SYMLINKS
    if not path:
        flags |= mount.MOVE_TO_EMPTY_PATH
    return program.call(
        what, syscalls.MOVE_MOUNT, tree, b"", directory, path, flags, then=then, foreseen=foreseen
    )


def move_attached(program: Program, what: str, source: bytes, target: bytes) -> Result:
    """Move a mount from where it is attached to another path."""
    return program.call(
        what, syscalls.MOVE_MOUNT, mount.AT_FDCWD, source, mount.AT_FDCWD, target, 0
    )


def mount_setattr(
    program: Program,
    what: str,
    directory: Descriptor,
    path: bytes,
    attributes: bytes,
    *,
    recursive: bool = False,
) -> Result:
    """Change the mount at a path, or at the descriptor if the path is empty.

    `attributes` is a struct mount_attr (linux.mount.mount_attr); `recursive` changes the mounts
    below it as well.
    """
    return program.call(
        what, syscalls.MOUNT_SETATTR,
        directory, path, _flags(path, recursive), Block(attributes), len(attributes),
    )  # fmt: skip


def openat2(program: Program, what: str, path: bytes, flags: int, resolve: int) -> Result:
    """Open a path, with limits on how it may lead."""
    how = mount.open_how(flags, resolve)
    return program.call(what, syscalls.OPENAT2, mount.AT_FDCWD, path, Block(how), len(how))


def _flags(path: bytes | int, recursive: bool) -> int:
    return (0 if path else mount.AT_EMPTY_PATH) | (mount.AT_RECURSIVE if recursive else 0)
