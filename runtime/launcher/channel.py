"""Where a child and its parent meet: the child says that it is there, and waits for an answer.

The child writes to `report`, a pipe whose other end the parent reads: a byte for each meeting, or
which call failed with what errno; once it execs, or ends, nothing more comes. Answers are counted
by an eventfd, from which it takes one at a time. A pipe's reader is woken on the CPU of its writer,
who is taken to be done; but who answers goes on, and the child would wait for that CPU while
another one idles. (pipe_write in the kernel's fs/pipe.c, WF_SYNC in kernel/sched/fair.c)
"""

from __future__ import annotations

import errno
import os

from runtime.errors import ContainerError
from runtime.launcher.parent_channel import ANSWER_BYTES, HERE, MESSAGE_BYTES, Talk
from runtime.launcher.program import Block, Label
from runtime.launcher.spawn import Executable, Launch, spawn
from runtime.linux import syscalls
from runtime.linux.pidfd import SIGKILL, kill, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from runtime.launcher.program import Program, Result
    from runtime.launcher.spawn import Child

_CLONE_PARENT, _SIGCHLD = 0x8000, 17
_PR_SET_PDEATHSIG = 1


class Meeting:
    """A pipe and an eventfd, with a child at their other ends; a context manager.

    `launch` is what the child does at once, before it waits for its program. One that was not
    released does not outlive the block.
    """

    def __init__(self) -> None:
        self._reading, self.report = pipe_above_streams()
        self.answer = _above_streams(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE))
        self.launch = Launch()
        self._file: Executable | None = None
        self._child: Child | None = None
        self._released = False

    def start(
        self,
        *,
        kept: Iterable[int] = (),
        flags: int = 0,
        cgroup: int | None = None,
    ) -> tuple[Child, Talk]:
        """Start the child, which waits for its program when it is done with `launch`.

        Raises ContainerError.
        """
        launch = self.launch
        launch.step("wait for its calls")
        wait(launch, self.answer)
        launch.step("exec of the set-up")
        try:
            self._file = Executable(self.report)
            self._child = spawn(
                launch, self._file, kept=(self.answer, *kept), flags=flags, cgroup=cgroup
            )
        except OSError as error:
            raise ContainerError(f"Can't make the namespaces: {error.strerror}.") from error
        os.close(self.report)
        self.report = -1
        self._talk = Talk(self._reading, self.answer, self._child.failure)
        return self._child, self._talk

    def execute(self, program: Program, *, forks: bool = False) -> None:
        """Have the child that was started carry out its program.

        One that forks has its own child in its place. Raises ContainerError.
        """
        assert self._file
        assert self._child
        self._file.fill(program)
        self._file.close()
        self._talk.answer()
        if forks:
            self._child.succeed(self._talk.number())
            self._talk.answer()

    def release(self) -> None:
        """Let the child live on by itself."""
        self._released = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._reading, self.report, self.answer):
            if descriptor >= 0:
                os.close(descriptor)
        if self._file:
            self._file.close()
        if self._child and not self._released:
            kill(self._child.pidfd)
            reap(self._child.pid)
            os.close(self._child.pidfd)
        self.launch.close()


def meet(program: Program, report: int, answer: int) -> None:
    """Have the child say that this point is reached, and wait for the word to go on."""
    tell(program, report)
    wait(program, answer)


def tell(program: Program, report: int) -> None:
    """Have the child say that this point is reached."""
    program.call("tell the runtime", syscalls.WRITE, report, HERE, 1)


def wait(program: Program, answer: int) -> None:
    """Have the child wait for the word to go on."""
    into = Block(bytes(ANSWER_BYTES))
    program.call("hear the runtime", syscalls.READ, answer, into, ANSWER_BYTES)


def die_with_runtime(program: Program) -> None:
    """Have the child end with whoever has started it, until it is to live on. (prctl(2))"""
    program.call("die with the runtime", syscalls.PRCTL, _PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def fork(program: Program, report: int, answer: int) -> None:
    """Have the child fork, and its child, in the pid namespace that was chosen, go on in its place.

    It has the same parent. (clone(2), CLONE_PARENT; pid_namespaces(7))
    """
    born, what = Label(), "fork into the pid namespace"
    pid = program.call(what, syscalls.CLONE, _CLONE_PARENT | _SIGCHLD, 0, 0, 0, 0)
    # It refuses 0, which is what the new one has been given. (pidfd_open(2))
    program.call(what, syscalls.PIDFD_OPEN, pid, 0, foreseen=[(errno.EINVAL, born)])
    message = Block(HERE + bytes(MESSAGE_BYTES - 1), results={8: pid})
    program.call(what, syscalls.WRITE, report, message, MESSAGE_BYTES)
    program.call(what, syscalls.EXIT_GROUP, 0)
    program.place(born)
    die_with_runtime(program)
    wait(program, answer)


def hand_over(program: Program, report: int, answer: int, descriptor: Result) -> None:
    """Have the child name a descriptor that the parent is to fetch, and wait until it has."""
    message = Block(HERE + bytes(MESSAGE_BYTES - 1), results={8: descriptor})
    program.call("hand over the listener", syscalls.WRITE, report, message, MESSAGE_BYTES)
    # A filter is in force here: no call but those that filters must allow. (write(2), read(2))
    wait(program, answer)


def pipe_above_streams() -> tuple[int, int]:
    """A pipe none of whose ends is 0, 1 or 2, where a program's streams will be put."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    return _above_streams(reading), _above_streams(writing)


def _above_streams(descriptor: int) -> int:
    if descriptor > 2:
        return descriptor
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    above = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return above
