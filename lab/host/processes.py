"""Processes of this host: their properties in /proc, and descriptors that refer to them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.linux import prctl, proc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIRST_FREE_PID = 300  # after a wrap, the kernel reuses no pid below this (kernel/pid.c)
_ARGUMENTS_BYTES = 8192


def all_pids() -> list[int]:
    """Return the pids of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def pids_after(last: int) -> Iterator[int]:
    """Yield the pids assigned after `last`, in order, also across a wrap at pid_max."""
    newest = last_pid()
    if newest >= last:
        yield from range(last + 1, newest + 1)
        return
    yield from range(last + 1, int(Path("/proc/sys/kernel/pid_max").read_bytes()))
    yield from range(_FIRST_FREE_PID, newest + 1)


def last_pid() -> int:
    """Return the pid that was assigned last. (proc_loadavg(5))"""
    return int(proc.loadavg()[-1])


def command_line(pid: int) -> bytes:
    """Return a process's arguments, each ended by a NUL, up to 8 KiB; empty if it has ended.

    (proc_pid_cmdline(5))
    """
    try:
        # pathlib is slower, and the milestone `ready` waits while dozens of these are read.
        descriptor = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _ARGUMENTS_BYTES)
    except ProcessLookupError:
        return b""
    finally:
        os.close(descriptor)


def parent(pid: int) -> int:
    """Return the pid of the parent. Raise OSError if the process has ended."""
    return int(proc.stat(pid)[proc.PARENT])


def group(pid: int) -> int:
    """Return the process group; 0 if the process has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def is_ending(pid: int) -> bool:
    """Return True if the process has ended, or its first thread has.

    When a process is killed, its threads end one after the other. The first sends the signal that
    children have asked for, and leaves them to the others as their parent for a moment.
    """
    try:
        return proc.stat(pid)[proc.STATE] in {b"Z", b"X"}
    except OSError:
        return True


@contextlib.contextmanager
def handle_of(pid: int) -> Iterator[int]:
    """Open a descriptor of the process for the block. (pidfd_open(2))

    Raise ProcessLookupError if the process has ended.
    """
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def handles(stack: contextlib.ExitStack, pids: Iterable[int]) -> Iterator[int]:
    """Yield descriptors of the processes that still run; the stack closes them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            yield stack.enter_context(handle_of(pid))


def ended(handle: int, deadline_ns: int) -> bool:
    """Wait until the process of the handle ends; return False at the deadline."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0, deadline_ns - time.monotonic_ns()) // 1_000_000))


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal when its parent ends, or now if the parent has ended."""
    prctl.set_parent_death_signal(number)
    if os.getppid() != parent:
        signal.raise_signal(number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end. (prctl(2))"""
    prctl.set_child_subreaper(True)


def children() -> set[int]:
    """Return the pids of this process's children, zombies included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()  # no children at all, without reading every process in /proc
    pids = set()
    for pid in all_pids():
        with contextlib.suppress(OSError):  # the process has ended meanwhile
            if parent(pid) == os.getpid():
                pids.add(pid)
    return pids


def end_orphans(known: set[int]) -> None:
    """Kill and reap all children that are not in `known`, and then the orphans that these leave."""
    while orphans := children() - known:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
