"""Lines about the steps of a build, in the form of docker's plain progress.

Steps of several stages run at once, so each line begins with the number of its step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock

_PIECE_BYTES = 1 << 16


class Progress:
    """The lines of one build. Several threads may write them."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = Lock()
        self._steps = 0

    def begin(self, title: str) -> StepProgress:
        """Begin a step, and print its title."""
        with self._lock:
            self._steps += 1
            step = StepProgress(self._steps, self.line)
        step.say(title)
        return step

    def line(self, text: str) -> None:
        """Print a line."""
        with self._lock:
            self._tell(text)


class StepProgress:
    """The lines of one step."""

    def __init__(self, number: int, line: Callable[[str], None]) -> None:
        self._number = number
        self._line = line
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        self._line(f"#{self._number} {text}")

    def done(self) -> None:
        """Print how long the step took."""
        self.say(f"DONE {self._seconds():.1f}s")

    def relay(self, descriptor: int) -> None:
        """Print the lines that a program writes, until it has closed its output."""
        rest = b""
        while piece := os.read(descriptor, _PIECE_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._output(line)
        if rest:
            self._output(rest)

    def _output(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self.say(f"{self._seconds():.3f} {text}")

    def _seconds(self) -> float:
        return time.monotonic() - self._start
