"""Processes of this host, by what /proc says of them and by descriptors of them."""

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

_FIRST_FREE_PID = 300  # below it the kernel gives no pid again once it has wrapped (kernel/pid.c)
_ARGUMENTS_BYTES = 8192


def all_pids() -> list[int]:
    """Every process that is there."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def pids_after(last: int) -> Iterator[int]:
    """The pids handed out since `last` was, in order, past the wrap at pid_max if there was one."""
    newest = last_pid()
    if newest >= last:
        yield from range(last + 1, newest + 1)
        return
    yield from range(last + 1, int(Path("/proc/sys/kernel/pid_max").read_bytes()))
    yield from range(_FIRST_FREE_PID, newest + 1)


def last_pid() -> int:
    """Return the pid that was handed out last. (proc_loadavg(5))"""
    return int(proc.loadavg()[-1])


def command_line(pid: int) -> bytes:
    """Its arguments, each ended by a NUL, up to 8 KiB of them; empty if it has ended.

    (proc_pid_cmdline(5))
    """
    try:
        # Not pathlib: `ready` waits for a search among dozens of these.
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
    """Its process group; 0 if it has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


@contextlib.contextmanager
def handle_of(pid: int) -> Iterator[int]:
    """A descriptor of the process. Raises ProcessLookupError if it has ended. (pidfd_open(2))"""
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def handles(stack: contextlib.ExitStack, pids: Iterable[int]) -> Iterator[int]:
    """Descriptors of those of the processes that still run, closed with the stack."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            yield stack.enter_context(handle_of(pid))


def ended(handle: int, deadline_ns: int) -> bool:
    """Whether the process of the handle ended before the deadline."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0, deadline_ns - time.monotonic_ns()) // 1_000_000))


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have this process sent a signal when its parent ends, or now if it has ended already."""
    prctl.set_parent_death_signal(number)
    if os.getppid() != parent:
        signal.raise_signal(number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end. (prctl(2))"""
    prctl.set_child_subreaper(True)


def children() -> set[int]:
    """Return this process's children, ended ones included that were not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()  # found without a look at every process of the host
    found = set()
    for pid in all_pids():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if parent(pid) == os.getpid():
                found.add(pid)
    return found


def end_orphans(known: set[int]) -> None:
    """Kill and wait for the children that are not known, and theirs, until there are none."""
    while orphans := children() - known:
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
