"""Descriptors that are to be closed in the end."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Descriptors:
    """A context manager that closes what it holds."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self, descriptor: int) -> int:
        """Hold one more."""
        self._held.append(descriptor)
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.pop())
