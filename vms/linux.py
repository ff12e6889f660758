"""Linux system calls that Python lacks, and the state of a process. All raise OSError."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
PR_SET_THP_DISABLE = 41
_SYS_PIDFD_GETFD = 438
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
ZOMBIE = "Z"


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process. (prctl(2))"""
    _check(_libc().prctl(option, value, 0, 0, 0))


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """Return a copy of another process's file descriptor. (pidfd_getfd(2))"""
    return _check(_libc().syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0))


def exchange(first: Path, second: Path) -> None:
    """Exchange two files or directories, so that neither is ever missing. (renameat2(2))"""
    names = os.fsencode(first), os.fsencode(second)
    arguments = (_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    _check(_libc().renameat2(*arguments), str(second))


def process_state(pid: int) -> tuple[str, str]:
    """Return a process's name, of at most 15 bytes, and its state's letter. (proc_pid_stat(5))"""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    _, _, after_pid = stat.partition("(")
    name, _, fields = after_pid.rpartition(") ")  # a name may contain parentheses
    return name, fields[:1]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
