"""Progress of a run on standard error, apart from its results on standard output."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Stage:
    """An experiment in progress."""

    def __init__(self, progress: Progress, name: str, rounds: int) -> None:
        self._progress = progress
        self._name = name
        self._rounds = rounds
        self._done = 0
        self._begin = time.monotonic()

    def advance(self, rounds: int) -> None:
        """Report that another round of `rounds` is done, and the time that the rest will take."""
        self._done += 1
        self._rounds = rounds
        self._progress.advanced(self._name, self._done, self._rounds, self.left_seconds())

    def left_seconds(self) -> float:
        """Return the time for the other rounds at the present pace."""
        spent = time.monotonic() - self._begin
        return spent / self._done * (self._rounds - self._done) if self._done else 0.0


class Progress:
    """Progress bars on a terminal, and lines elsewhere; a context manager."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("[bold]{task.description:<12}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]:>8}"),
                TextColumn("[dim]{task.fields[doing]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def tell(self, doing: str) -> None:
        """Report the step that is in progress."""
        if self._bars and self._task is not None:
            self._bars.update(self._task, doing=doing)
        else:
            print(doing, file=sys.stderr, flush=True)

    def advanced(self, name: str, done: int, rounds: int, left_seconds: float) -> None:
        """Report that `done` of `rounds` rounds are done."""
        left = f"{left_seconds:.0f} s left"
        if self._bars and self._task is not None:
            self._bars.update(self._task, completed=done, total=rounds, left=left)
        else:
            print(f"{name}: round {done} of {rounds} done, {left}", file=sys.stderr, flush=True)

    @contextmanager
    def stage(self, name: str, rounds: int) -> Iterator[Stage]:
        """Show the progress of an experiment with that many rounds."""
        if self._bars:
            self._task = self._bars.add_task(name, total=rounds, left="", doing="")
        try:
            yield Stage(self, name, rounds)
        finally:
            self._task = None
