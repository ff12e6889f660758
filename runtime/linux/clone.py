"""New processes and namespaces. (clone3(2), unshare(2), setns(2), linux/sched.h)"""

from __future__ import annotations

from _struct import Struct

SHARE_MEMORY, PIDFD, SAME_PARENT = 0x100, 0x1000, 0x8000  # CLONE_VM, CLONE_PIDFD, CLONE_PARENT
CLEAR_HANDLERS, INTO_CGROUP = 0x100000000, 0x200000000  # CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP
NEWTIME, NEWNS, NEWCGROUP, NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
NEWIPC, NEWUSER, NEWPID, NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000
SIGCHLD = 17

# struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
# set_tid, set_tid_size, cgroup.
_CLONE_ARGS = Struct("=11Q")


def clone_args(flags: int, pidfd: int, cgroup: int) -> bytes:
    """Return struct clone_args; `pidfd` is the address at which the kernel stores a descriptor."""
    return _CLONE_ARGS.pack(flags, pidfd, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup)


def unshare(flags: int) -> None:
    """Move this thread into new namespaces. Raise OSError."""
    from runtime.linux.libc import call

    call("unshare", flags)


def setns(descriptor: int, kind: int) -> None:
    """Move this thread into an existing namespace of this kind, such as NEWNET. Raise OSError.

    A pid namespace, or a time namespace, is entered by the children of the thread alone.
    """
    from runtime.linux.libc import call

    call("setns", descriptor, kind)
