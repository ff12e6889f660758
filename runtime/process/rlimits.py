"""Resource limits: those of a program, and of the runtime on the way to it. (prlimit(2))

A program's are set last, since a low one would be in the way of what comes before. So that what
can't be had is refused early, and because nobody in a user namespace may raise a hard limit, the
parent has raised by then what must be.
"""

from __future__ import annotations

import os
from _struct import Struct

from runtime.errors import ContainerError
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


class Room:
    """A context manager in which this process, and a child, may have so many descriptors more.

    As far as the hard limit allows. The soft one is 1024 on most hosts, for programs that call
    select(2), and each mount takes some descriptors on the way to its place.
    """

    def __init__(self, more: int) -> None:
        self._wanted = more + _OTHER_DESCRIPTORS
        self._before: tuple[int, int] | None = None

    def given_back(self, process: Process) -> Process:
        """Return the process with the limit that it had before, unless it is to have another."""
        if not self._before or any(each.type == _NOFILE for each in process.rlimits):
            return process
        soft, hard = self._before
        return process.replace(
            rlimits=(*process.rlimits, Rlimit(type=_NOFILE, soft=soft, hard=hard))
        )

    def __enter__(self) -> Self:
        soft, hard = _own(_NOFILE)
        if soft < min(self._wanted, hard):
            _set(0, _NOFILE, min(self._wanted, hard), hard)
            self._before = soft, hard
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            _set(0, _NOFILE, *self._before)


def raise_hard(pid: int, process: Process) -> None:
    """Raise the hard limits of a child that are below what it is to set. Raise ContainerError."""
    for each in process.rlimits:
        soft, hard = _own(each.type)  # which the child has got from this process
        if each.hard <= hard:
            continue
        try:
            _set(pid, each.type, soft, each.hard)
        except OSError as error:
            raise ContainerError(
                f"Can't set {each.type}: {os.strerror(error.errno or 0).lower()}. Its hard limit,"
                f" {each.hard}, is above the runtime's, {hard}: lower it, or run the runtime with"
                " CAP_SYS_RESOURCE."
            ) from error


def limit(program: Program, process: Process) -> None:
    """Have the child set what its process is to have. (OCI config.md, "POSIX process")"""
    for each in process.rlimits:
        program.call(
            f"set {each.type}", syscalls.PRLIMIT64,
            0, NUMBERS[each.type], Block(_RLIMIT.pack(each.soft, each.hard)), 0,
        )  # fmt: skip


def _own(name: str) -> tuple[int, int]:
    found = buffer(bytes(_RLIMIT.size))
    syscall(syscalls.PRLIMIT64, 0, NUMBERS[name], None, found)
    soft, hard = _RLIMIT.unpack(bytes(found))
    return soft, hard


def _set(pid: int, name: str, soft: int, hard: int) -> None:
    syscall(syscalls.PRLIMIT64, pid, NUMBERS[name], _RLIMIT.pack(soft, hard), None)
