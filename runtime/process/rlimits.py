"""Resource limits of a process, and of the runtime while it starts one. (prlimit(2))

The child sets its limits last, because a low limit would hinder the steps before. The parent raises
its hard limits beforehand: no process in a user namespace may raise one, and a limit that can't be
had is refused early.
"""

from __future__ import annotations

import os
from _struct import Struct

from runtime.errors import Unavailable
from runtime.launcher.program import Block
from runtime.linux import syscalls
from runtime.linux.libc import buffer, syscall
from runtime.spec.config import Rlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from runtime.launcher.program import Program
    from runtime.spec.config import Process

NUMBERS = {
    name: number
    for number, name in enumerate((
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS",
        "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ))
}  # fmt: skip
_NOFILE = "RLIMIT_NOFILE"
_OTHER_DESCRIPTORS = 64  # pipes, cgroups, devices, and what the caller has open
_RLIMIT = Struct("<2Q")


class DescriptorLimit:
    """A higher soft limit of descriptors for this process and its children; a context manager.

    It ends at the hard limit. The soft limit is 1024 on most hosts, for programs that call
    select(2), and each mount takes some descriptors until it is attached.
    """

    def __init__(self, mount_descriptors: int) -> None:
        self._needed = mount_descriptors + _OTHER_DESCRIPTORS
        self._before: tuple[int, int] | None = None

    def restored(self, process: Process) -> Process:
        """Return the process with the former limit, unless its configuration sets this limit."""
        if not self._before or any(each.type == _NOFILE for each in process.rlimits):
            return process
        soft, hard = self._before
        return process.replace(
            rlimits=(*process.rlimits, Rlimit(type=_NOFILE, soft=soft, hard=hard))
        )

    def __enter__(self) -> Self:
        soft, hard = _own(_NOFILE)
        if soft < min(self._needed, hard):
            _set(0, _NOFILE, min(self._needed, hard), hard)
            self._before = soft, hard
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            _set(0, _NOFILE, *self._before)


def raise_hard(pid: int, process: Process) -> None:
    """Raise hard limits of a child to those that it will set. Raise Unavailable."""
    for limit in process.rlimits:
        soft, hard = _own(limit.type)  # which the child has inherited
        if limit.hard <= hard:
            continue
        try:
            _set(pid, limit.type, soft, limit.hard)
        except OSError as error:
            raise Unavailable(
                f"Can't set {limit.type}: {os.strerror(error.errno or 0).lower()}. Its hard limit,"
                f" {limit.hard}, is above the runtime's, {hard}: lower it, or run the runtime with"
                " CAP_SYS_RESOURCE."
            ) from error


def limit(program: Program, process: Process) -> None:
    """Set the limits of process.rlimits. (OCI config.md, "POSIX process")"""
    for each in process.rlimits:
        program.call(
            f"set {each.type}", syscalls.PRLIMIT64,
            0, NUMBERS[each.type], Block(_RLIMIT.pack(each.soft, each.hard)), 0,
        )  # fmt: skip


def _own(name: str) -> tuple[int, int]:
    limits = buffer(bytes(_RLIMIT.size))
    syscall(syscalls.PRLIMIT64, 0, NUMBERS[name], None, limits)
    soft, hard = _RLIMIT.unpack(bytes(limits))
    return soft, hard


def _set(pid: int, name: str, soft: int, hard: int) -> None:
    syscall(syscalls.PRLIMIT64, pid, NUMBERS[name], _RLIMIT.pack(soft, hard), None)
