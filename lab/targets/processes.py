"""Processes of this host, by what /proc says of them and by descriptors of them."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING

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
    """The pid that was handed out last. (proc_loadavg(5))"""
    return int(Path("/proc/loadavg").read_bytes().split()[-1])


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
    """Its parent's pid. Raises OSError if it has ended."""
    # The second field, the name, is in brackets and may hold anything. (proc_pid_stat(5))
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


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
