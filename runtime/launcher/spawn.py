"""A child process that carries out a program of system calls, and no Python.

fork(2) copies the page tables of an interpreter, and then every page that either process writes to:
that costs more than the rest of a container's start. So the child shares the parent's memory for
some microseconds, in which it makes the calls of a short table of its own (`Launch`), and then
executes a file in memory of some kilobytes (`Executable`) with the code and the calls of its
program. From then on it has nothing of the parent but the descriptors that it was to keep, and its
/proc/PID/exe is that file and not the interpreter of the host. (CVE-2019-5736)
"""

from __future__ import annotations

import fcntl
import os
import time
from _ctypes import addressof

from runtime.launcher import machine_code
from runtime.launcher.program import CALLS, REPORT, Program, failure, strings
from runtime.linux import clone, memory, mount, syscalls
from runtime.linux.libc import Int, Long
from runtime.linux.pidfd import reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

_MFD_EXEC = 0x10
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_HALF_BYTES = 1 << 20  # of a launch: room for 8,000 calls, and as much for what they point to


class Launch(Program):
    """The program in this process's memory that a child carries out before it executes its file.

    A context manager that frees the memory. Raise OSError, and Unavailable on an unknown machine.
    """

    def __init__(self) -> None:
        machine_code.check_machine()
        address = memory.allocate(2 * _HALF_BYTES)  # the kernel provides pages as they are used
        super().__init__(address, address + _HALF_BYTES)

    def load(self, report: int) -> None:
        """Write the program to its memory; the child reports a failure to the descriptor `report`.

        Raise ContainerError if the program is too large.
        """
        self.finish(report)
        memory.fill(self.base, bytes(self.calls))
        memory.fill(self.data_base, bytes(self.data))

    def close(self) -> None:
        """Free the memory, once the child has executed its file or has ended."""
        memory.free(self.base, 2 * _HALF_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Executable:
    """An executable file in memory that carries out a program; a context manager that closes it.

    It can be created, and a child started with it, before its program is known. The child reports a
    failure to the descriptor `report`. Raise OSError.
    """

    def __init__(self, report: int) -> None:
        self.report = report
        self.names: list[str] = []
        self.descriptor = _create_memory_file("tonnage-init")

    def fill(self, program: Program) -> None:
        """Write the program to the file and seal it against changes.

        Raise OSError, and Unavailable on an unknown machine. (fcntl(2), "File Sealing")
        """
        program.finish(self.report)
        for offset, content in machine_code.file_parts(program):
            os.pwrite(self.descriptor, content, offset)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self.names = program.names

    def close(self) -> None:
        """Close the descriptor; a process that has executed the file keeps it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Child:
    """A spawned process, whose `pidfd` the caller closes.

    `asked_ns` is the time before its clone, by CLOCK_MONOTONIC. Its launch must stay open until the
    child has executed its file.
    """

    def __init__(
        self, launch: Launch, file: Executable, pid: int, pidfd: int, asked_ns: int
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.asked_ns = asked_ns
        self._launch = launch
        self._file = file

    @property
    def calls(self) -> list[str]:
        """The names of its program's calls."""
        return self._file.names

    def succeed(self, pid: int) -> None:
        """Put a process in place of this one, which has ended: its child, and ours by clone(2)."""
        pidfd = os.pidfd_open(pid)
        reap(self.pid)
        os.close(self.pidfd)
        self.pid, self.pidfd = pid, pidfd

    def failure(self, report: bytes) -> tuple[str, int]:
        """Return the name of the call that failed, and its errno, from a child's report."""
        launch = self._launch
        return failure(report, launch.names, launch.base) or explain(report, self.calls)


def explain(report: bytes, calls: Sequence[str]) -> tuple[str, int]:
    """Return the name of the call that failed, and its errno, from a report; `calls` are names."""
    return failure(report, calls, CALLS) or ("carry out its program", REPORT.unpack(report)[0])


def spawn(
    launch: Launch,
    file: Executable,
    *,
    kept: Iterable[int] = (),
    flags: int = 0,
    cgroup: int | None = None,
) -> Child:
    """Start a child that makes the calls of `launch`, and then executes `file`.

    The calls of `launch` are made while the child shares this process's memory; they are those that
    must come before an exec, and wait for the file if it is not filled yet. `kept` are descriptors
    that the program uses, `flags` are for new namespaces, `cgroup` is a descriptor of a cgroup of
    version 2 to start it in. Signal handlers are reset. Raise OSError, and ContainerError.
    (clone3(2), execveat(2))
    """
    for descriptor in (file.report, *kept):
        launch.call("keep a descriptor", syscalls.FCNTL, descriptor, fcntl.F_SETFD, 0)
    launch.call(
        "execute the program", syscalls.EXECVEAT,
        file.descriptor, b"", strings([b"tonnage-init"]), strings([]), mount.AT_EMPTY_PATH,
    )  # fmt: skip
    launch.load(file.report)
    asked_ns = time.monotonic_ns()
    pid, pidfd = _clone(launch, flags, cgroup)
    return Child(launch, file, pid, pidfd, asked_ns)


def _clone(launch: Launch, flags: int, cgroup: int | None) -> tuple[int, int]:
    pidfd = Int(-1)
    flags |= clone.PIDFD | clone.CLEAR_HANDLERS | clone.SHARE_MEMORY
    if cgroup is not None:
        flags |= clone.INTO_CGROUP
    arguments = clone.clone_args(flags, addressof(pidfd), cgroup or 0)
    pid: int = machine_code.loop()(arguments, Long(len(arguments)), Long(launch.base))
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid, pidfd.value


def _create_memory_file(name: str) -> int:
    """Return a descriptor of an empty file in memory that can be executed. (memfd_create(2))"""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:  # before Linux 6.3, where every such file can be executed
        return os.memfd_create(name, flags)
