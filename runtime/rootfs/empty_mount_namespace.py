"""An empty mount namespace, into which root file systems are moved.

pivot_root(2) walks all processes of the host, to change the root of those whose root it replaces.
No process can begin or end meanwhile; with thousands of containers, this is a fifth of a start. A
child that enters a copy of an empty namespace replaces no other process's root. A process that
starts containers in a row makes that namespace once, by a pivot_root of its own.
"""

from __future__ import annotations

import os

from runtime.launcher import mount_calls
from runtime.launcher.channel import ChildLaunch, die_with_parent
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
_DIRECTORY = b"/proc"  # any directory that every host has
_STEP = "make an empty mount namespace"


def can_hold(spec: Spec, spaces: Namespaces) -> bool:
    """Return True if a root can be moved there: the host's root can copy it with all its mounts.

    (mount_namespaces(7), MS_UNBINDABLE)
    """
    can_be_copied = not any(
        mounts.UNBINDABLE & propagation
        for mount in spec.mounts
        for propagation in MountOptions.of(mount.options).propagations
    )
    return spaces.makes("mount") and not spaces.owns("user") and can_be_copied


def descriptor() -> int | None:
    """Return a descriptor of the namespace, which this process keeps open; None at the first call.

    The first container of a process may be its only one, and then the namespace is not worth its
    making. Raise ContainerError.
    """
    if "kept" not in _namespaces:
        _namespaces["kept"] = -1, 0
        return None
    namespace, inode = _namespaces["kept"]
    if not _is_open(namespace, inode):
        namespace = _make()
        _namespaces["kept"] = namespace, os.fstat(namespace).st_ino
    return namespace


def _is_open(descriptor: int, inode: int) -> bool:
    """Return False if the program has closed the descriptor, as programs do that close all."""
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False


def _make() -> int:
    """Return a new empty namespace; its process is gone by then. (pivot_root(2), NOTES)"""
    private = mounts.REC | mounts.PRIVATE
    read_only = mounts.RDONLY | mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
    with ChildLaunch() as launch:
        die_with_parent(launch.calls)
        for number, *arguments in (
            (syscalls.UNSHARE, FLAGS["mount"]),
            (syscalls.MOUNT, None, b"/", None, private, None),
            (syscalls.MOUNT, b"tmpfs", _DIRECTORY, b"tmpfs", read_only, _MODE),
            (syscalls.CHDIR, _DIRECTORY),
            (syscalls.PIVOT_ROOT, b".", b"."),
            (syscalls.UMOUNT2, b".", mounts.DETACH),
        ):
            launch.calls.call(_STEP, number, *arguments)
        launch.end.report(launch.calls, "the mount namespace is made")
        child, channel = launch.start()
        channel.await_calls()
        return os.open(f"/proc/{child.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def enter(program: Program, namespace: int) -> None:
    """Leave the host with a copy of the child's root file system. A part."""
    step = "move the root file system into an empty mount namespace"
    tree = mount_calls.open_tree(program, step, AT_FDCWD, b"/", recursive=True)
    program.call(step, syscalls.SETNS, namespace, FLAGS["mount"])
    program.call(step, syscalls.UNSHARE, FLAGS["mount"])
    mount_calls.move_mount(program, step, tree, AT_FDCWD, b"/")
    program.call("enter the root file system", syscalls.FCHDIR, tree)
    program.call("change the root to the container's", syscalls.CHROOT, b".")


# The descriptor that is kept, and its inode; -1 and 0 before the namespace is made.
_namespaces: dict[str, tuple[int, int]] = {}
