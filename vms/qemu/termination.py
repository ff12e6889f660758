"""Termination of a QEMU process."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from vms.qemu.monitor_hold import monitor_held

if TYPE_CHECKING:
    from contextlib import ExitStack

_KILL_SECONDS = 10.0


def kill(pid: int, stack: ExitStack) -> None:
    """Kill QEMU and reap it; libvirt does not notice before the stack is closed."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        stack.callback(os.close, pidfd)
        stack.enter_context(monitor_held(pid, pidfd))
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if ended_within(pidfd, _KILL_SECONDS):
            with suppress(ChildProcessError):  # another process or thread has reaped it
                os.waitpid(pid, 0)


def ended_within(pidfd: int, seconds: float) -> bool:
    """Return True if the descriptor's process ends within that time. (pidfd_open(2))"""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
