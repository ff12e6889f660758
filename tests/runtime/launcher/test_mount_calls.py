"""Calls that open, attach and change mounts, with the flags of their variants."""

from __future__ import annotations

import pytest

from runtime.launcher import mount_calls
from runtime.launcher.program import Block, Program, Result
from runtime.linux import mount, syscalls

TREE = 7


class Recorded(Program):
    """A program that keeps the last call as it was given."""

    def call(self, what: str, number: int, *arguments: object, **_: object) -> Result:
        self.last = (what, number, *arguments)
        return Result(0)


@pytest.fixture
def program() -> Recorded:
    return Recorded()


@pytest.mark.parametrize(
    ("path", "recursive", "flags"),
    [
        (b"/a", False, 0),
        (b"/a", True, mount.AT_RECURSIVE),
        (b"", False, mount.AT_EMPTY_PATH),
        (b"", True, mount.AT_EMPTY_PATH | mount.AT_RECURSIVE),
    ],
)
def test_an_empty_path_stands_for_the_descriptor(
    program: Recorded, path: bytes, recursive: bool, flags: int
) -> None:
    mount_calls.open_tree(program, "open", TREE, path, recursive=recursive)
    clone = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC
    assert program.last == ("open", syscalls.OPEN_TREE, TREE, path, clone | flags)
    attributes = mount.mount_attr(mount.ATTR_RDONLY)
    mount_calls.mount_setattr(program, "set", TREE, path, attributes, recursive=recursive)
    *call, block, size = program.last
    assert call == ["set", syscalls.MOUNT_SETATTR, TREE, path, flags]
    assert isinstance(block, Block)
    assert (block.content, size) == (attributes, 32)


@pytest.mark.parametrize(
    ("path", "follow_link", "flags"),
    [
        (b"/a", False, 0),
        (b"/a", True, mount.MOVE_TO_SYMLINKS),
        (b"", False, mount.MOVE_TO_EMPTY_PATH),
    ],
)
def test_a_mount_is_moved_to_a_path_or_a_descriptor(
    program: Recorded, path: bytes, follow_link: bool, flags: int
) -> None:
    mount_calls.move_mount(program, "move", TREE, 3, path, follow_link=follow_link)
    flags |= mount.MOVE_FROM_EMPTY_PATH
    assert program.last == ("move", syscalls.MOVE_MOUNT, TREE, b"", 3, path, flags)


def test_a_path_is_opened_within_limits(program: Recorded) -> None:
    mount_calls.openat2(program, "open", b"/proc", 1, mount.RESOLVE_NO_SYMLINKS)
    *call, how, size = program.last
    assert call == ["open", syscalls.OPENAT2, mount.AT_FDCWD, b"/proc"]
    assert isinstance(how, Block)
    assert (how.content, size) == (mount.open_how(1, mount.RESOLVE_NO_SYMLINKS), 24)
