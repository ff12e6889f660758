"""Processes by their pidfds: signals, waiting, exit codes. (pidfd_open(2), waitid(2))"""

from __future__ import annotations

import _signal
import os
import select
import time
from _struct import Struct

SIGKILL = 9
_LONGEST_POLL_MS = (1 << 31) - 1
# struct pidfd_info of Linux 6.15: the mask that is asked for and returned, ten ids and numbers, the
# exit status. (linux/pidfd.h)
_GET_INFO, _INFO = 0xC040FF0B, Struct("<2Q11Ii")
_INFO_EXIT = 8


def kill(pidfd: int, number: int = SIGKILL) -> bool:
    """Send a signal. Return False if the process has ended. Raise OSError."""
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def get_descriptor(pidfd: int, number: int) -> int:
    """Return a copy of a descriptor of the process. Raise OSError. (pidfd_getfd(2))"""
    from runtime.linux import syscalls
    from runtime.linux.libc import syscall

    return syscall(syscalls.PIDFD_GETFD, pidfd, number, 0)


def ended_within(pidfd: int, seconds: float | None) -> bool:
    """Wait for the end of the process, without a limit if None. Return False on a time-out."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return _wait(poll, seconds)


def reap(pid: int) -> int:
    """Wait for a child and return its exit code, 128 + n if signal n ended it."""
    _, status = os.waitpid(pid, 0)
    return _exit_code(status)


def exit_code(pidfd: int, seconds: float | None) -> int:
    """Return the exit code of a process that need not be a child, once its parent has reaped it.

    Raise TimeoutError, and OSError on kernels before Linux 6.15, which don't report it.
    """
    _exit_status(pidfd)  # kernels before Linux 6.13 refuse this, before any waiting
    poll = select.poll()
    poll.register(pidfd, 0)  # reports POLLHUP alone: the process has been reaped
    if not _wait(poll, seconds):
        raise TimeoutError
    return _exit_code(_exit_status(pidfd))


def _wait(poll: select.poll, seconds: float | None) -> bool:
    """Wait for an event; poll(2) can't wait longer than _LONGEST_POLL_MS in a single call."""
    if seconds is None:
        return bool(poll.poll())
    deadline = time.monotonic() + seconds
    while True:
        left_ms = max(0.0, deadline - time.monotonic()) * 1000
        if poll.poll(min(left_ms, _LONGEST_POLL_MS)):
            return True
        if left_ms <= _LONGEST_POLL_MS:
            return False


def _exit_status(pidfd: int) -> int:
    """Return the wait status, 0 if the process has not been reaped. (PIDFD_GET_INFO)"""
    from fcntl import ioctl

    answer = ioctl(pidfd, _GET_INFO, _INFO.pack(_INFO_EXIT, *[0] * 13))
    status: int = _INFO.unpack(answer)[-1]
    return status


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
