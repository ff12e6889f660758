"""Processes by their pidfds. (pidfd_open(2), waitid(2))"""

from __future__ import annotations

import _signal
import os
import select
import time
from _struct import Struct

SIGKILL = 9
_LONGEST_POLL_MS = (1 << 31) - 1
# struct pidfd_info as Linux 6.15 has it: a mask of what is asked for and told, ten ids and numbers,
# the exit status. (linux/pidfd.h)
_GET_INFO, _INFO = 0xC040FF0B, Struct("<2Q11Ii")
_EXIT = 8


def kill(pidfd: int, number: int = SIGKILL) -> bool:
    """Send a signal; whether the process was there to get it. Raises OSError."""
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def get_descriptor(pidfd: int, number: int) -> int:
    """A copy of a descriptor of another process. Raises OSError. (pidfd_getfd(2))"""
    from runtime.linux import syscalls
    from runtime.linux.libc import syscall

    return syscall(syscalls.PIDFD_GETFD, pidfd, number, 0)


def in_pid_namespace_of(pid: int) -> list[int]:
    """The processes in one's pid namespace, unless that is this one's: then it alone."""
    wanted = _pid_namespace(str(pid))
    if wanted in {"", _pid_namespace("self")}:
        return [pid]
    found = (name for name in os.listdir("/proc") if name.isdecimal())
    return sorted(int(name) for name in found if _pid_namespace(name) == wanted)


def _pid_namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/{name}/ns/pid")
    except OSError:
        return ""  # it has ended, or is another user's


def leads_pid_namespace(pid: int) -> bool:
    """Return True if all processes of its pid namespace end with it. (pid_namespaces(7))"""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            numbers = file.read().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()
    except OSError:
        return False
    return len(numbers) > 1 and numbers[-1] == b"1"


def ignored_signals() -> tuple[int, ...]:
    """Return the signals that this process ignores. (proc_pid_status(5), SigIgn)"""
    with open("/proc/self/status", "rb") as file:
        mask = next(int(line.split()[1], 16) for line in file if line.startswith(b"SigIgn:"))
    return tuple(number for number in range(1, 65) if mask >> number - 1 & 1)


def ended_within(pidfd: int, seconds: float | None) -> bool:
    """Whether the process ends in that time; None is for ever."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return _happened(poll, seconds)


def _happened(poll: select.poll, seconds: float | None) -> bool:
    """Wait for that time, which may be longer than poll(2) can in one call."""
    if seconds is None:
        return bool(poll.poll())
    deadline = time.monotonic() + seconds
    while True:
        left_ms = max(0.0, deadline - time.monotonic()) * 1000
        if poll.poll(min(left_ms, _LONGEST_POLL_MS)):
            return True
        if left_ms <= _LONGEST_POLL_MS:
            return False


def reap(pid: int) -> int:
    """Wait for a child; its exit code, 128 + n if signal n ended it."""
    _, status = os.waitpid(pid, 0)
    return _code(status)


def exit_code(pidfd: int, seconds: float | None) -> int:
    """The same of another's child, which is known once its parent has waited for it.

    Raises TimeoutError, and OSError where the kernel (before Linux 6.15) does not tell.
    """
    _info(pidfd)  # before the wait: an older kernel than 6.13 refuses it at once
    poll = select.poll()
    poll.register(pidfd, 0)  # which leaves the end of it all, POLLHUP
    if not _happened(poll, seconds):
        raise TimeoutError
    return _code(_info(pidfd))


def _info(pidfd: int) -> int:
    """The status that it ended with; 0 if it has not been waited for. (PIDFD_GET_INFO)"""
    from fcntl import ioctl

    answer = ioctl(pidfd, _GET_INFO, _INFO.pack(_EXIT, *[0] * 13))
    status: int = _INFO.unpack(answer)[-1]
    return status


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
