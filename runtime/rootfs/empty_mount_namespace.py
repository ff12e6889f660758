"""A mount namespace with nothing in it, which roots are moved into.

pivot_root(2) looks at all processes of the host, for those whose root it takes away, and no other
can begin or end meanwhile: with thousands of containers it is a fifth of a start. Who goes to a
copy of a namespace in which there is nothing takes no root from anybody. That namespace is made
once, by a pivot_root of its own, in a process that starts containers in a row.
"""

from __future__ import annotations

import os

from runtime.launcher import mount_calls
from runtime.launcher.channel import Meeting, die_with_runtime, tell
from runtime.linux import mount as mounts
from runtime.linux import syscalls
from runtime.linux.mount import AT_FDCWD
from runtime.namespaces.namespaces import FLAGS
from runtime.spec.mount_options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program
    from runtime.namespaces.namespaces import Namespaces
    from runtime.spec.config import Spec

_MODE = b"mode=0,size=4k,nr_inodes=1"
_PLACE = b"/proc"  # any directory that is there
_WHAT = "make an empty mount namespace"


def serves(spec: Spec, spaces: Namespaces) -> bool:
    """Whether such a root can be moved: all of it can be copied, and that by the host's root.

    (mount_namespaces(7), MS_UNBINDABLE)
    """
    can_be_copied = not any(
        mounts.UNBINDABLE & propagation
        for mount in spec.mounts
        for propagation in MountOptions.of(mount.options).propagations
    )
    return spaces.makes("mount") and not spaces.owns("user") and can_be_copied


def descriptor() -> int | None:
    """The namespace of this process, which keeps it; none yet for what may be its only container.

    Raises ContainerError.
    """
    if not _kept:
        _kept.append(_NONE)
        return None
    if not _is_there(_kept[0]):
        made = _make()
        _kept[0] = made, os.fstat(made).st_ino
    return _kept[0][0]


def _is_there(kept: tuple[int, int]) -> bool:
    """Whether it is what it was: a program may have closed all that it did not open itself."""
    descriptor, inode = kept
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False


def _make() -> int:
    """A namespace whose process is gone when this returns. (pivot_root(2), NOTES)"""
    private = mounts.REC | mounts.PRIVATE
    read_only = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
    with Meeting() as meeting:
        die_with_runtime(meeting.launch)
        for number, *arguments in (
            (syscalls.UNSHARE, FLAGS["mount"]),
            (syscalls.MOUNT, None, b"/", None, private, None),
            (syscalls.MOUNT, b"tmpfs", _PLACE, b"tmpfs", read_only, _MODE),
            (syscalls.CHDIR, _PLACE),
            (syscalls.PIVOT_ROOT, b".", b"."),
            (syscalls.UMOUNT2, b".", mounts.DETACH),
        ):
            meeting.launch.call(_WHAT, number, *arguments)
        tell(meeting.launch, meeting.report)
        child, talk = meeting.start()
        talk.hear()
        return os.open(f"/proc/{child.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def enter(program: Program, bare: int) -> None:
    """Leave the host for good, with a copy of the root file system in which the child stands."""
    what = "move the root file system into an empty mount namespace"
    tree = mount_calls.open_tree(program, what, AT_FDCWD, b"/", recursive=True)
    program.call(what, syscalls.SETNS, bare, FLAGS["mount"])
    program.call(what, syscalls.UNSHARE, FLAGS["mount"])
    mount_calls.move_mount(program, what, tree, AT_FDCWD, b"/")
    program.call("enter the root file system", syscalls.FCHDIR, tree)
    program.call("stand in the root file system", syscalls.CHROOT, b".")


_NONE = -1, 0
_kept: list[tuple[int, int]] = []  # the descriptor, and the inode that it is of
