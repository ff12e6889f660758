"""The start of a child process, and the channel between it and its parent.

The child writes to a pipe, which the parent reads: a message for each point that it reaches, or
the failed call and its errno. The pipe closes when the child executes its program, or ends. The
parent lets the child go on by an eventfd, from which the child takes one permit at a time. It is no
pipe, because the kernel wakes the reader of a pipe on the CPU of the writer, which it expects to
sleep soon. The parent works on, and the child would wait for that CPU while another one is idle.
(pipe_write in the kernel's fs/pipe.c, WF_SYNC in kernel/sched/fair.c)
"""

from __future__ import annotations

import errno
import os

from runtime.errors import ContainerError
from runtime.launcher.parent_channel import NUMBER_BYTES, PERMIT_BYTES, REACHED, Channel
from runtime.launcher.program import Block, Label
from runtime.launcher.spawn import Executable, Launch, spawn
from runtime.linux import clone, prctl, syscalls
from runtime.linux.pidfd import SIGKILL, kill, reap
from runtime.spec.json_structs import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from runtime.launcher.program import Program, Result
    from runtime.launcher.spawn import Child


class ChildEnd(Struct):
    """The child's end of the channel, by descriptors: a pipe to write to, an eventfd to read.

    The methods add the calls that use it to the child's program. `event` completes a sentence: it
    names what is reported, or what the child waits for.
    """

    reports: int
    permits: int

    def report(self, program: Program, event: str) -> None:
        """Report that the child has come to this point."""
        program.call(f"report that {event}", syscalls.WRITE, self.reports, REACHED, 1)

    def wait(self, program: Program, event: str) -> None:
        """Wait until the parent lets the child go on."""
        permit = Block(bytes(PERMIT_BYTES))
        program.call(f"wait until {event}", syscalls.READ, self.permits, permit, PERMIT_BYTES)

    def fork(self, program: Program) -> None:
        """Fork: the new process, which is in the chosen PID namespace, takes the child's place.

        It has the same parent. (clone(2), CLONE_PARENT; pid_namespaces(7))
        """
        forked, step = Label(), "fork into the PID namespace"
        pid = program.call(step, syscalls.CLONE, clone.SAME_PARENT | clone.SIGCHLD, 0, 0, 0, 0)
        # It refuses 0, which is what clone(2) returns in the new process. (pidfd_open(2))
        program.call(step, syscalls.PIDFD_OPEN, pid, 0, foreseen=[(errno.EINVAL, forked)])
        program.call(step, syscalls.WRITE, self.reports, _number(pid), NUMBER_BYTES)
        program.call(step, syscalls.EXIT_GROUP, 0)
        program.place(forked)
        die_with_parent(program)
        self.wait(program, "the runtime knows the forked process")

    def hand_over(self, program: Program, listener: Result) -> None:
        """Report the descriptor of a seccomp listener, and wait until the parent has a copy.

        The filter is in force by then: no calls but those that every filter must allow. (write(2),
        read(2))
        """
        message = _number(listener)
        program.call("hand over the listener", syscalls.WRITE, self.reports, message, NUMBER_BYTES)
        self.wait(program, "the runtime has the listener")


class ChildLaunch:
    """A child and the channel to it; a context manager that kills a child that is not released.

    `calls` is what the child does at once, before it waits for its program.
    """

    def __init__(self) -> None:
        self._reading, self._writing = pipe_above_streams()
        self._permits = _above_streams(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE))
        self.end = ChildEnd(reports=self._writing, permits=self._permits)
        self.calls = Launch()
        self._file: Executable | None = None
        self._child: Child | None = None
        self._released = False

    def start(
        self,
        *,
        kept: Iterable[int] = (),
        flags: int = 0,
        cgroup: int | None = None,
    ) -> tuple[Child, Channel]:
        """Start the child, which makes its first calls and then waits for its program.

        `kept` are the descriptors that it needs; `flags` and `cgroup` are for clone3(2). Raise
        ContainerError.
        """
        calls = self.calls
        calls.step("wait for its calls")
        self.end.wait(calls, "its program is written")
        calls.step("exec of the set-up")
        try:
            self._file = Executable(self._writing)
            self._child = spawn(
                calls, self._file, kept=(self._permits, *kept), flags=flags, cgroup=cgroup
            )
        except OSError as error:
            raise ContainerError(f"Can't make the namespaces: {error.strerror}.") from error
        os.close(self._writing)
        self._writing = -1
        self._channel = Channel(self._reading, self._permits, self._child.failure)
        return self._child, self._channel

    def execute(self, program: Program, *, forks: bool = False) -> None:
        """Pass the program to the started child, which executes it. Raise ContainerError.

        If the program `forks`, the child is replaced by its own child.
        """
        assert self._file
        assert self._child
        self._file.fill(program)
        self._file.close()
        self._channel.program_written()
        if forks:
            self._child.succeed(self._channel.await_fork())
            self._channel.fork_adopted()

    def release(self) -> None:
        """Leave the child alive after the block."""
        self._released = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._reading, self._writing, self._permits):
            if descriptor >= 0:
                os.close(descriptor)
        if self._file:
            self._file.close()
        if self._child and not self._released:
            kill(self._child.pidfd)
            reap(self._child.pid)
            os.close(self._child.pidfd)
        self.calls.close()


def die_with_parent(program: Program) -> None:
    """Ask the kernel to kill the child when its parent ends. (prctl(2), PR_SET_PDEATHSIG)"""
    program.call("die with the runtime", syscalls.PRCTL, prctl.SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def pipe_above_streams() -> tuple[int, int]:
    """Return a pipe neither end of which is 0, 1 or 2, where a program's streams will be placed."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    return _above_streams(reading), _above_streams(writing)


def _above_streams(descriptor: int) -> int:
    if descriptor > 2:
        return descriptor
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    above = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return above


def _number(result: Result) -> Block:
    """Return a message that carries the result of a call."""
    return Block(REACHED + bytes(NUMBER_BYTES - 1), results={8: result})
