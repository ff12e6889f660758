"""clone3(2) of this very process, unshare(2) and setns(2)."""

from __future__ import annotations

import ctypes
import signal
import threading

from runtime.linux.libc import LIBC, check, syscall

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000
INTO_CGROUP = 0x200000000

# By the words of the OCI runtime-spec, config-linux.md, "Namespaces".
FLAGS = {
    "mount": NEWNS,
    "cgroup": NEWCGROUP,
    "uts": NEWUTS,
    "ipc": NEWIPC,
    "user": NEWUSER,
    "pid": NEWPID,
    "network": NEWNET,
}

_CLONE3 = 435  # the same number on every architecture
_PIDFD = 0x1000


class _Arguments(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size",
            "tls", "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def clone(flags: int, cgroup_fd: int | None = None) -> tuple[int, int]:
    """Fork into new namespaces, and into a v2 cgroup if one is given: (pid, pidfd).

    Returns (0, -1) in the child, which may make prepared calls and exec, and nothing else: where
    there is but one thread, the interpreter is not told of the fork, since setting itself up anew
    takes it a quarter of a millisecond. With several threads it is told, and a lock of the C
    library that another of them holds at this moment stays held in the child. Raises OSError.
    """
    pidfd = ctypes.c_int(-1)
    arguments = _Arguments(
        flags=flags | _PIDFD | (INTO_CGROUP if cgroup_fd is not None else 0),
        pidfd=ctypes.addressof(pidfd),
        exit_signal=signal.SIGCHLD,
        cgroup=cgroup_fd or 0,
    )
    if threading.active_count() == 1:
        pid = syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    else:
        pid = _clone_among_threads(arguments)
    return pid, pidfd.value if pid else -1


def _clone_among_threads(arguments: _Arguments) -> int:
    ctypes.pythonapi.PyOS_BeforeFork()
    try:
        pid = syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    except OSError:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        raise
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def unshare(flags: int) -> None:
    """Move this process to new namespaces. (unshare(2)) Raises OSError."""
    check(LIBC.unshare(flags))


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespace that the descriptor stands for. (setns(2)) Raises OSError."""
    check(LIBC.setns(descriptor, flags))
