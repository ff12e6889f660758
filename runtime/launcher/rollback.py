"""Rollback: undo the steps of a failed operation, last first."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Rollback:
    """A context manager that calls functions if its block fails, the last one first.

    contextlib.ExitStack does the same, but takes longer to import.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def __call__(self, step: Callable[..., object], *arguments: object) -> None:
        """Add a function that undoes what has been done, and its arguments."""
        self._steps.append((step, arguments))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        while kind is not None and self._steps:
            step, arguments = self._steps.pop()
            step(*arguments)
