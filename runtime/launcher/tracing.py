"""The time at which each step of a container's start begins.

The parent reads its clock itself. The child does it by calls in its program: it reads the clock
(clock_gettime(2)) and writes the time to a pipe, which the parent reads once the child has execed.
A start that is not traced makes none of these calls and does not import this module.
"""

from __future__ import annotations

import errno
import os
import time
from _struct import Struct

from runtime.launcher.channel import pipe_above_streams
from runtime.launcher.program import Block, Label
from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program

_CLOCK_MONOTONIC = 1
_STEP = Struct("<3Q")  # struct timespec: seconds and nanoseconds; the number of the step


class Steps:
    """The steps of a single start; a context manager.

    A seccomp filter that kills a process for clock_gettime(2) kills a container that is traced.
    """

    def __init__(self) -> None:
        self._reading, self.report = pipe_above_streams()
        self._begun: list[tuple[str, int]] = []
        self._names: list[str] = []

    def begin(self, name: str) -> None:
        """Record that a step of the parent begins now."""
        self.note(name, time.monotonic_ns())

    def note(self, name: str, at_ns: int) -> None:
        """Record a step of the parent that began at this time of CLOCK_MONOTONIC."""
        self._begun.append((name, at_ns))

    def watch(self, program: Program) -> None:
        """Record the steps of a program of the child as well."""
        program.trace = self._trace

    def begun(self) -> list[tuple[str, int]]:
        """Return all steps, each with its begin in nanoseconds of CLOCK_MONOTONIC.

        Call it once the start has succeeded. A step ends where the next one begins, and the last
        one when the container's program starts.
        """
        os.close(self.report)
        self.report = -1
        while message := os.read(self._reading, _STEP.size):
            seconds, nanoseconds, number = _STEP.unpack(message)
            self.note(self._names[number], seconds * 1_000_000_000 + nanoseconds)
        return sorted(self._begun, key=lambda step: step[1])

    def close(self) -> None:
        """Close the pipe."""
        for descriptor in (self._reading, self.report):
            if descriptor >= 0:
                os.close(descriptor)
        self._reading = self.report = -1

    def _trace(self, program: Program, name: str) -> None:
        message = Block(_STEP.pack(0, 0, len(self._names)))
        self._names.append(name)
        refused = Label()
        program.call(
            "read the clock", syscalls.CLOCK_GETTIME, _CLOCK_MONOTONIC, message,
            foreseen=[(errno.EPERM, refused), (errno.ENOSYS, refused)],
        )  # fmt: skip
        program.call("report the step", syscalls.WRITE, self.report, message, _STEP.size)
        program.place(refused)

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
