"""A start that tells where its time goes: when each of its steps began.

The parent looks at its own clock. The child does so by calls among its others: it reads the clock
(clock_gettime(2)) and writes what it read to a pipe, from which it is read once it has execed. A
start that is not asked to tell makes none of these calls, and does not import this module.
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
_STEP = Struct("<3Q")  # seconds and nanoseconds, as the clock gives them; which step


class Steps:
    """Asked for with a start, the steps of it; good for one. A context manager.

    A filter of system calls that kills whoever reads the clock kills a container that tells.
    """

    def __init__(self) -> None:
        self._reading, self.report = pipe_above_streams()
        self._begun: list[tuple[str, int]] = []
        self._names: list[str] = []

    def begin(self, name: str) -> None:
        """A step of the parent's begins now."""
        self.note(name, time.monotonic_ns())

    def note(self, name: str, at_ns: int) -> None:
        """A step of the parent's began then, by CLOCK_MONOTONIC."""
        self._begun.append((name, at_ns))

    def watch(self, program: Program) -> None:
        """Have a program of the child's tell its steps as well."""
        program.tell = self._told

    def begun(self) -> list[tuple[str, int]]:
        """Every step and when it began, in nanoseconds of CLOCK_MONOTONIC, once the start is over.

        Each ends where the next one begins; the last one when the program ran.
        """
        os.close(self.report)
        self.report = -1
        while said := os.read(self._reading, _STEP.size):
            seconds, nanoseconds, number = _STEP.unpack(said)
            self.note(self._names[number], seconds * 1_000_000_000 + nanoseconds)
        return sorted(self._begun, key=lambda step: step[1])

    def close(self) -> None:
        """Let go of the pipe."""
        for descriptor in (self._reading, self.report):
            if descriptor >= 0:
                os.close(descriptor)
        self._reading = self.report = -1

    def _told(self, program: Program, name: str) -> None:
        told = Block(_STEP.pack(0, 0, len(self._names)))
        self._names.append(name)
        refused = Label()
        program.call(
            "look at the clock", syscalls.CLOCK_GETTIME, _CLOCK_MONOTONIC, told,
            foreseen=[(errno.EPERM, refused), (errno.ENOSYS, refused)],
        )  # fmt: skip
        program.call("tell the step", syscalls.WRITE, self.report, told, _STEP.size)
        program.place(refused)

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
